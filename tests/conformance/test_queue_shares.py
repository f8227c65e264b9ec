"""What several queues get of many claims: in strict order, or by weight; and what priority does within each."""

from __future__ import annotations

import random
from collections import Counter

import msgspec
import pytest

from lash_redis.core import timing
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.queue_order import QueueOrder, names_of
from lash_redis.worker.settings import WorkerSettings
from tests.conformance.actors import ADA, LANE, batch_claim, work


class Drawn(timing.Clock):
    """A clock whose chance is the same in each run."""

    def __init__(self) -> None:
        self._chance = random.Random(3)

    def random_fraction(self) -> float:
        """Return the next number."""
        return self._chance.random()


@pytest.fixture
def partitions() -> int:
    """Return one: an order holds within a partition."""
    return 1


class Taker:
    """Claims from queues as a worker does whose ``queues`` are these."""

    def __init__(self, registry: ProcessRegistry, queues: dict[str, int] | tuple[str, ...]) -> None:
        self._registry = registry
        self._queues = WorkerSettings(queues=queues).queues  # type: ignore[arg-type] # as a program writes them
        self._order = QueueOrder(self._queues)

    async def take(self, count: int = 1) -> list[str]:
        """Claim so many rows at once; return their ids."""
        served = [(name, [LANE.replace("default", name)]) for name in names_of(self._queues)]
        claim = batch_claim(self._registry, ADA, count=count, served=served)
        batch = await self._registry.claim_next(msgspec.structs.replace(claim, queues=self._order.next()))
        return [row.process_id for row in batch.rows]

    async def queues_of(self, claims: int) -> Counter[str]:
        """Claim one row so many times; return how many came from each queue."""
        with timing.use(Drawn()):
            return Counter([each.partition(".")[0] for _ in range(claims) for each in await self.take()])


async def filled(registry: ProcessRegistry, **queues: int) -> None:
    """Let so many rows wait in each queue."""
    await registry.register_many(
        [work(f"{queue}.{number}", queue=queue) for queue, count in queues.items() for number in range(count)]
    )


async def test_each_queue_gets_its_share_of_many_claims(registry: ProcessRegistry) -> None:
    """As its weight says, while all have rows."""
    await filled(registry, high=400, mid=400, low=400)

    got = await Taker(registry, {"high": 6, "mid": 3, "low": 1}).queues_of(400)

    assert got["high"] == pytest.approx(240, abs=30)
    assert got["mid"] == pytest.approx(120, abs=30)
    assert got["low"] == pytest.approx(40, abs=20)
    assert got.total() == 400


async def test_a_queue_that_is_empty_leaves_its_share_to_the_others(registry: ProcessRegistry) -> None:
    """No claim comes back with nothing while anything waits, and what is left is shared by weight."""
    await filled(registry, mid=120, low=120)

    got = await Taker(registry, {"high": 900, "mid": 3, "low": 1}).queues_of(120)

    assert got.total() == 120
    assert got["mid"] == pytest.approx(90, abs=20)
    rest = await Taker(registry, {"high": 900, "mid": 3, "low": 1}).queues_of(200)
    assert (got + rest).total() == 240


async def test_in_strict_order_a_queue_waits_for_those_before_it(registry: ProcessRegistry) -> None:
    """However long it has waited; one claim goes on with the next queue where the first has too few."""
    await filled(registry, low=3, high=5)
    taker = Taker(registry, ("high", "low"))

    assert await taker.take(2) == ["high.0", "high.1"]
    await filled(registry, late=1)
    await registry.register(work("high.5", queue="high"))
    assert await taker.take(9) == ["high.2", "high.3", "high.4", "high.5", "low.0", "low.1", "low.2"]


@pytest.mark.parametrize("queues", [{"high": 1000, "low": 1}, ("high", "low")])
async def test_priority_orders_a_queue_and_is_no_matter_between_queues(
    registry: ProcessRegistry, queues: dict[str, int] | tuple[str, ...]
) -> None:
    """The most urgent row of another queue does not overtake what its own queue's turn is."""
    await registry.register_many([work("low.urgent", queue="low", priority=9)])
    await registry.register_many([work(f"high.{each}", queue="high", priority=each) for each in (0, 5, -5)])

    with timing.use(Drawn()):
        assert await Taker(registry, queues).take(4) == ["high.5", "high.0", "high.-5", "low.urgent"]

"""Many processes, three workers, and a network that loses, doubles and delays: what holds at the end, always."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from lash_redis.core.model import AbandonRequest, ExternalOwner, Phase, ProcessStatus
from lash_redis.core.outcomes import Success
from lash_redis.recovery.sweep import Sweep
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.declaration import Declaration, declare
from tests.conformance.actors import BOB, OWNER_BOUND, RERUNNABLE, outside, work
from tests.conftest import ServerTime
from tests.look import record_of
from tests.services.conftest import Crew
from tests.support import wait_until

EACH = 100


class Ledger:
    """Who began what, written before the work does anything."""

    def __init__(self, chance: random.Random) -> None:
        self.starts: Counter[str] = Counter()
        self._chance = chance

    def tasks(self) -> list[Declaration]:
        """Return a task of each disposition that the pool runs."""

        async def again(name: str) -> str:
            self.starts[name] += 1
            for _ in range(self._chance.randrange(4)):
                await asyncio.sleep(0)
            return name

        async def once(name: str) -> str:
            return await again(name)

        return [
            declare(again, recovery="rerunnable", name="again"),
            declare(once, recovery="owner_bound", name="once"),
        ]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", range(2))
async def test_no_owner_bound_work_runs_twice_and_nothing_else_is_lost(
    registry: ProcessRegistry, crew: Crew, seed: int
) -> None:
    """300 processes of three dispositions, one answer in eight lost; half way one worker leaves and another comes."""
    chance = random.Random(seed)
    ledger = Ledger(chance)
    again, once, there = ([f"{kind}-{number}" for number in range(EACH)] for kind in ("again", "once", "there"))
    # The grace is for the answer to a lost claim.
    workers = [
        crew.worker(*ledger.tasks(), concurrency=6, sweep_ms=100, poll_ms=100, grace_ms=60_000) for _ in range(4)
    ]
    for worker in workers:
        await worker.registry.open()
        crew.faults_of(worker).lose_at_random(chance, 0.12)

    async with AsyncExitStack() as running:
        for worker in workers[:3]:
            await running.enter_async_context(crew.running(worker))
        for start in range(0, EACH, 25):
            await registry.register_many(
                [work(each, RERUNNABLE, each, task="again") for each in again[start : start + 25]]
                + [work(each, OWNER_BOUND, each, task="once") for each in once[start : start + 25]]
                + [outside(each) for each in there[start : start + 25]]
            )
        await wait_until(lambda: len(ledger.starts) >= EACH, "half of the work has begun")
        await workers[0].drain()
        await running.enter_async_context(crew.running(workers[3]))
        for number, each in enumerate(there):
            if number % 2:
                await registry.complete_unleased(each, Success(each), ExternalOwner("desk"))
            else:
                await registry.request_abandon(each, AbandonRequest("ops", 1))
        await wait_until(lambda: _all_terminal(registry, again + once + there), "everything has ended", 120)

    assert {(await record_of(registry, each)).status for each in again} == {ProcessStatus.COMPLETED}
    assert [each for each in once if ledger.starts[each] != 1] == []
    ends = Counter([(await record_of(registry, each)).status for each in once])
    assert ends[ProcessStatus.COMPLETED] + ends[ProcessStatus.ABANDONED] == EACH
    assert ends[ProcessStatus.ABANDONED] <= 12, "only what the leaving worker had begun"
    assert Counter([(await record_of(registry, each)).status for each in there]) == {
        ProcessStatus.COMPLETED: EACH // 2, ProcessStatus.ABANDONED: EACH // 2,
    }  # fmt: skip


async def _all_terminal(registry: ProcessRegistry, ids: list[str]) -> bool:
    rows = await registry.rows(ids)
    return all(row is not None and row.is_terminal for row in rows)


async def test_workers_that_vanish_cost_no_rerunnable_work_and_settle_no_owner_bound_work(
    registry: ProcessRegistry, crew: Crew, server: ServerTime
) -> None:
    """Three lives are cut short without a drain, and their owners are opaque: what they began stays uncertain."""
    ledger: list[str] = []

    async def stuck(name: str) -> None:
        ledger.append(name)
        await asyncio.Event().wait()

    tasks = [declare(stuck, recovery="owner_bound", name="once"), declare(stuck, recovery="rerunnable", name="again")]
    once, again = [f"once-{number}" for number in range(6)], [f"again-{number}" for number in range(6)]
    await registry.register_many(
        [work(each, OWNER_BOUND, each, task="once") for each in once]
        + [work(each, RERUNNABLE, each, task="again") for each in again]
    )
    leases = []
    for number in range(3):
        worker = crew.worker(
            *tasks, owner=type(BOB).opaque(f"w{number}", f"w{number}-1"), concurrency=4, lease_ttl_ms=8_000
        )
        run = asyncio.create_task(worker.run())
        await wait_until(lambda number=number: len(ledger) == 4 * number + 4, "it is full")  # type: ignore[misc]
        run.cancel()
        await asyncio.wait([run])
        leases += [lease for each in ledger[-4:] if (lease := await registry.lease(each)) is not None]
    assert sorted(ledger) == sorted(once + again)

    assert leases
    sweep = Sweep(registry, BOB)

    async def all_are_settled() -> bool:
        await sweep.run_once()
        phases = {each: (await record_of(registry, each)).phase for each in once + again}
        return phases == dict.fromkeys(once, Phase.UNCERTAIN) | dict.fromkeys(again, Phase.QUEUED)

    await server.pass_until(max(lease.expires_at_ms for lease in leases))
    await wait_until(all_are_settled, "the sweep has seen them all")
    assert {(await record_of(registry, each)).losses for each in again} == {1}

"""A worker beside many other releases: few lists of lanes, few looks, and nothing waits behind what was left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lash_redis.core.model import ProcessRegistration
from lash_redis.core.outcomes import Success
from lash_redis.core.terms import Terms
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.arguments import bind
from lash_redis.tasks.declaration import declare
from lash_redis.worker import wakeups
from tests.conformance.actors import ids_of
from tests.look import outcomes, record_of
from tests.services.benches import RERUNNABLE
from tests.services.conftest import Crew
from tests.services.test_releases import Release, back, forth, is_as_new, text, texts
from tests.support import wait_until


async def test_many_other_signatures_make_few_lists_of_lanes(
    registry: ProcessRegistry, crew: Crew, client: Any, namespace: str
) -> None:
    """Submitted one after the other, each is run without waiting for a poll. Two workers name a list or two each."""
    new = Release(back, RERUNNABLE)
    olds = [declare(_with_default(number), recovery=RERUNNABLE, name="mail") for number in range(20)]
    workers = [crew.worker(new.task) for _ in range(2)]
    async with crew.running(workers[0]), crew.running(workers[1]):
        await crew.at_rest(*workers)
        for number, old in enumerate(olds):
            row = ProcessRegistration(
                f"p{number}", bind(old, ["a", "b"], {}), old.disposition, signature=old.signature.digest
            )
            await registry.submit_many([row], Terms(old.signature.named))
        found = await outcomes(registry, *(f"p{number}" for number in range(20)))
    assert found == [Success(["a", "b"])] * 20
    lists = [await client.zcard(f"{{lash:{namespace}:{each}}}:lists") for each in range(registry.partitions)]
    assert max(lists) < 10


async def test_many_wake_ups_for_other_releases_need_few_looks(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One now, and one after the pause, for all that was named meanwhile. Each goes through all lanes of all tasks."""
    monkeypatch.setattr(wakeups, "PAUSE_MS", 300)
    looks: list[int | None] = []
    stuck = Release(texts, RERUNNABLE)
    async with crew.running(crew.worker(Release(text, RERUNNABLE).task)) as worker:
        await crew.at_rest(worker)
        look = worker.probe.looking.look

        async def noted(partition: int | None = None) -> None:
            looks.append(partition)
            await look(partition)

        monkeypatch.setattr(worker.probe.looking, "look", noted)
        for _ in range(50):
            worker.probe.wake_ups.received(0, f"lane default|mail|{stuck.task.signature.digest}")
        await wait_until(lambda: len(looks) > 1, "it looks again")
        await crew.at_rest(worker)
    assert set(looks) == {0}
    assert len(looks) < 50


def forth_in_lists(source: list[str], target: list[str]) -> Any:
    """Take two lists."""
    return [source, target]


async def test_one_pass_serves_what_is_left_beside_a_lane_that_was_left(registry: ProcessRegistry, crew: Crew) -> None:
    """A line of a crontab has no second pass: what it leaves in one partition hides nothing in the next."""
    stuck, old, new = Release(forth_in_lists, RERUNNABLE), Release(forth, RERUNNABLE), Release(back, RERUNNABLE)
    (first,), (second,) = ids_of(1, 0, registry.partitions), ids_of(1, 1, registry.partitions)
    await stuck.submit(registry, first, ["a"], ["b"])
    await old.submit(registry, second, "a", "b")
    await crew.worker(new.task).drive_pending()
    await is_as_new(registry, first)
    assert (await record_of(registry, second)).outcome == Success(["a", "b"])


def _with_default(number: int) -> Callable[..., Any]:
    """Return a function with another signature for each number."""
    named: dict[str, Any] = {}
    exec(f"def mail(source, target, extra{number}=0): ...", named)  # noqa: S102 - a parameter of that name
    function: Callable[..., Any] = named["mail"]
    return function

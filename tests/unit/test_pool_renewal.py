"""Who renews, for whom, and when: the supervisor for its living children, an orphan for itself."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.timing import boottime_ms
from lash_redis.pool.renewal import PipeRenewal, Renewer
from lash_redis.registry.answers import RenewedRow
from lash_redis.worker.keeper import Renewal


class Child:
    """One that is renewed for."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.heard: list[Renewal] = []

    def hear(self, renewal: Renewal) -> None:
        """Keep it."""
        self.heard.append(renewal)


class Registry:
    """Answers renewals from a table: owner to the ids of each partition."""

    def __init__(self, held: dict[str, list[str]], partitions: int = 1) -> None:
        self.partitions = partitions
        self.asked: list[tuple[int, list[str], int]] = []
        self._held = held
        self.fails_in: int | None = None

    async def renew_owned(self, partition: int, owners: list[str], ttl_ms: int) -> list[RenewedRow]:
        """Answer one renewal."""
        if partition == self.fails_in:
            raise RegistryUnavailable("renew", "gone", maybe_applied=True)
        self.asked.append((partition, owners, ttl_ms))
        return [RenewedRow(owner, each, "token", 1) for owner in owners for each in self._held.get(owner, [])]


def renewer(registry: Registry, living: list[Child]) -> Renewer:
    """Return a renewer of leases of 30 s."""
    fitting: Any = registry

    async def revive() -> None:
        """Do nothing."""

    return Renewer(fitting, lambda: living, 30_000, revive)


async def test_one_call_a_partition_renews_for_all_and_each_hears_its_own() -> None:
    """Also one that holds nothing hears that it is renewed for: it may go on claiming."""
    children = [Child("a"), Child("b"), Child("c")]
    registry = Registry({"a": ["1", "2"], "b": ["3"]}, partitions=2)
    before = boottime_ms()

    await renewer(registry, children).run_once()

    assert registry.asked == [(partition, ["a", "b", "c"], 30_000) for partition in (0, 1)]
    for child, ids in zip(children, (["1", "2"], ["3"], []), strict=True):
        assert [renewal.partition for renewal in child.heard] == [0, 1]
        assert [row.process_id for row in child.heard[0].rows] == ids
        assert before <= child.heard[0].sent_at_ms <= boottime_ms()


async def test_the_dead_are_renewed_for_no_more() -> None:
    """Who lives is asked before each call."""
    living = [Child("a"), Child("b")]
    registry = Registry({})
    renewing = renewer(registry, living)
    await renewing.run_once()

    living.pop()
    await renewing.run_once()
    living.pop()
    await renewing.run_once()

    assert [owners for _, owners, _ in registry.asked] == [["a", "b"], ["a"]]


async def test_what_was_renewed_before_an_outage_is_told() -> None:
    """Each partition's answer stands for itself."""
    child, registry = Child("a"), Registry({"a": ["1"]}, partitions=3)
    registry.fails_in = 1

    with pytest.raises(RegistryUnavailable):
        await renewer(registry, [child]).run_once()

    assert [renewal.partition for renewal in child.heard] == [0]


class Thread:
    """Stands in for the thread that an orphan renews by."""

    def __init__(self) -> None:
        self.started = 0
        self.stopped = 0

    def start(self, _apply: object) -> None:
        """Count."""
        self.started += 1

    def stop(self) -> None:
        """Count."""
        self.stopped += 1


def piped() -> tuple[PipeRenewal, Thread]:
    """Return a child's renewal, and what it falls back on."""
    registry: Any = Registry({})
    renewal, thread = PipeRenewal(registry, "a", 30_000), Thread()
    stand_in: Any = thread
    renewal._own = stand_in
    return renewal, thread


def test_what_comes_over_the_pipe_is_handed_on_while_somebody_listens() -> None:
    """Before the worker starts and after it stopped there is nothing to renew."""
    renewal, heard = piped()[0], list[Renewal]()
    first, second, third = (Renewal(0, moment, []) for moment in (1, 2, 3))

    renewal.hear(first)
    renewal.start(heard.append)
    renewal.hear(second)
    renewal.stop()
    renewal.hear(third)

    assert heard == [second]


@pytest.mark.parametrize("orphaned_first", [True, False])
def test_an_orphan_renews_by_itself(orphaned_first: bool) -> None:
    """Whether its supervisor died before the worker started or after, and only once."""
    renewal, thread = piped()
    steps = [lambda: renewal.start(lambda _: None), renewal.orphan]

    for step in reversed(steps) if orphaned_first else steps:
        step()
    renewal.orphan()

    assert thread.started == 1
    renewal.stop()
    assert thread.stopped == 1

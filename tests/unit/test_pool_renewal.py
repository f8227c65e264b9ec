"""Who renews for whom: the supervisor for its living worker processes, an orphaned worker process for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lash_redis.core.errors import LashError, RegistryUnavailable
from lash_redis.core.events import Event, PoolFault, WorkerUnavailable
from lash_redis.core.subscribers import subscribed
from lash_redis.core.timing import Clock, boottime_ms, use
from lash_redis.pool.renewal import PipeRenewal, Renewer
from lash_redis.registry.answers import RenewedRow
from lash_redis.worker.lease_keeper import Renewal
from tests.support import wait_until


class Child:
    """A worker process that keeps the renewals sent to it."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.renewals: list[Renewal] = []

    def take_renewal(self, renewal: Renewal) -> None:
        """Keep it."""
        self.renewals.append(renewal)


class Registry:
    """Answers renewals from a table: owner to the ids of each partition."""

    def __init__(self, held: dict[str, list[str]], partitions: int = 1) -> None:
        self.partitions = partitions
        self.calls: list[tuple[int, list[str], int]] = []
        self._held = held
        self.fails_in: int | None = None
        self.error: Exception = RegistryUnavailable("renew", "gone", maybe_applied=True)

    async def renew_owned(self, partition: int, owners: list[str], ttl_ms: int) -> list[RenewedRow]:
        """Answer one renewal."""
        if partition == self.fails_in:
            raise self.error
        self.calls.append((partition, owners, ttl_ms))
        return [RenewedRow(owner, each, "token", 1) for owner in owners for each in self._held.get(owner, [])]


def renewer(registry: Registry, living: list[Child], on_outage: Callable[[], object] = lambda: None) -> Renewer:
    """Return a renewer of leases of 30 s."""
    fitting: Any = registry
    return Renewer(fitting, lambda: living, 30_000, on_outage)


async def test_one_call_a_partition_renews_for_all_and_each_gets_its_own_rows() -> None:
    """A worker process that holds nothing gets an empty renewal, so that it may go on claiming."""
    children = [Child("a"), Child("b"), Child("c")]
    registry = Registry({"a": ["1", "2"], "b": ["3"]}, partitions=2)
    before = boottime_ms()

    await renewer(registry, children).step()

    assert registry.calls == [(partition, ["a", "b", "c"], 30_000) for partition in (0, 1)]
    for child, ids in zip(children, (["1", "2"], ["3"], []), strict=True):
        assert [renewal.partition for renewal in child.renewals] == [0, 1]
        assert [row.process_id for row in child.renewals[0].rows] == ids
        assert before <= child.renewals[0].sent_at_ms <= boottime_ms()


async def test_nothing_is_renewed_for_the_dead() -> None:
    """The renewer asks before each call which worker processes live."""
    living = [Child("a"), Child("b")]
    registry = Registry({})
    renewing = renewer(registry, living)
    await renewing.step()

    living.pop()
    await renewing.step()
    living.pop()
    await renewing.step()

    assert [owners for _, owners, _ in registry.calls] == [["a", "b"], ["a"]]


ERRORS = {
    "an outage": (RegistryUnavailable("renew", "gone", maybe_applied=True), WorkerUnavailable),
    "a refusal": (LashError("another namespace"), WorkerUnavailable),
    "a bug": (KeyError("p"), PoolFault),
}


@pytest.mark.parametrize("what", ERRORS)
async def test_a_partition_that_cannot_be_renewed_holds_up_no_other(what: str) -> None:
    """Each partition's answer counts by itself, whatever is wrong with another one, and the failure is told."""
    child, registry = Child("a"), Registry({"a": ["1"]}, partitions=3)
    registry.fails_in, registry.error = 1, ERRORS[what][0]

    with pytest.raises(type(registry.error)):
        await renewer(registry, [child]).step()

    assert [renewal.partition for renewal in child.renewals] == [0, 2]


class NoWaits(Clock):
    """A clock by which no wait takes time."""

    async def sleep(self, seconds: float) -> None:
        """Let the others have a turn."""
        await asyncio.sleep(0)


@pytest.mark.parametrize("what", ERRORS)
async def test_no_error_ends_the_supervisors_renewal(what: str) -> None:
    """Each is told of, and what the pool does about an outage is done; then it renews again."""
    child, registry, events, outages = Child("a"), Registry({}), list[Event](), list[int]()
    registry.fails_in, (registry.error, kind) = 0, ERRORS[what]

    with use(NoWaits()), subscribed(events.append):
        renewing = asyncio.create_task(renewer(registry, [child], lambda: outages.append(1)).run())
        await wait_until(lambda: len(events) >= 3 or renewing.done(), "it has failed three times")
        registry.fails_in = None
        await wait_until(lambda: child.renewals or renewing.done(), "it renews again")
        renewing.cancel()
        await asyncio.wait([renewing])

    assert renewing.cancelled()
    assert {type(event) for event in events} == {kind}
    assert len(outages) == len(events) >= 3


class Thread:
    """Takes the place of the thread by which an orphaned worker process renews."""

    def __init__(self) -> None:
        self.started = 0
        self.stopped = 0

    def start(self, _apply: object) -> None:
        """Count."""
        self.started += 1

    def stop(self) -> None:
        """Count."""
        self.stopped += 1


def pipe_renewal() -> tuple[PipeRenewal, Thread]:
    """Return a worker process's renewal, and the thread that it may start."""
    thread = Thread()
    return PipeRenewal(thread), thread


def test_renewals_from_the_pipe_are_passed_on_between_start_and_stop() -> None:
    """Before the worker starts and after it has stopped it holds no lease."""
    renewal, passed_on = pipe_renewal()[0], list[Renewal]()
    first, second, third = (Renewal(0, moment, []) for moment in (1, 2, 3))

    renewal.take_renewal(first)
    renewal.start(passed_on.append)
    renewal.take_renewal(second)
    renewal.stop()
    renewal.take_renewal(third)

    assert passed_on == [second]


@pytest.mark.parametrize("orphaned_first", [True, False])
def test_an_orphaned_worker_process_renews_by_itself(orphaned_first: bool) -> None:
    """It starts one thread, whether its supervisor died before the worker started or after."""
    renewal, thread = pipe_renewal()
    steps = [lambda: renewal.start(lambda _: None), renewal.renew_alone]

    for step in reversed(steps) if orphaned_first else steps:
        step()
    renewal.renew_alone()

    assert thread.started == 1
    renewal.stop()
    assert thread.stopped == 1

"""What the supervisor writes about a worker process that it saw end.

It records the death of each one, on which peers on any host may rely (rule 2.5), and settles what that owner held. For
one that it killed at the end of a drain it first finishes that drain in its name (rule 7.3): the supervisor minted that
incarnation, renewed for it and saw it end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

import msgspec

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.events import WorkerUnavailable
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Deferred, DrainReport
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import backoff, boottime_ms, jittered, sleep, within
from lash_redis.pool.watch import described, tell_of_failure
from lash_redis.recovery.leftovers import Leftovers
from lash_redis.recovery.sweep import Sweep
from lash_redis.registry.answers import Death
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.settings import WorkerSettings

T = TypeVar("T")

# Above every number that a worker can reach, and still exact where numbers are doubles.
_LAST_CLAIM = 2**53 - 1


class Deaths:
    """Writes about the dead worker processes of one pool.

    Args:
        registry: of the pool.
        supervisor: the owner that saw them end.
        settings: of the worker processes.
    """

    def __init__(self, registry: ProcessRegistry, supervisor: LeaseOwner, settings: WorkerSettings) -> None:
        self._registry = registry
        self._supervisor = supervisor
        self._settings = settings

    async def finish_drain(self, owner: LeaseOwner, known: Collection[str], why: str, budget_ms: int) -> DrainReport:
        """Settle or release what an owner left, as its own drain would have done.

        Args:
            owner: whose OS process was killed at the end of a drain, and is not reaped yet.
            known: ids that it reported as still running; they are reported as deferred if the server does not answer.
            why: how its OS process ended, and why it was killed; it goes into the evidence.
            budget_ms: how long to try while the server does not answer.
        """
        until_ms = boottime_ms() + budget_ms
        try:
            await within(budget_ms, self._retry(lambda: self._make_late_claims_stale(owner)))
            return await Leftovers(self._registry, owner, expected=known, detail=why).settle(until_ms - boottime_ms())
        except Exception as error:  # noqa: BLE001 - whatever it is, what is left is reported, and its end is recorded
            tell_of_failure("finish_drain", error)
            reason = f"{owner.owner_id}: {described(error)}"
            return DrainReport(deferred=[Deferred(each, reason) for each in (*known, "*")])

    async def record_and_settle(self, owner: LeaseOwner, status: str) -> int:
        """Record the death of an owner and settle all that it held; return the number of rows. Retry during an outage.

        Raises:
            LashError: the namespace has changed.
        """
        death = Death(status, self._supervisor.owner_id)

        async def attempt() -> int:
            await self._registry.record_death(owner, death)
            report = await Sweep(self._registry, self._supervisor).settle_dead(owner, death)
            return report.settled

        return await self._retry(attempt)

    async def _make_late_claims_stale(self, owner: LeaseOwner) -> None:
        for partition in range(self._registry.partitions):
            await self._registry.close_claims(partition, owner, _LAST_CLAIM, self._settings.queues)

    async def _retry(self, attempt: Callable[[], Awaitable[T]]) -> T:
        failures = 0
        while True:
            try:
                return await attempt()
            except RegistryUnavailable as error:
                failures += 1
                emit(WorkerUnavailable(operation=error.operation, reason=str(error)))
            await sleep(jittered(backoff(failures, 0.05, 1.0), 0.2))


def merged(*reports: DrainReport) -> DrainReport:
    """Return several reports as one."""
    return DrainReport(
        abandoned=[process_id for each in reports for process_id in each.abandoned],
        deferred=[left for each in reports for left in each.deferred],
        released=sum(each.released for each in reports),
        finished=sum(each.finished for each in reports),
    )


def without_deferred(report: DrainReport, process_ids: set[str]) -> DrainReport:
    """Return a report without the deferred rows of these ids."""
    return msgspec.structs.replace(
        report, deferred=[left for left in report.deferred if left.process_id not in process_ids]
    )

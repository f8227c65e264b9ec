"""What the supervisor writes about a worker process that it saw end.

It records the death of each one, on which peers on any host may rely (rule 2.5), and settles what that owner held. For
one that it killed at the end of a drain it first finishes that drain in its name (rule 7.3): the supervisor minted that
incarnation, renewed for it and saw it end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import TypeVar

import msgspec

from lash_redis.core.errors import NamespaceMismatch, RegistryUnavailable
from lash_redis.core.events import PoolReaped
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Deferred, DrainReport
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import boottime_ms, sleep, within
from lash_redis.core.trouble import Trouble, pool_fault
from lash_redis.pool import messages
from lash_redis.pool.connection import PoolConnection
from lash_redis.pool.drain import PoolDrain
from lash_redis.pool.watch import described, tell_of_failure
from lash_redis.recovery.last_writes import LastWriter
from lash_redis.recovery.leftovers import Leftovers, whatever_else
from lash_redis.recovery.sweep import Sweep
from lash_redis.registry.answers import Death
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.settings import WorkerSettings

T = TypeVar("T")

# Above every number that a worker can reach, and still exact where numbers are doubles.
_LAST_CLAIM = 2**53 - 1


class Ended(msgspec.Struct, frozen=True):
    """A worker process that the supervisor saw end.

    Attributes:
        slot: its name in the pool.
        pid: its pid.
        status: exit status or signal, in words.
        owner: under which it acted, None if it never might claim.
        report: of its own drain, None if it made none.
        kill_reason: why the supervisor killed it, empty unless it did.
    """

    slot: str
    pid: int
    status: str
    owner: LeaseOwner | None
    report: messages.Report | None
    kill_reason: str


class Deaths:
    """Writes about the dead worker processes of one pool.

    Args:
        connection: of the pool, open once a worker process may claim.
        supervisor: the owner that saw them end.
        settings: of the worker processes.
        drain: of the pool.
    """

    def __init__(
        self, connection: PoolConnection, supervisor: LeaseOwner, settings: WorkerSettings, drain: PoolDrain
    ) -> None:
        self._connection = connection
        self._supervisor = supervisor
        self._settings = settings
        self._drain = drain
        self._last_writer: LastWriter | None = None

    @property
    def _registry(self) -> ProcessRegistry:
        return self._connection.registry

    async def drain_report(self, ended: Ended) -> DrainReport:
        """Return what its drain did, after finishing the drain in its name if the supervisor cut it short.

        Call it before the OS process is reaped.
        """
        own, still_running, is_unfinished = DrainReport(), list[str](), self._drain.has_begun
        if ended.report is not None:
            still_running = ended.report.still_running
            own, is_unfinished = without_deferred(ended.report.report, set(still_running)), bool(still_running)
            self._last_writer = LastWriter(self._registry, ended.report.unsent)
            with suppress(Exception):  # what is not sent now is sent before its death is recorded
                await within(self._drain.finish_ms, self._last_writer.send())
        if ended.owner is None or not ended.kill_reason or not is_unfinished:
            return own
        why = f"{ended.status} after the drain: {ended.kill_reason}"
        return merged(own, await self.finish_drain(ended.owner, still_running, why, self._drain.finish_ms))

    async def settle(self, ended: Ended, report: DrainReport) -> DrainReport:
        """Record its death and settle all that it held; return the report with what came of it. Call it once reaped."""
        report = merged(report, await self._settled(ended))
        if (last := self._last_writer) is None:
            return report
        return msgspec.structs.replace(
            without_deferred(report, last.finished | last.released),
            finished=report.finished + len(last.finished),
            released=report.released + len(last.released),
        )

    async def _settled(self, ended: Ended) -> DrainReport:
        if ended.owner is None:
            return DrainReport()
        try:
            settled = await self._drain.in_time(self.record_and_settle(ended.owner, ended.status))
        except Exception as error:  # noqa: BLE001 - whatever it is, the slot goes on, and so do its neighbours
            tell_of_failure("record_death", error)
            gone = isinstance(error, NamespaceMismatch)  # its own report may be of that other namespace too
            if ended.report is not None and not ended.report.still_running and not gone:
                return DrainReport()  # it left nothing that its death would settle
            why = f"its death could not be recorded: {described(error)}"
            return DrainReport(deferred=[whatever_else(ended.owner, why)])
        emit(PoolReaped(slot=ended.slot, pid=ended.pid, status=ended.status, settled=settled))
        return DrainReport()

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
            await within(budget_ms, _retry("close_claims", lambda: self._make_late_claims_stale(owner)))
            return await Leftovers(self._registry, owner, expected=known, detail=why).settle(until_ms - boottime_ms())
        except Exception as error:  # noqa: BLE001 - whatever it is, what is left is reported, and its end is recorded
            tell_of_failure("finish_drain", error)
            why = described(error)
            left = [Deferred(each, f"{owner.owner_id}: {why}") for each in known]
            return DrainReport(deferred=[*left, whatever_else(owner, why)])

    async def record_and_settle(self, owner: LeaseOwner, status: str) -> int:
        """Record the death of an owner and settle all that it held; return the number of rows. Retry during an outage.

        Raises:
            NamespaceMismatch: a partition has changed; in the others its death is recorded and settled.
        """
        death = Death(status, self._supervisor.owner_id)

        async def attempt() -> int:
            failed: Exception | None = None
            for step in (self._send_last_writes, lambda: self._registry.record_death(owner, death)):
                try:
                    await step()
                except RegistryUnavailable:
                    raise  # what is known is sent before anything is settled, however long that takes
                except Exception as error:  # noqa: BLE001 - a later try would meet it again: the rest is settled
                    failed = failed or error
            report = await Sweep(self._registry, self._supervisor).settle_dead(owner, death)
            if failed is not None:
                raise failed
            return report.settled

        return await _retry("record_death", attempt)

    async def _send_last_writes(self) -> None:
        if self._last_writer is not None:
            await self._last_writer.send()

    async def _make_late_claims_stale(self, owner: LeaseOwner) -> None:
        for partition in range(self._registry.partitions):
            with suppress(NamespaceMismatch):  # no claim hands out anything there
                await self._registry.close_claims(partition, owner, _LAST_CLAIM, self._settings.queue_names)


async def _retry(operation: str, attempt: Callable[[], Awaitable[T]]) -> T:
    trouble = Trouble(operation, most_s=1.0, fault=pool_fault)
    while True:
        try:
            return await attempt()
        except RegistryUnavailable as error:
            await sleep(trouble.met(error))


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

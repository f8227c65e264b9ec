"""The drain of one worker, step by step (rules 7.1 to 7.3).

1. Stop claiming. Get the answer to the claim on its way and begin what it brings. Make any late copy of it stale.
2. Hand back what is not started.
3. Let work finish within the grace.
4. Interrupt the rest and see it end.
5. Write the results.
6. Settle what is left.

Leases are renewed until the end.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lash_redis.core.errors import LashError, RegistryUnavailable
from lash_redis.core.events import WorkerDrained, WorkerDraining, WorkerUnavailable
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import DrainReport
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import backoff, boottime_ms, within
from lash_redis.recovery.leftovers import NOT_WRITTEN, STILL_RUNNING, Leftovers
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.changes import Changes
from lash_redis.worker.inflight import InFlight
from lash_redis.worker.settings import WorkerSettings

_LEAST_MS = 250  # for one round of calls, where the time for them is over already


class Drain:
    """One worker's drain. ``hurry`` moves its deadline and skips no step."""

    def __init__(
        self,
        registry: ProcessRegistry,
        owner: LeaseOwner,
        settings: WorkerSettings,
        in_flight: InFlight,
        changes: Changes,
    ) -> None:
        self._registry = registry
        self._owner = owner
        self._settings = settings
        self._in_flight = in_flight
        self._changes = changes
        self._grace_ends_at_ms: int | None = None
        self._hurried = False

    def hurry(self) -> None:
        """Let the grace end now."""
        self._hurried = True
        self._changes.notify()

    def begin(self) -> None:
        """Start the clock of the grace."""
        if self._grace_ends_at_ms is None:
            self._grace_ends_at_ms = boottime_ms() + self._settings.grace_ms

    async def run(self) -> DrainReport:
        """Carry out all steps; return what was abandoned, left and given back."""
        self.begin()
        roster = self._in_flight.roster
        emit(WorkerDraining(owner=self._owner.owner_id, running=roster.running, grace_ms=self._settings.grace_ms))
        await self._answer_claims()
        await self._close_claims(max(self.grace_left_ms, _LEAST_MS))
        released_first = await self._release_unstarted()
        await self._until(lambda: not roster.running, self._grace_ends_at_ms or 0, hurried_too=True)
        self._in_flight.stop_all()
        await self._until(lambda: not roster.running, boottime_ms() + self._settings.cancel_ms)
        write_until = boottime_ms() + self._settings.drain_ms
        await self._until(lambda: self._in_flight.outbox.is_empty, write_until, every_s=0.05)
        await self._close_claims(max(write_until - boottime_ms(), _LEAST_MS))
        kept = {each.process_id: NOT_WRITTEN if each.ended else STILL_RUNNING for each in roster}
        leftovers = Leftovers(self._registry, self._owner, kept=kept, expected=self._in_flight.stopped_by_drain)
        report = await leftovers.settle(max(write_until - boottime_ms(), _LEAST_MS))
        report = msgspec.structs.replace(
            report,
            released=report.released + released_first + self._in_flight.outbox.released,
            finished=self._in_flight.outbox.written,
        )
        emit(
            WorkerDrained(
                owner=self._owner.owner_id,
                finished=report.finished,
                released=report.released,
                abandoned=report.abandoned,
                deferred=report.deferred,
            )
        )
        return report

    @property
    def grace_left_ms(self) -> int:
        """How much longer work may go on, ms."""
        return 0 if self._hurried else max((self._grace_ends_at_ms or 0) - boottime_ms(), 0)

    async def _answer_claims(self) -> None:
        """Get what an unanswered claim handed out, which is started already, and begin it."""
        failures = 0
        while self._in_flight.claimer.unanswered and self.grace_left_ms:
            try:
                await within(self.grace_left_ms, self._in_flight.claim(self._in_flight.claimer.unanswered[0]))
            except RegistryUnavailable as error:
                failures += 1
                emit(WorkerUnavailable(operation="claim", reason=str(error)))
                await self._changes.wait(backoff(failures, 0.05, 0.5))
            except (LashError, TimeoutError):
                return

    async def _close_claims(self, budget_ms: int) -> None:
        """Make late copies of claims stale; what is not answered now is tried once more at the end."""
        until = boottime_ms() + budget_ms
        for partition in self._in_flight.claimer.open_partitions(self._registry.partitions):
            try:
                await within(until - boottime_ms(), self._in_flight.claimer.close(partition))
            except (LashError, TimeoutError) as error:
                emit(WorkerUnavailable(operation="claim", reason=str(error)))
                return

    async def _release_unstarted(self) -> int:
        """Release at once what is leased and not started; what cannot be reached now the last pass finds again."""
        kept = {each.process_id: "" for each in self._in_flight.roster}
        try:
            leftovers = Leftovers(self._registry, self._owner, kept=kept)
            return await within(max(self.grace_left_ms, _LEAST_MS), leftovers.release_unstarted())
        except (LashError, TimeoutError) as error:
            emit(WorkerUnavailable(operation="release", reason=str(error)))
            return 0

    async def _until(
        self,
        holds: Callable[[], bool],
        deadline_ms: int,
        *,
        hurried_too: bool = False,
        every_s: float = 1.0,
    ) -> None:
        while not holds() and (left_ms := deadline_ms - boottime_ms()) > 0:
            if hurried_too and self._hurried:
                return
            await self._changes.wait(min(left_ms / 1000, every_s))

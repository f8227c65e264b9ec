"""The drain of one worker, step by step (rules 7.1 to 7.3).

1. Stop claiming. Get the answer to the claim on its way and begin what it brings. Make any late copy of it stale, once
   the looks on their way are answered: one that came later would say that this worker lives.
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

from lash_redis.core.errors import NamespaceMismatch
from lash_redis.core.events import WorkerDrained, WorkerDraining
from lash_redis.core.model import DrainReport
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import boottime_ms, sleep, within
from lash_redis.core.trouble import SURVIVED, Trouble
from lash_redis.recovery.leftovers import NOT_GIVEN_BACK, NOT_WRITTEN, STILL_RUNNING, Leftovers
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.attempt import Attempt
from lash_redis.worker.changes import Changes
from lash_redis.worker.identity import Identity
from lash_redis.worker.inflight import InFlight
from lash_redis.worker.loops.looking import Looking
from lash_redis.worker.settings import WorkerSettings
from lash_redis.worker.stillness import POLLS

_LEAST_MS = 250  # for one round of calls, also where the time for them is over already
# Whether others serve what a worker leaves shows when each of them has called, within so many slow polls (rule 9.8).
_POLLS_AFTER = POLLS + 1


def _why_kept(attempt: Attempt) -> str:
    if not attempt.ended:
        return STILL_RUNNING
    return NOT_WRITTEN if attempt.has_result else NOT_GIVEN_BACK


class Drain:
    """One worker's drain. ``hurry`` moves its deadline and skips no step."""

    def __init__(
        self,
        registry: ProcessRegistry,
        identity: Identity,
        settings: WorkerSettings,
        in_flight: InFlight,
        changes: Changes,
        *,
        looking: Looking,
    ) -> None:
        self._registry = registry
        self._identity = identity
        self._settings = settings
        self._in_flight = in_flight
        self._changes = changes
        self._looking = looking
        self._grace_ends_at_ms: int | None = None
        self._hurried = False

    def hurry(self) -> None:
        """Let the grace end now."""
        self._hurried = True
        self._changes.notify()

    def begin(self) -> None:
        """Start the clock of the grace."""
        if self._grace_ends_at_ms is None:
            self._in_flight.outbox.begin_drain()
            self._grace_ends_at_ms = boottime_ms() + self._settings.grace_ms

    async def run(self) -> DrainReport:
        """Carry out all steps; return what was abandoned, left and given back."""
        self.begin()
        roster = self._in_flight.roster
        emit(
            WorkerDraining(
                owner=self._identity.owner.owner_id, running=roster.running, grace_ms=self._settings.grace_ms
            )
        )
        await self._answer_claims()
        await self._end_looks()
        await self._close_claims(max(self.grace_left_ms, _LEAST_MS))
        released_first = await self._release_unstarted()
        await self._until(lambda: not roster.running, self._grace_ends_at_ms or 0, hurried_too=True)
        self._identity.check()
        self._in_flight.stop_all()
        await self._until(lambda: not roster.running, boottime_ms() + self._settings.interrupt_ms)
        last_writes_ms = self._settings.last_writes_ms
        ends_at = boottime_ms() + last_writes_ms  # of which the two rounds after the results have their share
        self._in_flight.outbox.try_now()
        write_until = ends_at - min(2 * _LEAST_MS, last_writes_ms // 2)
        await self._until(lambda: self._in_flight.outbox.is_empty, write_until, every_s=0.05)
        await self._close_claims(max(ends_at - _LEAST_MS - boottime_ms(), _LEAST_MS), again=True)
        self._identity.check()
        kept = {each.process_id: _why_kept(each) for each in roster}
        leftovers = Leftovers(
            self._registry,
            self._identity.owner,
            kept=kept,
            expected=self._in_flight.stopped_by_drain,
            never_begun=self._in_flight.claimer.give_up(),
        )
        settled = await leftovers.settle(max(ends_at - boottime_ms(), _LEAST_MS))
        return self._report(settled, leftovers.released | released_first)

    def _report(self, settled: DrainReport, released: set[str]) -> DrainReport:
        """Report the drain as a whole; one row may have come back meanwhile, and been given back again."""
        outbox = self._in_flight.outbox
        report = msgspec.structs.replace(settled, released=len(released | outbox.released), finished=outbox.finished)
        emit(
            WorkerDrained(
                owner=self._identity.owner.owner_id,
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
        """Get what unanswered claims handed out, which is started already, and begin it."""
        claimer, trouble = self._in_flight.claimer, Trouble("claim", 0.05, 0.5)
        given_up: set[int] = set()
        while (missing := [each for each in claimer.unanswered if each not in given_up]) and self.grace_left_ms:
            pause_s = 0.0
            for partition in missing:  # one that cannot answer holds up no other
                try:
                    await within(self.grace_left_ms, self._in_flight.claim(partition))
                except NamespaceMismatch:
                    given_up.add(partition)  # its rows are not what they were, and it is closed below
                except SURVIVED as error:  # the drain goes on, whatever the server says
                    pause_s = trouble.met(error)
            await self._until(lambda: self._hurried, boottime_ms() + int(1000 * pause_s))

    async def _end_looks(self) -> None:
        """Wait for the looks on their way; where no answer comes, the lanes count as served for a minute (rule 9.8).

        The end of the grace is left to the closing of the claims, so that a server which hangs makes no drain longer.
        """
        until_ms = (self._grace_ends_at_ms or 0) - _LEAST_MS
        await self._until(lambda: not self._looking.is_under_way, until_ms, hurried_too=True)

    async def _close_claims(self, budget_ms: int, *, again: bool = False) -> None:
        """Make late copies of claims stale; what is not answered now is tried once more at the end.

        Args:
            budget_ms: how long it may take.
            again: repeat what fails until the time is over.
        """
        claimer, trouble = self._in_flight.claimer, Trouble("close claims", 0.05, 0.5)
        until, given_up = boottime_ms() + budget_ms, set[int]()
        lives_on_ms = _POLLS_AFTER * self._settings.poll_ms
        while left := [each for each in claimer.open_partitions(self._registry.partitions) if each not in given_up]:
            pause_s = 0.0
            for partition in left:
                try:
                    await within(until - boottime_ms(), claimer.close(partition, lives_on_ms=lives_on_ms))
                except NamespaceMismatch:
                    given_up.add(partition)  # no claim hands out anything there
                except SURVIVED as error:  # the drain goes on, whatever the server says
                    pause_s = trouble.met(error)
            if not again or boottime_ms() + 1000 * pause_s >= until:
                return
            await sleep(pause_s)

    async def _release_unstarted(self) -> set[str]:
        """Release at once what is leased and not started; what cannot be reached now the last pass finds again."""
        kept = {each.process_id: "" for each in self._in_flight.roster}
        self._identity.check()
        leftovers = Leftovers(self._registry, self._identity.owner, kept=kept)
        try:
            await within(max(self.grace_left_ms, _LEAST_MS), leftovers.release_unstarted())
        except SURVIVED as error:  # the drain goes on, whatever the server says
            Trouble("release").met(error)
        return leftovers.released

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

"""The processes of one worker from claim to written result: attempts are begun, end, and go to the outbox.

Above this is what decides when to claim, sweep and drain; below it are the parts: claimer, runner, keeper, outbox.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.lanes import lane_parts, runs_alone
from lash_redis.core.model import ProcessLease
from lash_redis.core.outcomes import Cancelled, Failure
from lash_redis.core.timing import boottime_ms
from lash_redis.core.trouble import SURVIVED, Trouble
from lash_redis.registry.answers import ClaimedRow
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row
from lash_redis.tasks.catalogue import Catalogue
from lash_redis.worker.attempt import Attempt, Stop
from lash_redis.worker.claimed import Claimed
from lash_redis.worker.claimer import Claimer
from lash_redis.worker.ending import Ending, ending_of
from lash_redis.worker.identity import Identity
from lash_redis.worker.lanes import Lanes
from lash_redis.worker.lease_keeper import LeaseKeeper
from lash_redis.worker.neighbours import Neighbours
from lash_redis.worker.outbox import ClaimedAgain, Outbox
from lash_redis.worker.queue_order import QueueOrder
from lash_redis.worker.requests import Requests
from lash_redis.worker.roster import Roster
from lash_redis.worker.run_contexts import RunContexts
from lash_redis.worker.run_end import RunEnd
from lash_redis.worker.runner import Runner
from lash_redis.worker.scheduling import Scheduling
from lash_redis.worker.services import Service
from lash_redis.worker.settings import WorkerSettings
from lash_redis.worker.told import tell_failed
from lash_redis.worker.trust import trusted_until_ms
from lash_redis.worker.turns import Turns
from lash_redis.worker.unknown_leases import UnknownLeases

_WORTH_HALVING: Final = 64  # slots
_WITH_RESULT: Final = frozenset({Ending.SUCCEED, Ending.FAIL})


class InFlight:
    """What one worker has in hand. It is the ``LocalKnowledge`` of the worker's own sweep.

    Args:
        registry: where the processes are.
        catalogue: the tasks.
        identity: whose they are while they run, and in which OS process.
        settings: of the worker.
        contexts: makes the context variables of runs.
        on_change: called when something has ended or was written.
        start: runs a coroutine beside the work.

    Attributes:
        stopped_by_drain: ids of owner-bound work that was stopped without a result: the drain settles them.
        lanes: those that it serves.
        scheduling: the schedules of its namespace.
        requests: reads those that were made of what runs here.
        waiting: attempts that begin once the earlier run of the same process has ended here, by process id.
    """

    def __init__(
        self,
        registry: ProcessRegistry,
        catalogue: Catalogue,
        identity: Identity,
        settings: WorkerSettings,
        contexts: RunContexts,
        *,
        on_change: Callable[[], None],
        start: Callable[[Service], None],
    ) -> None:
        self._registry = registry
        self._identity = identity
        self._me = owner_digest(identity.owner)
        self._settings = settings
        self._on_change = on_change
        self._start = start
        self._claiming_again: set[str] = set()
        self._trouble = Trouble("look")
        self.waiting: dict[str, Attempt] = {}
        self.stopped_by_drain: list[str] = []
        self.roster = Roster()
        self.requests = Requests(registry, self.roster, start)
        self.lanes = Lanes(catalogue, settings.queue_names)
        self.runner = Runner(
            catalogue,
            self.lanes,
            self._on_end,
            contexts=contexts,
            on_change=on_change,
            may_act=identity.is_here,
        )
        self.outbox = Outbox(registry, identity, self.roster, settings.lease_ttl_ms, on_change)
        self.neighbours = Neighbours(lambda: (*self.roster.demanding, *self.waiting.values()))
        self.scheduling = Scheduling(registry, catalogue.schedules, catalogue.names)
        self.claimer = Claimer(
            registry,
            identity,
            lambda: self.lanes.served,
            settings.lease_ttl_ms,
            self.neighbours,
            scheduling=self.scheduling,
            order=QueueOrder(settings.queues),
            turns=Turns(registry, self.outbox),
        )
        self.outbox.claims_now = self.claimer.is_about_to_ask
        self._unknown = UnknownLeases(
            registry,
            identity,
            self.claimer,
            self.outbox,
            waiting=self.waiting,
            kept=self.stopped_by_drain,
            start=start,
        )
        self.keeper = LeaseKeeper(
            self.roster,
            settings.lease_ttl_ms,
            registry.partition_of,
            self._on_lost,
            self._unknown.found,
        )
        # Half of the slots: while the server hands out the next rows, this worker runs those that it has. Small claims
        # would pay more for themselves than they save.
        self._at_once = max(settings.concurrency // 2, _WORTH_HALVING // 2)
        self._bound_tasks = frozenset(catalogue.owner_bound)

    @property
    def room(self) -> int:
        """How many more may be claimed: each run takes a slot, and many unwritten results stop claims too.

        What a claim may have started whose answer was lost takes a slot as well.
        """
        width = self._settings.concurrency
        slots = self.runner.room(width - self.roster.running - len(self.waiting) - self.claimer.may_bring)
        return min(slots, 4 * width - len(self.roster), MAX_BATCH)

    def serves(self, lane: str) -> bool:
        """Say whether a row of a lane may be claimed here, now."""
        if not self.lanes.serves(lane):
            return False
        if runs_alone(lane):
            return self.neighbours.may_take_alone
        return lane_parts(lane)[1] not in self._bound_tasks or self.neighbours.may_take_bound

    # ── beginning ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def claim(self, partition: int, *, once: bool = False) -> int:
        """Claim what there is room for and begin it; return how many. ``once``: nobody tells this worker of more.

        Raises:
            LashError: as ``Claimer.claim``; what it may have handed out comes with the next call.
        """
        try:
            count = self.room if once else min(self.room, self._at_once)
            claimed = await self.claimer.claim(partition, max(count, 1), once=once)
        finally:
            self._on_change()  # there may be more room than while its answer was missing
        self._identity.check()
        trusted_ms, now_ms = trusted_until_ms(claimed.sent_at_ms, self._settings.lease_ttl_ms), boottime_ms()
        for row in claimed.rows:
            try:
                self._take(partition, row, claimed, trusted_ms, now_ms)
            except SURVIVED as error:  # what a signal's handler raised just here: all of these are started already
                self._trouble.met(error)
                now_ms = boottime_ms()
                self._take(partition, row, claimed, trusted_ms, now_ms)
                attempt = self.roster.get(row.process_id)
                if attempt is not None and attempt.interrupt is None and not attempt.ended:
                    self.runner.begin(attempt)  # it was struck before it could begin
        if self.scheduling.has_stepped_back(claimed.claimed_at_ms, claimed.sent_at_ms):
            self._start(self.scheduling.set_back())
        if claimed.schedules and await self.scheduling.tick(claimed.schedules) and once:
            return len(claimed.rows) + await self.claim(partition, once=True)  # nobody else may be there for the ticks
        return len(claimed.rows)

    def _take(self, partition: int, row: ClaimedRow, claimed: Claimed, trusted_ms: int, now_ms: int) -> None:
        lease = ProcessLease(
            row.process_id, self._identity.owner, row.token, row.fence, claimed.claimed_at_ms, claimed.expires_at_ms
        )
        here = self.roster.get(row.process_id)
        if here is not None and here.lease.token == row.token:
            return
        if here is not None and here.has_result:
            # Its result is not written yet, and the row is this worker's again: nothing has to run twice.
            here.claimed_again(lease, claimed.sent_at_ms, self._settings.lease_ttl_ms)
            return
        attempt = Attempt(lease, row, partition, trusted_until_ms=trusted_ms, began_at_ms=now_ms)
        if here is not None and not here.ended:
            self.waiting[row.process_id] = attempt  # no two attempts of one process at once (rule 4.2)
        else:
            self._begin(attempt)

    def _begin(self, attempt: Attempt) -> None:
        if not attempt.bound and attempt.began_at_ms >= attempt.trusted_until_ms:
            self.outbox.release(attempt.lease)  # a late reply (rule 4.3)
            return
        self.roster.add(attempt)
        self.runner.begin(attempt)

    # ── ending ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_end(self, attempt: Attempt, end: RunEnd) -> None:
        if attempt.ended or not self._identity.is_here():
            return
        ending, result = ending_of(end.how, attempt.stop, bound=attempt.bound), end.result
        if has_result := ending in _WITH_RESULT:
            attempt.has_result = True
            attempt.took_ms = boottime_ms() - attempt.began_at_ms
            self.outbox.write(attempt, result)
        else:
            self._end_without_result(attempt, end, ending)
        self.roster.end(attempt)  # only now: where something strikes above, the end is told again
        if attempt.alone:
            self.claimer.ask_all()  # the next one may be taken now, and owner-bound work
        self.claimer.run_ended()
        if attempt.bound:
            self.claimer.may_have_more.update(self.neighbours.bound_ended())
        if self.waiting:
            self._go_on(attempt)
        self._on_change()
        if has_result and isinstance(result, Failure):
            tell_failed(attempt, result)  # last: nothing of the above waits for what tells (rule 11.7)

    def _end_without_result(self, attempt: Attempt, end: RunEnd, ending: Ending) -> None:
        match ending:
            case Ending.CANCEL:
                attempt.has_result = True
                self.outbox.write(attempt, Cancelled(attempt.reason))
            case Ending.RETRY:
                if end.again is not None and isinstance(end.result, Failure):
                    self.outbox.retry(attempt, end.again, end.result)
            case Ending.RELEASE:
                self.outbox.release(attempt.lease, attempt)
            case Ending.UNSTART:
                self.outbox.unstart(attempt)
            case Ending.SETTLE:
                self.stopped_by_drain.append(attempt.process_id)
                self.roster.forget(attempt)
            case _:  # FORGET
                self.roster.forget(attempt)

    def _go_on(self, ended: Attempt) -> None:
        """Begin the attempt that waited for this end; with a result there is nothing left to run."""
        waiting = self.waiting.pop(ended.process_id, None)
        if waiting is None:
            return
        if ended.has_result:
            ended.lease = waiting.lease
        else:
            waiting.began_at_ms = boottime_ms()
            self._begin(waiting)

    def stop_all(self) -> None:
        """Ask all that runs to stop, and begin nothing that waited for its end."""
        for attempt in self.waiting.values():
            self.outbox.release(attempt.lease)
        self.waiting.clear()
        for attempt in self.roster:
            attempt.ask_to_stop(Stop.DRAIN)

    # ── leases and requests ────────────────────────────────────────────────────────────────────────────────────────

    def _on_lost(self, attempt: Attempt) -> None:
        if attempt.process_id not in self._claiming_again:
            self._claiming_again.add(attempt.process_id)
            self._start(self._claim_again(attempt))

    async def _claim_again(self, attempt: Attempt) -> None:
        try:
            if await self.outbox.claim_again(attempt) is ClaimedAgain.OVER:
                attempt.ask_to_stop(Stop.TERMINAL)
        except SURVIVED as error:  # the next renewal that is answered reports the loss again
            self._trouble.met(error)
        finally:
            self._claiming_again.discard(attempt.process_id)

    # ── what only this worker knows ────────────────────────────────────────────────────────────────────────────────

    def is_in_flight(self, row: Row) -> bool:
        """Say whether the row runs here, is about to, or has a result not yet written (line 5 of the verdict)."""
        if row.process_id in self.roster or row.process_id in self.waiting:
            return True
        return row.holder_digest == self._me and self._unknown.may_have(row.process_id)

    def saw_end(self, row: Row) -> bool:
        """Say no: outside a drain, what ended here without a result is given back at once."""
        del row
        return False

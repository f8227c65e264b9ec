"""Write outcomes, unstart what could not begin, and release leases, in batches.

What ends while one write is under way is written together by the next. Everything is sent until it is answered,
whatever the server says meanwhile. A write that finds its lease lapsed claims the process again first (rule 3.5).
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Iterator, Mapping

from lash_redis.core.errors import (
    AlreadyStarted,
    AlreadyTerminal,
    AuthorityRejected,
    NotItsTurn,
    PayloadError,
    ScriptError,
    UnknownProcess,
)
from lash_redis.core.events import ProcessCompleted, ProcessResultRefused
from lash_redis.core.model import Acquired, ProcessLease, ProcessStatus
from lash_redis.core.outcomes import Failure, Outcome
from lash_redis.core.retrying import Again
from lash_redis.core.subscribers import emit, wants
from lash_redis.core.timing import boottime_ms
from lash_redis.recovery.last_writes import LastWrites
from lash_redis.registry.answers import RetriedRun, TerminalFact
from lash_redis.registry.calls.leases import attempt_of
from lash_redis.registry.codec import STATUS_CODES
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.attempt import Attempt
from lash_redis.worker.changes import Changes
from lash_redis.worker.failures import unfit_result
from lash_redis.worker.identity import Identity
from lash_redis.worker.roster import Roster
from lash_redis.worker.told import tell_retried
from lash_redis.worker.unsent import Unsent

_Name = tuple[str, str, int]
Encoded = tuple[str, bytes]
_Release = tuple[ProcessLease, Attempt | None]
_Retry = tuple[Again, Failure]
_Batches = Unsent[Attempt, Encoded] | Unsent[Attempt, None] | Unsent[Attempt, _Retry] | Unsent[_Name, _Release]

_COMPLETED = STATUS_CODES[ProcessStatus.COMPLETED]
_REFUSED = frozenset({"UNKNOWN", "TERMINAL", "AUTHORITY"})  # what no second try changes
_REFUSED_RETRIES = _REFUSED | {"STALE", "LOST"}


def facts_of(batch: Mapping[Attempt, Encoded]) -> list[TerminalFact]:
    """Return what is written of each attempt."""
    return [TerminalFact(attempt.lease, *encoded) for attempt, encoded in batch.items()]


class ClaimedAgain(enum.Enum):
    """What claiming a process again found."""

    OURS = "ours"
    TAKEN = "taken"  # another owner has it, or this owner may not run it
    OVER = "over"  # it has its terminal fact, or was pruned


class Outbox:
    """Writes for one worker.

    Args:
        registry: where it writes.
        identity: whose work it is.
        roster: what runs here, or has ended and is not written.
        lease_ttl_ms: of a process that is claimed again, ms.
        on_change: called when something was written.

    Attributes:
        claims_now: says whether a claim is about to be sent: it takes outcomes along.
        claiming: how many processes are being claimed again now: their leases may be renewed before they are known.
        finished: how many outcomes were written since ``begin_drain``.
        released: ids of what was given back since ``begin_drain``.
    """

    def __init__(
        self,
        registry: ProcessRegistry,
        identity: Identity,
        roster: Roster,
        lease_ttl_ms: int,
        on_change: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._identity = identity
        self._on_change = on_change
        self.claims_now: Callable[[], bool] = lambda: False
        self._roster = roster
        self._ttl_ms = lease_ttl_ms
        self._outcomes: dict[int, Unsent[Attempt, Encoded]] = {}  # by partition, as the next three
        self._retries: dict[int, Unsent[Attempt, _Retry]] = {}
        self._unstarts: dict[int, Unsent[Attempt, None]] = {}
        self._releases: dict[int, Unsent[_Name, _Release]] = {}
        self._to_do = Changes()
        self.claiming = 0
        self.finished = 0
        self.released: set[str] = set()
        self._is_draining = False

    def write(self, attempt: Attempt, outcome: Outcome) -> None:
        """Write this outcome under the attempt's lease with the next batch."""
        try:
            encoded = self._registry.encoded(outcome)
        except PayloadError as error:
            encoded = self._registry.encoded(unfit_result(error))
        unsent = self._outcomes.get(attempt.partition)
        if unsent is None:
            unsent = self._outcomes[attempt.partition] = Unsent("terminalize", self._write)
        unsent.items[attempt] = encoded
        self._to_do.notify()

    def unstart(self, attempt: Attempt) -> None:
        """Give back whole what was started and never begun (rule 4.5); its code may not begin any more."""
        unsent = self._unstarts.setdefault(attempt.partition, Unsent("unstart", self._unstart))
        unsent.items[attempt] = None
        self._to_do.notify()

    def retry(self, attempt: Attempt, again: Again, failure: Failure) -> None:
        """Delay what failed, to be run again, with the next batch."""
        unsent = self._retries.setdefault(attempt.partition, Unsent("retry", self._retry))
        unsent.items[attempt] = (again, failure)
        self._to_do.notify()

    def release(self, lease: ProcessLease, attempt: Attempt | None = None) -> None:
        """Release a lease under which nothing runs with the next batch."""
        partition, name = self._registry.partition_of(lease.process_id), attempt_of(lease)
        unsent = self._releases.setdefault(partition, Unsent("release", self._release))
        if attempt is not None or name not in unsent.items:  # several renewals may list one unknown lease
            unsent.items[name] = (lease, attempt)
        self._to_do.notify()

    def note_released(self, process_id: str, *, is_ours: bool) -> None:
        """Note what was given back, if a drain has begun and it was still this worker's."""
        if is_ours and self._is_draining:
            self.released.add(process_id)

    @property
    def is_empty(self) -> bool:
        """Nothing is left to send."""
        return not any(each.items for each in self._each())

    @property
    def unsent(self) -> LastWrites:
        """The results that are not written yet, and what is not given back yet although it never began."""
        results = [fact for each in self._outcomes.values() for fact in facts_of(each.items)]
        return LastWrites(results, [attempt.lease for each in self._unstarts.values() for attempt in each.items])

    def outcomes_in(self, partition: int) -> Unsent[Attempt, Encoded] | None:
        """Return the outcomes of a partition that are not written yet; None if there never were any."""
        return self._outcomes.get(partition)

    def look_again(self) -> None:
        """Send what is not under way any more."""
        self._to_do.notify()

    def begin_drain(self) -> None:
        """Note from now on what is given back and written."""
        self._is_draining = True

    def try_now(self) -> None:
        """Send without delay what failed a moment ago."""
        for each in self._each():
            each.due_at_ms = 0
        self._to_do.notify()

    async def run(self) -> None:
        """Send whatever there is to send, for ever. Ends by cancellation, and in a forked copy."""
        while True:
            due_at_ms = min((each.due_at_ms for each in self._each() if each.waits), default=None)
            await self._to_do.wait(None if due_at_ms is None else max(due_at_ms - boottime_ms(), 0) / 1000)
            if self.claims_now():
                await asyncio.sleep(0)  # what woke the claims too, has them run now
            await self.step()
            self._on_change()

    async def step(self) -> None:
        """Send one batch of each kind to each partition, unless a failure is too recent."""
        for each in self._each():
            self._identity.check()
            await each.step()

    def _each(self) -> Iterator[_Batches]:
        yield from list(self._outcomes.values())
        yield from list(self._retries.values())
        yield from list(self._unstarts.values())
        yield from list(self._releases.values())

    # ── what a batch does ──────────────────────────────────────────────────────────────────────────────────────────

    async def _write(self, batch: dict[Attempt, Encoded]) -> None:
        statuses = await self._registry.terminalize_many(facts_of(batch), attempts=1)
        lost, told = [], wants(ProcessCompleted)
        for attempt, status in zip(batch, statuses, strict=True):
            if status == "DONE":
                self.written(attempt, batch[attempt], told=told)
            elif status == "LOST":
                lost.append(attempt)
            elif status in _REFUSED:
                self._refused(attempt, status)
            else:
                raise ScriptError(f"unexpected status {status!r}")
        for attempt in lost:
            if await self.claim_again(attempt) is not ClaimedAgain.OURS:
                self._refused(attempt, "LOST")

    def written(self, attempt: Attempt, encoded: Encoded, *, told: bool) -> None:
        """Be done with an outcome that is written, and tell of it to those that want to hear."""
        self.finished += self._is_draining
        self._done_with(attempt)
        if told and encoded[0] == _COMPLETED:
            emit(ProcessCompleted(process_id=attempt.process_id, task=attempt.task, took_ms=attempt.took_ms))

    async def _retry(self, batch: dict[Attempt, _Retry]) -> None:
        batch = self._first_of_each(batch)
        runs = [RetriedRun(attempt.lease, again, failure) for attempt, (again, failure) in batch.items()]
        statuses = await self._registry.retry_many(runs, attempts=1)
        for attempt, status in zip(batch, statuses, strict=True):
            if status == "LOST" and await self.claim_again(attempt) is ClaimedAgain.OURS:
                continue  # it is sent again under the new lease
            if status in _REFUSED_RETRIES:
                self._refused(attempt, status)
            else:
                self._done_with(attempt)
                tell_retried(attempt, *batch[attempt], status)

    def _first_of_each(self, batch: dict[Attempt, _Retry]) -> dict[Attempt, _Retry]:
        """Return the batch with the earliest run of each process: a row keeps the token of its last retry alone.

        The next run of a process may have failed too before the retry of the one before was answered.
        """
        items, first = self._retries[next(iter(batch)).partition].items, dict[str, Attempt]()
        for attempt in items:
            other = first.setdefault(attempt.process_id, attempt)
            if attempt.lease.fencing_token < other.lease.fencing_token:
                first[attempt.process_id] = attempt
        return {first[each.process_id]: items[first[each.process_id]] for each in batch}

    async def _unstart(self, batch: dict[Attempt, None]) -> None:
        statuses = await self._registry.unstart_many([attempt.lease for attempt in batch], attempts=1)
        for attempt, status in zip(batch, statuses, strict=True):
            if status == "LOST" and await self.claim_again(attempt) is ClaimedAgain.OURS:
                continue  # it is sent again under the new lease
            self.note_released(attempt.process_id, is_ours=status == "DONE")
            self._done_with(attempt)

    async def _release(self, batch: dict[_Name, _Release]) -> None:
        leases = [lease for lease, _ in batch.values()]
        were_ours = await self._registry.release_many(leases, attempts=1)
        for (name, (lease, _)), is_ours in zip(batch.items(), were_ours, strict=True):
            self.note_released(lease.process_id, is_ours=is_ours)
            items = self._releases[self._registry.partition_of(lease.process_id)].items
            _, attempt = items[name]
            if attempt is not None:
                self._done_with(attempt)
            del items[name]

    def _refused(self, attempt: Attempt, status: str) -> None:
        emit(ProcessResultRefused(process_id=attempt.process_id, status=status))
        self._done_with(attempt)
        self.release(attempt.lease)

    def _done_with(self, attempt: Attempt) -> None:
        self._roster.forget(attempt)  # first: what strikes behind it lets the rest be sent, and so done, again
        for each in (self._outcomes, self._retries, self._unstarts):
            if (unsent := each.get(attempt.partition)) is not None:
                unsent.items.pop(attempt, None)

    async def claim_again(self, attempt: Attempt) -> ClaimedAgain:
        """Claim a process again whose lease lapsed under this attempt, if it can still be this owner's.

        Raises:
            LashError: no answer that says whose it is; ask again.
        """
        self._identity.check()
        self.claiming += 1
        sent_at = boottime_ms()
        try:
            answer = await self._registry.claim(attempt.process_id, attempt.lease.owner, self._ttl_ms)
        except (AlreadyTerminal, UnknownProcess):
            return ClaimedAgain.OVER
        except (AlreadyStarted, AuthorityRejected, NotItsTurn):
            return ClaimedAgain.TAKEN
        finally:
            self.claiming -= 1
        if not isinstance(answer, Acquired):
            return ClaimedAgain.TAKEN
        attempt.claimed_again(answer.lease, sent_at, self._ttl_ms)
        return ClaimedAgain.OURS

"""Batch claims of one worker: numbered in each partition, sent again until answered, rotating over partitions.

The same number hands out the same rows, and a lower one answers stale. So no late copy of a claim can lease or start
anything for a worker that has gone (rule 8.5).

A claim that fails again and again although the server answers is let go: it is closed, so that nothing of it begins
here any more, and a renewal then gives back whole what it started. Otherwise one partition would stop all claims.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from lash_redis.core.errors import NamespaceMismatch, RecordedDead, RegistryUnavailable
from lash_redis.core.loops import PerLoop
from lash_redis.core.timing import boottime_ms, jittered
from lash_redis.registry.answers import BatchClaim, Takes
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.served_lanes import ServedLanes
from lash_redis.worker.claimed import Claimed, SentClaim
from lash_redis.worker.due_times import DueTimes
from lash_redis.worker.identity import Identity
from lash_redis.worker.neighbours import Neighbours
from lash_redis.worker.queue_order import QueueOrder
from lash_redis.worker.remembering import Remembering
from lash_redis.worker.scheduling import Scheduling
from lash_redis.worker.turns import Turns

_LET_GO_AFTER = 5  # sendings that failed: some answers are lost, and the next brings the rows
ASK_AGAIN_S = 0.25  # for what another one was woken for, and what was left to others
_STEMS = 1000  # of claims that were let go; by then what the oldest started has long been given back


class Claimer:
    """Claims for one owner from its queues, in their order.

    Args:
        registry: where it claims.
        identity: who will hold the leases.
        served: returns the queues in their order, and the lanes that the owner serves now.
        ttl_ms: of the leases, ms.
        neighbours: says what may run beside what runs here (rule 4.6).
        scheduling: ticks the schedules that are due.
        order: of the queues in each claim; None: as they are listed.
        turns: sends the claims; None: without anything that goes along.

    Attributes:
        has_given_up: a missing answer is not waited for any more; what it handed out is the drain's.
        may_have_more: the partitions that may have more than they handed out last.
        due: when something becomes due.
        turns: sends the claims.
    """

    def __init__(
        self,
        registry: ProcessRegistry,
        identity: Identity,
        served: Callable[[], ServedLanes],
        ttl_ms: int,
        neighbours: Neighbours,
        *,
        scheduling: Scheduling,
        order: QueueOrder | None = None,
        turns: Turns | None = None,
    ) -> None:
        self._registry = registry
        self.turns = turns or Turns(registry)
        self._identity = identity
        self._served = served
        self._neighbours = neighbours
        self._ttl_ms = ttl_ms
        self._order = order or QueueOrder(())
        self._numbers: dict[int, int] = {}
        self._unanswered: dict[int, SentClaim] = {}
        self._let_go: deque[str] = deque(maxlen=_STEMS)
        self._set_aside: set[int] = set()
        self._turn = PerLoop(asyncio.Lock)  # the next number is sent only after an answer (rule 8.5)
        self._last = -1
        self.remembering = Remembering()
        self._left_until_ms: dict[int, int] = {}  # by partition: what was left there is for others until then
        self.due = DueTimes(registry, scheduling)
        self._closed: set[int] = set()
        self.is_leaving = False
        self.has_given_up = False
        self.may_have_more: set[int] = set()

    @property
    def served(self) -> ServedLanes:
        """The lanes that the next claim names."""
        return self._served()

    @property
    def unanswered(self) -> list[int]:
        """The partitions whose last claim has no answer yet: its rows are not known here."""
        return list(self._unanswered)

    @property
    def is_quiet(self) -> bool:
        """Every partition was asked, has answered, and had no more."""
        return len(self._numbers) == self._registry.partitions and not (self._unanswered or self.may_have_more)

    def is_about_to_ask(self) -> bool:
        """Say whether nothing is being asked for, and some partition may have more."""
        return bool(self.may_have_more) and not self._turn.get().locked()

    @property
    def may_bring(self) -> int:
        """How many rows the claims whose answers were lost may bring, at most."""
        lost = [each for partition, each in self._unanswered.items() if partition not in self._set_aside]
        return sum(each.claim.count for each in lost if each.failures)

    def next_partition(
        self, may_claim: Callable[[int], bool] = lambda _: True, is_due: Callable[[int], bool] = lambda _: True
    ) -> int | None:
        """Return the partition whose turn it is, or None if there is nothing to ask for.

        One whose answer is missing comes first: its rows may take slots that are free.

        Args:
            may_claim: whether anything new may be claimed from a partition.
            is_due: whether a partition may be asked now.
        """
        if missing := [each for each in self._unanswered if each not in self._set_aside and is_due(each)]:
            return missing[0]
        open_ones = self.may_have_more - self._set_aside - self._unanswered.keys()
        candidates = {each for each in open_ones if self.may_ask(each) and is_due(each) and may_claim(each)}
        if not candidates:
            return None
        self._last = min(candidates, key=lambda partition: (partition <= self._last, partition))
        return self._last

    def ask_all(self) -> None:
        """Ask every partition again."""
        for partition in range(self._registry.partitions):
            self.ask(partition)

    def ask(self, partition: int) -> None:
        """Ask a partition: something has changed there, or here."""
        self._set_aside.discard(partition)
        self._left_until_ms.pop(partition, None)
        self.may_have_more.add(partition)

    def run_ended(self) -> None:
        """Ask for what was left to others: there is room for more of it."""
        self._left_until_ms.clear()

    def may_ask(self, partition: int) -> bool:
        """Say whether a partition may be asked now: nothing was left there to others, or they have had their time."""
        return self._left_until_ms.get(partition, 0) <= boottime_ms()

    async def ask_due(self, may_claim: Callable[[int], bool]) -> None:
        """Ask the partitions in which something has become due; where this worker may not claim, others are woken."""
        for partition in self.due.passed():
            self.ask(partition)
            if not may_claim(partition):
                await self.due.bring(partition)

    @property
    def left_until_ms(self) -> Iterable[int]:
        """When the partitions may be asked again in which work was left to others (boot-time clock, ms)."""
        return self._left_until_ms.values()

    async def claim(self, partition: int, count: int, *, once: bool = False) -> Claimed:
        """Claim and start up to ``count`` rows, or get the answer to the claim before, if that is missing.

        With ``once`` the owner takes what there is, and is not told of more. Only an answer of the script lets the
        number go, or the proof that no sending of it was applied.

        Raises:
            RecordedDead: others take this owner for dead.
            NamespaceMismatch: the partition is not what it was; it is set aside until the next ``ask``.
            LashError: no answer; ask again.
        """
        async with self._turn.get():
            sent = self._unanswered.get(partition)
            if sent is None and self.is_leaving:
                return Claimed([], 0, 0, 0)
            self._identity.check()
            was_sent, sent = sent is not None, sent or SentClaim(self._numbered(partition, count, once=once))
            self._unanswered[partition] = sent
            self.may_have_more.discard(partition)  # before it is sent: a wake-up may come before the answer
            sent_at = boottime_ms()
            try:
                batch = await self.turns.claim_next(sent.claim, is_first=not was_sent)
            except Exception as error:
                await self._failed(partition, sent, error, was_sent=was_sent)
                raise
            self.remembering.answered(sent.claim, sent_at)
            if sent.failures:
                self._ask_each()
            if self._unanswered.pop(partition, None) is None:
                return Claimed([], 0, 0, 0)  # it was given up meanwhile
            if batch.stale and sent.claim.number == self._numbers[partition]:
                raise RecordedDead(self._identity.owner)
            claims_again = self._neighbours.claimed(partition, passed_alone=batch.passed_alone)
            if batch.may_have_more or claims_again:
                self.may_have_more.add(partition)
            if batch.is_shared:
                self._left_until_ms[partition] = boottime_ms() + int(1000 * jittered(ASK_AGAIN_S, 0.5))
            self.due.told(partition, None if batch.due_at_ms is None else batch.due_at_ms - batch.claimed_at_ms)
            return Claimed(batch.rows, batch.claimed_at_ms, batch.expires_at_ms, sent_at, batch.schedules)

    async def _failed(self, partition: int, sent: SentClaim, error: Exception, *, was_sent: bool) -> None:
        sent.failures += 1
        self.remembering.forget(partition)
        if is_mismatch := isinstance(error, NamespaceMismatch):
            self._set_aside.add(partition)
        else:
            self.may_have_more.add(partition)
        changed_nothing = is_mismatch or (isinstance(error, RegistryUnavailable) and not error.maybe_applied)
        if changed_nothing and not was_sent:  # else an earlier sending may have been applied
            self._unanswered.pop(partition, None)
        elif sent.failures >= _LET_GO_AFTER:
            with suppress(Exception):  # it is asked for again, as the error of the claim says
                await self.close(partition)

    def leave(self) -> None:
        """Claim nothing new; a missing answer may still be asked for."""
        self.is_leaving = True

    def give_up(self) -> tuple[str, ...]:
        """Wait for no answer any more: nothing that a missing one hands out begins here.

        Return what the tokens of all claims begin with that were let go.
        """
        for sent in self._unanswered.values():
            self._let_go.append(sent.claim.token_stem)
        self._unanswered.clear()
        self.has_given_up = True
        return tuple(self._let_go)

    def has_let_go(self, token: str) -> bool:
        """Say whether a token is of a claim that was let go: no code begins under it."""
        return token.startswith(tuple(self._let_go))

    def open_partitions(self, partitions: int) -> list[int]:
        """Return the partitions in which a late copy of a claim could still lease something."""
        return [partition for partition in range(partitions) if partition not in self._closed]

    async def close(self, partition: int, *, lives_on_ms: int | None = None) -> None:
        """Close the claims under the next number, which makes any late copy stale (rules 7.2 and 8.5).

        An answer that is missing is waited for no more.

        Args:
            partition: where it claimed.
            lives_on_ms: for how long its list of lanes counts as served from now on, unless another worker that serves
                it calls; None leaves that as it is.

        Raises:
            LashError: no answer; to be asked again.
        """
        self._identity.check()
        number = self._next_number(partition)
        await self._registry.close_claims(
            partition,
            self._identity.owner,
            number,
            self.served.queues,
            list_name="" if lives_on_ms is None else self.served.name,
            lives_on_ms=lives_on_ms or 0,
        )
        self._closed.add(partition)
        self.remembering.forget(partition)
        if (sent := self._unanswered.pop(partition, None)) is not None:
            self._let_go.append(sent.claim.token_stem)
            self._ask_each()

    def _ask_each(self) -> None:
        """Ask every partition again: while an answer was missing, there was less that could be taken from it."""
        self.may_have_more.update(range(self._registry.partitions))

    def _numbered(self, partition: int, count: int, *, once: bool) -> BatchClaim:
        was_left = self._left_until_ms.pop(partition, None) is not None  # the others have had their time
        takes: Takes = "once" if once else "all" if was_left else "share"
        lost = [each.claim for each in self._unanswered.values()]  # each may bring what it may take
        alone = self._neighbours.may_take_alone and not any(each.alone or each.bound for each in lost)
        bound = self._neighbours.may_take_bound and not any(each.alone for each in lost)
        self._closed.discard(partition)
        number = self._next_number(partition)
        me, order, served = self._identity.owner, self._order.next(), self.served
        remembers = once or self.remembering.is_due(partition, served.name, boottime_ms())
        return BatchClaim(partition, me, number, count, self._ttl_ms, served, alone, bound, takes, order, remembers)

    def _next_number(self, partition: int) -> int:
        self._numbers[partition] = self._numbers.get(partition, 0) + 1
        return self._numbers[partition]

"""Judge renewals: what was confirmed, what was lost, and when the local trust in a lease ends (rules 6.1 and 6.2).

Renewals come from a thread (``renewal``) or from the supervisor over its pipe (``pool.renewal``).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lash_redis.core.events import ProcessLeaseLost, ProcessStopRequested
from lash_redis.core.model import AbandonRequest, CancelRequest
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import boottime_ms, sleep
from lash_redis.core.trouble import SURVIVED, Trouble
from lash_redis.registry.answers import RenewedRow
from lash_redis.registry.rows import Row
from lash_redis.worker.attempt import Attempt, Stop
from lash_redis.worker.roster import Roster
from lash_redis.worker.trust import margin_ms


class Renewal(msgspec.Struct, frozen=True):
    """One answered renewal of one partition: when it was sent (boot-time clock, ms), and what it renewed."""

    partition: int
    sent_at_ms: int
    rows: list[RenewedRow]


class LeaseKeeper:
    """Judges renewals for one worker. It does no I/O: it hands what must be done to the callables.

    Args:
        roster: the attempts in hand.
        ttl_ms: of this worker's leases.
        partition_of: which partition a process is in.
        on_lost: called with owner-bound work whose lease is gone, to claim it again.
        on_unknown: called with a renewed lease that this worker does not know, to give it back (rule 6.4).
    """

    def __init__(
        self,
        roster: Roster,
        ttl_ms: int,
        partition_of: Callable[[str], int],
        on_lost: Callable[[Attempt], None],
        on_unknown: Callable[[RenewedRow], None],
    ) -> None:
        self._roster = roster
        self._ttl_ms = ttl_ms
        self._partition_of = partition_of
        self._on_lost = on_lost
        self._on_unknown = on_unknown
        self._trouble = Trouble("watch trust")
        self._began_at_ms = boottime_ms()
        self._renewed_at_ms: dict[int, int] = {}

    def may_claim(self, partition: int) -> bool:
        """Say whether the last renewal in a partition is recent enough (rule 6.5)."""
        renewed_at_ms = self._renewed_at_ms.get(partition, self._began_at_ms)
        return boottime_ms() - renewed_at_ms < self._ttl_ms * 2 // 3

    def apply(self, renewal: Renewal) -> None:
        """Take one answered renewal."""
        before = self._renewed_at_ms.get(renewal.partition, self._began_at_ms)
        self._renewed_at_ms[renewal.partition] = max(before, renewal.sent_at_ms)
        listed: set[str] = set()
        for row in renewal.rows:
            attempt = self._roster.get(row.process_id)
            if attempt is None or attempt.lease.token != row.token:
                self._on_unknown(row)
                continue
            listed.add(row.process_id)
            attempt.trust(renewal.sent_at_ms, self._ttl_ms)
            if (request := row.request) is not None:
                deliver(attempt, request)
        for attempt in self._roster:
            if attempt.process_id in listed or attempt.leased_at_ms >= renewal.sent_at_ms or attempt.ended:
                continue
            if self._partition_of(attempt.process_id) == renewal.partition:
                self._lost(attempt)

    def _lost(self, attempt: Attempt) -> None:
        emit(ProcessLeaseLost(process_id=attempt.process_id))
        if attempt.bound:
            self._on_lost(attempt)
        else:
            attempt.ask_to_stop(Stop.TRUST)

    def step(self) -> None:
        """Stop rerunnable work whose trust has ended."""
        now = boottime_ms()
        for attempt in self._roster:
            if not attempt.bound and now >= attempt.trusted_until_ms and attempt.ask_to_stop(Stop.TRUST):
                emit(ProcessStopRequested(process_id=attempt.process_id, why="the lease could not be renewed"))

    async def run(self) -> None:
        """Watch the trust of all attempts with one timer; ends by cancellation."""
        tick_ms, was_late = margin_ms(self._ttl_ms) // 4, False
        while True:
            slept_at_ms = boottime_ms()
            await sleep(tick_ms / 1000)
            # After a long C call that held the GIL, the renewals of that time are not applied yet: wait one tick more.
            was_late = not was_late and boottime_ms() - slept_at_ms >= 2 * tick_ms
            if was_late:
                continue
            try:
                self.step()
            except SURVIVED as error:  # one attempt that cannot be asked ends no watch over the others
                self._trouble.met(error)
            else:
                self._trouble.over()


def deliver_row(attempt: Attempt, row: Row) -> None:
    """Deliver the request that stands on a row to the work that it is about."""
    request = row.request
    if request is not None and row.token == attempt.lease.token:
        deliver(attempt, request)


def deliver(attempt: Attempt, request: CancelRequest | AbandonRequest) -> None:
    """Deliver a cancel or abandon request to the work that it is about."""
    if attempt.ask_to_stop(Stop.REQUESTED, request.reason):
        emit(ProcessStopRequested(process_id=attempt.process_id, why=f"requested by {request.requested_by}"))

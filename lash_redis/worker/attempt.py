"""One attempt at one process in this worker: its lease, its trust, and whether it was asked to stop."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable

import msgspec

from lash_redis.core.lanes import lane_parts, runs_alone
from lash_redis.core.model import ProcessLease
from lash_redis.core.timing import boottime_ms
from lash_redis.registry.answers import OWNER_BOUND, ClaimedRow
from lash_redis.worker.trust import trusted_until_ms


class Stop(enum.Enum):
    """Why a run is asked to stop; ``ending`` decides what that means for its outcome."""

    __hash__ = object.__hash__  # as that of ``How``
    REQUESTED = "requested"  # a cancel or an abandon request
    DRAIN = "drain"
    TRUST = "trust"  # the lease was lost, or could not be renewed in time
    TERMINAL = "terminal"  # the row has its terminal fact: nothing is left to write


class Attempt(msgspec.Struct, eq=False):
    """One claimed and started process.

    Attributes:
        lease: as it stands; a starter that claims its own again keeps the token under a new fence.
        row: what the claim handed out.
        partition: in which it is.
        stop: why it was asked to stop, None if it was not.
        reason: that of the request to stop.
        interrupt: asks the running code to stop: cancels the task, or raises in the thread.
        ended: its code has ended here; what is left is to write the outcome or release the lease.
        has_result: it ended with an outcome to write, and not only with a lease to release.
        took_ms: how long its code ran, ms, once it has a result.
        trusted_until_ms: local trust in the lease, on this machine's clock since boot, ms (rule 6.1).
        began_at_ms: when it was begun, ms, by that clock; 0: now. What was claimed together was begun together.
        leased_at_ms: when it got its lease, ms, by that clock.
        number: that of this run, from 1; runs that were lost, released or snoozed are not counted.
        process_id: the process id.
        task: the name of its task; empty if it has none.
        signature: the digest of the signature that it was written for.
        bound: owner-bound: it goes on without trust, since no other owner may ever run it (rule 6.2).
        alone: one such row runs in a worker at a time, since it has lost an owner twice (rule 4.6).
    """

    lease: ProcessLease
    row: ClaimedRow
    partition: int
    stop: Stop | None = None
    reason: str | None = None
    interrupt: Callable[[], object] | None = None
    ended: bool = False
    has_result: bool = False
    took_ms: int = 0
    trusted_until_ms: int = 0
    began_at_ms: int = 0
    leased_at_ms: int = 0
    number: int = 1
    process_id: str = ""
    task: str = ""
    signature: str = ""
    bound: bool = False
    alone: bool = False

    def __post_init__(self) -> None:
        row = self.row
        self.process_id = self.lease.process_id
        self.task, self.signature, self.alone = _read(row.lane)
        self.bound = row.disposition == OWNER_BOUND
        self.number = row.retries + 1
        if not self.began_at_ms:
            self.began_at_ms = boottime_ms()
        self.leased_at_ms = self.began_at_ms

    def trust(self, sent_at_ms: int, ttl_ms: int) -> None:
        """Trust the lease for as long as a claim or renewal that was sent at that moment allows (rule 6.1)."""
        self.trusted_until_ms = max(self.trusted_until_ms, trusted_until_ms(sent_at_ms, ttl_ms))

    def claimed_again(self, lease: ProcessLease, sent_at_ms: int, ttl_ms: int) -> None:
        """Go on under a new lease on the same process."""
        self.lease = lease
        self.leased_at_ms = boottime_ms()
        self.trust(sent_at_ms, ttl_ms)

    def ask_to_stop(self, why: Stop, reason: str | None = None) -> bool:
        """Interrupt the run; return False if it was asked before or has ended.

        A drain interrupts work that ignored an earlier stop once more. The first reason stands.
        """
        is_first = self.stop is None
        if self.ended or not (is_first or why is Stop.DRAIN):
            return False
        if is_first:
            self.stop, self.reason = why, reason
        if self.interrupt is not None:
            self.interrupt()
        return is_first


@functools.lru_cache(maxsize=4096)
def _read(lane: str) -> tuple[str, str, bool]:
    """Return what a lane says of its rows: their task, the digest of the signature, and whether each runs alone."""
    _, task, signature = lane_parts(lane)
    return task, signature, runs_alone(lane)

"""Recording that user code begins, under a lease or by a host elsewhere; and that it never began. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from lash_redis.core.checks import checked_int
from lash_redis.core.model import ProcessLease, ProcessRecord, ProcessStarted
from lash_redis.core.struct_checks import checked_kind
from lash_redis.registry.calls.batches import batched
from lash_redis.registry.calls.call import ATTEMPTS, Call, Namespace, Steps, about
from lash_redis.registry.calls.leases import attempt_of, leases_args, one_owner
from lash_redis.registry.calls.owners import owner_args


def start(namespace: Namespace, lease: ProcessLease) -> Call[ProcessRecord]:
    """Record that user code begins under this lease; only then may it run (rule 4.1).

    Raises:
        LeaseLost: it lapsed, or was replaced.
        AlreadyStarted: owner-bound work that another token started.
    """
    process_id, token, fence = attempt_of(lease)
    return about(namespace, "start", process_id, one_owner([lease]), token, fence, lease=lease)


def record_first_started(namespace: Namespace, process_id: str, started: ProcessStarted) -> Call[ProcessRecord]:
    """Record, without a lease, that a host elsewhere began the work; a second writer gets the record.

    Raises:
        LeaseHeld: another owner holds a live lease.
        AuthorityRejected: it is externally owned.
    """
    checked_kind("started", started, ProcessStarted)
    started_at_ms = checked_int("started_at_ms", started.started_at_ms, at_least=0, at_most=2**53)
    return about(namespace, "record_first_started", process_id, *owner_args(started.owner), started_at_ms)


def unstart_many(namespace: Namespace, leases: Sequence[ProcessLease], *, attempts: int = ATTEMPTS) -> Steps[list[str]]:
    """Give back work of one owner that was started and whose code was never entered (rule 4.5).

    Once this was sent, whatever the answer, code must never begin under these tokens. The answer has one status word
    for each lease: ``DONE`` (its start is cleared, and it stands in its lane or is cancelled), ``LOST`` (owner-bound
    work whose lease is not live: claim it again, and send this again), ``STALE`` (nothing is left to give back under
    this token), ``UNKNOWN``, ``TERMINAL``.
    """

    def call(partition: int, batch: Sequence[ProcessLease]) -> Call[list[str]]:
        args = leases_args(batch)
        return Call("unstart", partition, args, lambda reply: [word.decode() for word in reply[1:]], attempts=attempts)

    return batched(namespace, leases, lambda lease: attempt_of(lease)[0], call)

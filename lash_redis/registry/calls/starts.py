"""Recording that user code begins: under a lease, or by a host that runs the work elsewhere. Pure."""

from __future__ import annotations

from lash_redis.core.checks import checked_int
from lash_redis.core.model import ProcessLease, ProcessRecord, ProcessStarted
from lash_redis.registry.calls.call import Call, Namespace, about
from lash_redis.registry.calls.owners import owner_args
from lash_redis.registry.keys import owner_digest


def start(namespace: Namespace, lease: ProcessLease) -> Call[ProcessRecord]:
    """Record that user code begins under this lease; only then may it run (rule 4.1).

    Raises:
        LeaseLost: it lapsed, or was replaced.
        AlreadyStarted: owner-bound work that another token started.
    """
    args = (owner_digest(lease.owner), lease.token, lease.fencing_token)
    return about(namespace, "start", lease.process_id, *args, lease=lease)


def record_first_started(namespace: Namespace, process_id: str, started: ProcessStarted) -> Call[ProcessRecord]:
    """Record, without a lease, that a host elsewhere began the work; a second writer gets the record.

    Raises:
        LeaseHeld: another owner holds a live lease.
        AuthorityRejected: it is externally owned.
    """
    started_at_ms = checked_int("started_at_ms", started.started_at_ms, at_least=0, at_most=2**53)
    return about(namespace, "record_first_started", process_id, *owner_args(started.owner), started_at_ms)

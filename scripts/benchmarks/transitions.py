"""The bare transitions of one owner in batches: register, claim and start, complete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lash_redis import (
    LeaseOwner,
    ProcessLease,
    ProcessRegistration,
    ProcessRegistry,
    RecoveryDisposition,
    Success,
    TaskInput,
)
from lash_redis.registry.answers import BatchClaim, ClaimedBatch, TerminalFact
from lash_redis.registry.served_lanes import ServedLanes

OWNER = LeaseOwner.opaque("bench", "1")
SIGNATURE = "0123456789abcdef"  # of a task that nobody runs
_TTL_MS = 600_000


def registrations(count: int, signature: str, *, first: int = 0) -> Iterator[ProcessRegistration]:
    """Yield registrations of ``nothing`` with an id of 20 characters and one small argument."""
    for number in range(first, first + count):
        yield ProcessRegistration(
            f"process-{number:012d}",
            TaskInput("nothing", (number,)),
            RecoveryDisposition.RERUNNABLE,
            signature=signature,
            chosen_id=False,
        )


def batch_claim(number: int, size: int, signature: str) -> BatchClaim:
    """Return the batch claim ``number`` of up to ``size`` of these processes."""
    queues = [("default", [f"default|nothing|{signature}"])]
    return BatchClaim(0, OWNER, number, size, _TTL_MS, ServedLanes(queues))


def leases(batch: ClaimedBatch) -> list[ProcessLease]:
    """Return the leases of what was handed out."""
    return [ProcessLease(row.process_id, OWNER, row.token, row.fence, 0, 0) for row in batch.rows]


def facts(registry: ProcessRegistry, held: Sequence[ProcessLease]) -> list[TerminalFact]:
    """Return for each lease that its process is completed."""
    state, data = registry.encoded(Success())
    return [TerminalFact(lease, state, data) for lease in held]


async def claim(registry: ProcessRegistry, number: int, size: int, signature: str) -> list[ProcessLease]:
    """Claim and start up to ``size`` of these processes, as the batch claim ``number``."""
    return leases(await registry.claim_next(batch_claim(number, size, signature)))


async def complete(registry: ProcessRegistry, held: Sequence[ProcessLease]) -> None:
    """Complete processes in one batch."""
    await registry.terminalize_many(facts(registry, held))

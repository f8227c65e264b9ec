"""The bare transitions of one owner in batches: register, claim and start, complete."""

from __future__ import annotations

from collections.abc import Iterator

from lash_redis import (
    LeaseOwner,
    ProcessLease,
    ProcessRegistration,
    ProcessRegistry,
    RecoveryDisposition,
    Success,
    TaskInput,
)
from lash_redis.registry.answers import BatchClaim, TerminalFact
from lash_redis.registry.served_lanes import ServedLanes

OWNER = LeaseOwner.opaque("bench", "1")
_TTL_MS = 600_000


def registrations(count: int, signature: str) -> Iterator[ProcessRegistration]:
    """Yield registrations of ``nothing`` with an id of 20 characters and one small argument."""
    for number in range(count):
        yield ProcessRegistration(
            f"process-{number:012d}",
            TaskInput("nothing", (number,)),
            RecoveryDisposition.RERUNNABLE,
            signature=signature,
            chosen_id=False,
        )


async def claim(registry: ProcessRegistry, number: int, size: int, signature: str) -> list[ProcessLease]:
    """Claim and start up to ``size`` of these processes, as the batch claim ``number``."""
    queues = [("default", [f"default|nothing|{signature}"])]
    batch = await registry.claim_next(BatchClaim(0, OWNER, number, size, _TTL_MS, ServedLanes(queues)))
    return [ProcessLease(row.process_id, OWNER, row.token, row.fence, 0, 0) for row in batch.rows]


async def complete(registry: ProcessRegistry, leases: list[ProcessLease]) -> None:
    """Complete processes in one batch."""
    state, data = registry.encoded(Success())
    await registry.terminalize_many([TerminalFact(lease, state, data) for lease in leases])

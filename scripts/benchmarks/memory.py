"""Bytes a process, by what it is doing."""

from __future__ import annotations

import asyncio

from benchmarks.server import Work, fresh_server
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

PROCESSES = 10_000
BATCH = 500


async def measure() -> None:
    """Print bytes queued, started and terminal, with a 20-character id and small arguments."""
    with fresh_server() as url:
        registry = ProcessRegistry(url, namespace="bench")
        await registry.open()
        work = Work(url)
        await registry.register_many(
            ProcessRegistration(f"process-{number:012d}", TaskInput("nothing", (number,)),
                                RecoveryDisposition.RERUNNABLE, signature="0123456789abcdef")
            for number in range(PROCESSES)
        )  # fmt: skip
        queued = work.since()[2]
        owner, leases = LeaseOwner.opaque("bench", "1"), []
        for number in range(1, PROCESSES // BATCH + 1):
            queues = [("default", ["default|nothing|0123456789abcdef"])]
            batch = await registry.claim_next(BatchClaim(0, owner, number, BATCH, 600_000, queues))
            leases += [ProcessLease(row.process_id, owner, row.token, row.fence, 0, 0) for row in batch.rows]
        started = work.since()[2]
        state, data = registry.encoded(Success())
        await registry.terminalize_many([TerminalFact(lease, state, data) for lease in leases])
        ended = work.since()[2]
        print(f"bytes a process: {queued / PROCESSES:.0f} queued, {started / PROCESSES:.0f} started, "
              f"{ended / PROCESSES:.0f} terminal")  # fmt: skip
        await registry.aclose()


if __name__ == "__main__":
    asyncio.run(measure())

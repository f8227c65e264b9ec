"""Redis memory for each process, in bytes, by its phase."""

from __future__ import annotations

import asyncio

from benchmarks.server import Work, fresh_server
from benchmarks.transitions import claim, complete, registrations
from lash_redis import ProcessLease, ProcessRegistry

PROCESSES = 10_000
BATCH = 500
SIGNATURE = "0123456789abcdef"


async def measure() -> None:
    """Print the bytes of queued, started and terminal processes."""
    with fresh_server() as url:
        registry = ProcessRegistry(url, namespace="bench")
        await registry.open()
        # One row goes through first, so that what the server keeps of the scripts is not counted.
        await registry.register_many(registrations(1, SIGNATURE))
        await complete(registry, await claim(registry, 1, 1, SIGNATURE))
        await registry.prune(older_than_ms=0)
        work = Work(url)
        await registry.register_many(registrations(PROCESSES, SIGNATURE))
        queued = work.since()[2]
        leases: list[ProcessLease] = []
        for number in range(2, PROCESSES // BATCH + 2):
            leases += await claim(registry, number, BATCH, SIGNATURE)
        started = work.since()[2]
        await complete(registry, leases)
        ended = work.since()[2]
        print(f"bytes a process: {queued / PROCESSES:.0f} queued, {started / PROCESSES:.0f} started, "
              f"{ended / PROCESSES:.0f} terminal")  # fmt: skip
        await registry.aclose()


if __name__ == "__main__":
    asyncio.run(measure())

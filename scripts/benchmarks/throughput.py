"""A drain of no-ops in one worker, beside the bare transitions in batches of 64, on one server in one run."""

from __future__ import annotations

import asyncio
import time

from benchmarks.server import Work, fresh_server
from lash_redis import (
    LeaseOwner,
    ProcessLease,
    ProcessRegistration,
    ProcessRegistry,
    RecoveryDisposition,
    Success,
    TaskInput,
    Worker,
)
from lash_redis.registry.answers import BatchClaim, TerminalFact
from lash_redis.tasks.declaration import declare

PROCESSES = 20_000
BATCH = 64


async def nothing(number: int) -> None:
    """Do nothing."""


NOTHING = declare(nothing, recovery="rerunnable", name="nothing")


async def _register(registry: ProcessRegistry) -> float:
    began = time.perf_counter()
    await registry.register_many(
        ProcessRegistration(f"bench-{number:014d}", TaskInput("nothing", (number,)), RecoveryDisposition.RERUNNABLE,
                            signature=NOTHING.signature.digest)
        for number in range(PROCESSES)
    )  # fmt: skip
    return time.perf_counter() - began


async def _bare(registry: ProcessRegistry) -> float:
    owner = LeaseOwner.opaque("bench", "1")
    queues = [("default", [f"default|nothing|{NOTHING.signature.digest}"])]
    state, data = registry.encoded(Success())
    began, number = time.perf_counter(), 0
    while True:
        number += 1
        batch = await registry.claim_next(BatchClaim(0, owner, number, BATCH, 30_000, queues))
        if not batch.rows:
            return time.perf_counter() - began
        leases = [ProcessLease(row.process_id, owner, row.token, row.fence, 0, 0) for row in batch.rows]
        await registry.terminalize_many([TerminalFact(lease, state, data) for lease in leases])


async def _worker(registry: ProcessRegistry) -> float:
    worker = Worker(registry, [NOTHING], concurrency=BATCH)
    began = time.perf_counter()
    running = asyncio.create_task(worker.run())
    while (await registry.counts(0)).terminal.get(("nothing", "completed"), 0) < PROCESSES:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    took = time.perf_counter() - began
    await worker.drain()
    await running
    return took


async def measure() -> None:
    """Print both, and what each cost the server."""
    rates: dict[str, float] = {}
    for name, drain in (("bare transitions", _bare), ("one worker", _worker)):
        with fresh_server() as url:
            registry = ProcessRegistry(url, namespace="bench")
            await registry.open()
            work = Work(url)
            registering = await _register(registry)
            commands, cpu, size = work.since()
            if not rates:
                print(f"registered {PROCESSES / registering:,.0f} a second in batches of 500; "
                      f"{commands / PROCESSES:.1f} commands, {cpu / PROCESSES * 1e6:.0f} µs of server CPU and "
                      f"{size / PROCESSES:.0f} bytes a queued process")  # fmt: skip
            work = Work(url)
            seconds = await drain(registry)
            commands, cpu, _ = work.since()
            rates[name] = PROCESSES / seconds
            print(f"{name}: {rates[name]:,.0f} no-ops a second claimed and ended; {commands / PROCESSES:.1f} commands, "
                  f"{cpu / PROCESSES * 1e6:.0f} µs of server CPU a process")  # fmt: skip
            await registry.aclose()
    print(f"ratio: one worker does {rates['one worker'] / rates['bare transitions']:.2f} of the bare transitions")

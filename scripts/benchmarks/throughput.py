"""How many empty tasks one worker runs in a second, beside the bare transitions in batches of 64."""

from __future__ import annotations

import asyncio
import time

from benchmarks.server import Work, fresh_server
from benchmarks.transitions import claim, complete, registrations
from lash_redis import ProcessRegistry, Worker
from lash_redis.tasks.declaration import declare

PROCESSES = 20_000
BATCH = 64


async def nothing(number: int) -> None:
    """Do nothing."""


NOTHING = declare(nothing, recovery="rerunnable", name="nothing")


async def _register(registry: ProcessRegistry) -> float:
    began = time.perf_counter()
    await registry.register_many(registrations(PROCESSES, NOTHING.signature.digest))
    return time.perf_counter() - began


async def _bare(registry: ProcessRegistry) -> float:
    began, number = time.perf_counter(), 0
    while True:
        number += 1
        leases = await claim(registry, number, BATCH, NOTHING.signature.digest)
        if not leases:
            return time.perf_counter() - began
        await complete(registry, leases)


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
    """Print both rates, and what each costs the server."""
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

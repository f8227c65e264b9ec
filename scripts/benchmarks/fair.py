"""How long one row of a quiet tenant waits behind the many of a loud one."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from benchmarks.comparing import told
from benchmarks.draining import CONCURRENCY, Counted, calls, many, opened
from benchmarks.keyed import declared
from lash_redis import Lash, Worker

LOUD, ACTIVE, ROUNDS = many(1_000_000), 20, 9
BATCH = 50_000


async def measure() -> None:
    """Print how many others began between the submit of a quiet tenant's row and its start, and the time."""
    async with opened(partial(declared, {"key": "tenant"})) as (lash, task, counted, _):
        began = time.perf_counter()
        for first in range(0, LOUD, BATCH):
            await task.submit_many(("loud", number) for number in range(first, min(first + BATCH, LOUD)))
        await task.submit_many(calls(ACTIVE * 500, ACTIVE))
        print(f"{LOUD:,} rows of a loud tenant and 500 of each of {ACTIVE} others wait "
              f"(submitted within {time.perf_counter() - began:.0f} s).\n")  # fmt: skip
        waits, others = await _quiet(lash, task, counted)
    print("| what | figure |")
    print("|---|---|")
    print(f"| rows of others begun after the submit of a quiet tenant's row and before it | {told(others, '.0f')} |")
    print(f"| keys that had rows | {ACTIVE + 1} |")
    print(f"| rows that the worker claims at once | {CONCURRENCY} |")
    print(f"| ms between that submit and its begin | {told(waits, '.1f')} |\n")


async def _quiet(lash: Lash, task: object, counted: Counted) -> tuple[list[float], list[float]]:
    """Submit a quiet tenant's row several times while a worker runs what others submitted."""
    worker = Worker(lash.registry, lash.tasks, concurrency=CONCURRENCY)
    running = asyncio.create_task(worker.run())
    await counted.wait_for(CONCURRENCY)
    waits, others = [], []
    for number in range(ROUNDS):
        await counted.wait_for(counted.runs + 3 * CONCURRENCY)
        process = await task.submit(f"quiet-{number}", number)  # type: ignore[attr-defined]
        submitted, before = time.perf_counter(), counted.runs  # by now it may have begun
        await process.outcome()
        run, at = counted.began[f"quiet-{number}"]
        waits.append(max(1000 * (at - submitted), 0.0))
        others.append(float(max(run - before - 1, 0)))
    await worker.drain()
    await running
    return waits, others


if __name__ == "__main__":
    asyncio.run(measure())

"""What it costs to forget: the drain while as many rows are forgotten as end, beside one that forgets none."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from benchmarks.comparing import Cost, Stopwatch, compare
from benchmarks.draining import CONCURRENCY, calls, many, opened
from benchmarks.keyed import declared
from lash_redis import Worker

PROCESSES, KEPT, KEYS = many(20_000), many(5_000), 1_000


async def _drained(*, forgets: bool) -> Cost:
    """Let the bound be reached first, so that each row that ends is one too many."""
    async with opened(partial(declared, {})) as (lash, task, counted, url):
        options: dict[str, Any] = {"keep_rows": KEPT, "retain_ms": 1_000} if forgets else {}
        await task.submit_many(calls(KEPT + PROCESSES, KEYS))
        worker = Worker(lash.registry, lash.tasks, concurrency=CONCURRENCY, **options)
        running = asyncio.create_task(worker.run())
        await counted.wait_for(KEPT)
        watch = Stopwatch(url)
        await counted.wait_for(KEPT + PROCESSES)
        while forgets and (await lash.registry.counts(0)).terminal["nothing", "completed"] > KEPT:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await worker.drain()
        await running
        return watch.stop(PROCESSES)


async def measure() -> None:
    """Print what is left of the drain if a row is forgotten for each that ends."""
    await compare(
        f"{PROCESSES:,} empty tasks, run by one worker, and {KEPT:,} that have ended are kept",
        {"none is forgotten": partial(_drained, forgets=False), "one for each": partial(_drained, forgets=True)},
    )


if __name__ == "__main__":
    asyncio.run(measure())

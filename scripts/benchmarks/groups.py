"""What a group costs: members and their summary, from the first submit to the outcome, beside as many plain ones."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from benchmarks.comparing import Cost, Stopwatch, compare
from benchmarks.draining import CONCURRENCY, calls, opened
from benchmarks.keyed import declared
from lash_redis import Lash, Worker

MEMBERS, GROUPS = 1_000, 5


async def _plain(lash: Lash, task: Any) -> None:
    processes = await task.submit_many(calls(MEMBERS, MEMBERS))
    await lash.gather(*processes)


async def _group(lash: Lash, task: Any) -> None:
    async with lash.group(task.options(if_failed="run"), "summary", 0) as group:
        await group.submit_many(task, calls(MEMBERS, MEMBERS))
    await group.outcome()


async def _measured(run: Any) -> Cost:
    async with opened(partial(declared, {})) as (lash, task, _, url):
        worker = Worker(lash.registry, lash.tasks, concurrency=CONCURRENCY)
        running = asyncio.create_task(worker.run())
        await run(lash, task)
        watch = Stopwatch(url)
        for _ in range(GROUPS):
            await run(lash, task)
        cost = watch.stop(GROUPS * MEMBERS)
        await worker.drain()
        await running
        return cost


async def measure() -> None:
    """Print what a group of many members with its summary leaves of the rate of plain ones that are waited for."""
    await compare(
        f"{GROUPS} times {MEMBERS:,} empty tasks from the submit to the outcome, run by one worker",
        {"plain, all waited for": partial(_measured, _plain), "a group and its summary": partial(_measured, _group)},
    )


if __name__ == "__main__":
    asyncio.run(measure())

"""What it costs that many rows become due at once: their drain, beside that of rows that are not delayed."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from functools import partial

from benchmarks.comparing import ROUNDS, Cost, compare
from benchmarks.draining import calls, drain, many, opened
from benchmarks.keyed import declared

PROCESSES, KEYS, MOST_ROUNDS = many(100_000), 1_000, 3
_SUBMIT_S = {"plain": 0.0}


async def _plain() -> Cost:
    async with opened(partial(declared, {})) as (lash, task, counted, url):
        began = time.perf_counter()
        await task.submit_many(calls(PROCESSES, KEYS))
        _SUBMIT_S["plain"] = time.perf_counter() - began
        return await drain(lash, counted, PROCESSES, url)


async def _delayed() -> Cost:
    async with opened(partial(declared, {})) as (lash, task, counted, url):
        due = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2 * _SUBMIT_S["plain"] + 2)
        await task.options(at=due).submit_many(calls(PROCESSES, KEYS))
        wait_s = (due - dt.datetime.now(dt.UTC)).total_seconds()
        if wait_s < 0:
            raise SystemExit("the rows became due while they were submitted; the machine is too busy for this figure")
        await asyncio.sleep(wait_s + 0.05)
        return await drain(lash, counted, PROCESSES, url)


async def measure() -> None:
    """Print what is left of the plain drain if all rows become due at one moment."""
    await compare(
        f"{PROCESSES:,} empty tasks, run by one worker",
        {"plain": _plain, "due at one moment": _delayed},
        min(ROUNDS, MOST_ROUNDS),
    )


if __name__ == "__main__":
    asyncio.run(measure())

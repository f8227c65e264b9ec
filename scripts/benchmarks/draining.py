"""A worker that runs all that was submitted, and what that takes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.comparing import Cost, Stopwatch
from benchmarks.server import fresh_server
from lash_redis import Lash, Worker

CONCURRENCY = 64


class Counted:
    """Counts the runs of empty tasks.

    Attributes:
        runs: how many there were.
        began: of each quiet tenant the number of the run that was its own, and when it began.
    """

    def __init__(self) -> None:
        self.runs = 0
        self.began: dict[str, tuple[int, float]] = {}
        self._goal = 0
        self._reached = asyncio.Event()

    def ran(self, tenant: str = "") -> None:
        """Note that one ran."""
        self.runs += 1
        if tenant.startswith("quiet"):
            self.began[tenant] = self.runs, time.perf_counter()
        if self.runs >= self._goal:
            self._reached.set()

    async def wait_for(self, runs: int) -> None:
        """Wait until there were so many."""
        self._goal = runs
        self._reached.clear()
        if self.runs < runs:
            await self._reached.wait()


def many(count: int) -> int:
    """Return how many rows there shall be, at most as many as LASH_BENCH_ROWS says."""
    return min(count, int(os.environ.get("LASH_BENCH_ROWS", count)))


@asynccontextmanager
async def opened(declare: Any) -> AsyncIterator[tuple[Lash, Any, Counted, str]]:
    """Start a server, open a client with the task that ``declare`` makes, and yield them with a counter of runs."""
    counted = Counted()
    with fresh_server() as url:
        lash = Lash(url, namespace="bench")
        task = declare(lash, counted)
        async with lash:
            yield lash, task, counted, url


async def drain(lash: Lash, counted: Counted, count: int, url: str, **options: Any) -> Cost:
    """Run a worker until so many more processes have ended, and return what that took."""
    worker = Worker(lash.registry, lash.tasks, concurrency=CONCURRENCY, **options)
    watch = Stopwatch(url)
    running = asyncio.create_task(worker.run())
    await counted.wait_for(counted.runs + count)
    await worker.drain()
    await running
    return watch.stop(count)


def calls(count: int, keys: int) -> Iterator[tuple[str, int]]:
    """Yield the arguments of so many calls: a key, each of so many in turn, and a number."""
    for number in range(count):
        yield f"tenant-{number % keys}", number

"""What schedules cost the server: 10,000 that wait, and each tick with its process, as a share of one core."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.server import Work, fresh_server
from lash_redis import Lash, Worker
from lash_redis.core.timing import sleep

WAITING = 10_000
TICKING, EVERY_S = 500, 5
SECONDS = 20


@asynccontextmanager
async def _schedules(count: int, **rule: object) -> AsyncIterator[Work]:
    """Declare so many schedules, have a worker run, and yield the work of the server from when all were looked at."""
    with fresh_server() as url:
        lash = Lash(url, "bench")

        @lash.task(recovery="rerunnable", name="noop")
        async def noop() -> None: ...

        for number in range(count):
            lash.schedule(f"s{number}", noop, **rule)  # type: ignore[arg-type]
        async with lash:
            worker = Worker(lash.registry, lash.tasks, concurrency=100)
            running = asyncio.create_task(worker.run())
            while any(each.due_at_ms == each.from_ms for each in await lash.schedules.list()):
                await sleep(0.2)
            yield Work(url)
            await worker.drain()
            await running
        await lash.aclose()


async def measure() -> None:
    """Print the share of a core that waiting schedules take, the CPU time of a tick, and the share of hourly ones."""
    async with _schedules(WAITING, cron="0 0 1 1 *") as work:
        await sleep(SECONDS)
        waiting = work.since()[1] / SECONDS
    async with _schedules(TICKING, every=EVERY_S) as work:
        await sleep(SECONDS)
        commands, busy_s, _ = work.since()
    ticks = TICKING * SECONDS / EVERY_S
    hourly = waiting + WAITING / 3600 * busy_s / ticks
    print(f"{WAITING:,} schedules, and {TICKING} that tick every {EVERY_S} s, each for {SECONDS} s.\n")
    print("| what | figure |")
    print("|---|---|")
    print(f"| a server core, while {WAITING:,} wait | {waiting:.2%} |")
    print(f"| a server core, if each of these ticks every hour | {hourly:.2%} |")
    print(f"| server CPU for each tick with its process | {1e6 * busy_s / ticks:.0f} µs |")
    print(f"| commands for each tick with its process | {commands / ticks:.0f} |\n")


if __name__ == "__main__":
    asyncio.run(measure())

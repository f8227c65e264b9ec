"""What a claim pays for keys that may not run: the same drain in a lane with many parked keys, and with none."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import redis

from benchmarks.comparing import Cost, compare
from benchmarks.draining import Counted, drain, many, opened
from benchmarks.keyed import declared
from lash_redis import Lash
from lash_redis.registry.keys import partition_prefix

PARKED, PROCESSES, KEYS = many(1_000_000), many(10_000), 1_000
BATCH = 50_000


async def _park(task: Any, url: str, count: int) -> None:
    """Give each of many keys a slot that is taken, and then submit a row of it, which parks it.

    The slots are written as a claim would write them, and the rows are registered by the product.
    """
    client, scope = redis.Redis.from_url(url), task.declaration.limits.policies[0].scope
    prefix = partition_prefix("bench", 0) + ":"
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        pipe = client.pipeline(transaction=False)
        for number in numbers:
            pipe.zadd(f"{prefix}slots:{scope} parked-{number}", {"": 1, "elsewhere": 1})
        pipe.execute()
        await task.submit_many((f"parked-{number}", number) for number in numbers)
    lanes: list[bytes] = client.zrange(f"{prefix}lanes", 0, -1)  # type: ignore[assignment]
    parked = sum(int(client.zcard(f"{prefix}parked:{lane.decode()}")) for lane in lanes)
    if parked != count:
        raise SystemExit(f"expected {count} parked keys, got {parked}")


async def measure() -> None:
    """Print what is left of the drain of a lane if many keys are parked in it."""
    async with AsyncExitStack() as stack:
        lanes = []
        for parked in (0, PARKED):
            lash, task, counted, url = await stack.enter_async_context(
                opened(partial(declared, {"key": "tenant", "limit": 1}))
            )
            await _park(task, url, parked)
            lanes.append(partial(_drained, lash, task, counted, url))
        await compare(
            f"{PROCESSES:,} empty tasks of {KEYS:,} keys with limit=1, run by one worker",
            {"no parked key": lanes[0], f"{PARKED:,} parked keys": lanes[1]},
        )


async def _drained(lash: Lash, task: Any, counted: Counted, url: str) -> Cost:
    await task.submit_many((f"key-{number % KEYS}", number) for number in range(PROCESSES))
    return await drain(lash, counted, PROCESSES, url)


if __name__ == "__main__":
    asyncio.run(measure())

"""What a unique key, labels, a delay and a key cost at submit, beside a plain one."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from benchmarks.comparing import Cost, Stopwatch, compare
from benchmarks.draining import calls, many, opened
from benchmarks.keyed import declared
from lash_redis import Unique

PROCESSES, KEYS = many(20_000), 1_000
OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "unique": ({}, {"unique": Unique()}),
    "a delay": ({}, {"delay": 3600}),
    "one label": ({}, {"labels": {"tenant": "42"}}),
    "key and limit=2": ({"key": "tenant", "limit": 2}, {}),
}


async def _submitted(limits: dict[str, Any], options: dict[str, Any]) -> Cost:
    async with opened(partial(declared, limits)) as (_, task, _, url):
        chosen = task.options(**options)
        await chosen.submit("first", -1)
        watch = Stopwatch(url)
        await chosen.submit_many(calls(PROCESSES, KEYS))
        return watch.stop(PROCESSES)


async def measure() -> None:
    """Print what each option leaves of the plain submits."""
    cases = {name: partial(_submitted, *options) for name, options in OPTIONS.items()}
    await compare(f"{PROCESSES:,} submits in batches of 500", cases)


if __name__ == "__main__":
    asyncio.run(measure())

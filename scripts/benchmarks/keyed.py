"""What keys, limits and rates cost: the drain of the same rows, beside that of rows without a key."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from benchmarks.comparing import Cost, compare
from benchmarks.draining import Counted, calls, drain, many, opened
from lash_redis import Lash

PROCESSES, KEYS = many(20_000), 1_000
MANY = 1_000_000  # never reached, so that only the counting costs
LIMITS: dict[str, dict[str, Any]] = {
    "plain": {},
    "fair": {"key": "tenant"},
    "limit=2": {"key": "tenant", "limit": 2},
    "rate": {"key": "tenant", "rate": (MANY, 60)},
    "limit=2 and a named limit": {"key": "tenant", "limit": 2, "within": 1_000},
    "sequence": {"key": "tenant", "sequence": True, "after_loss": "continue"},
}


def declared(limits: dict[str, Any], lash: Lash, counted: Counted) -> Any:
    """Return the empty task with these limits; ``within`` says how many slots the named limit has."""
    if "within" in limits:
        limits = {**limits, "within": lash.limit("shared", limit=limits["within"])}

    @lash.task(recovery="rerunnable", name="nothing", **limits)
    async def nothing(tenant: str, number: int) -> None:  # noqa: ARG001
        counted.ran(tenant)

    return nothing


async def _drained(limits: dict[str, Any]) -> Cost:
    async with opened(partial(declared, limits)) as (lash, task, counted, url):
        await task.submit_many(calls(PROCESSES, KEYS))
        return await drain(lash, counted, PROCESSES, url)


async def measure() -> None:
    """Print what each way to limit leaves of the plain drain."""
    cases = {name: partial(_drained, limits) for name, limits in LIMITS.items()}
    await compare(f"{PROCESSES:,} empty tasks of {KEYS:,} keys, run by one worker", cases)


if __name__ == "__main__":
    asyncio.run(measure())

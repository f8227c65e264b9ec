"""The slow task of the faults for a pool of lash-redis: rerunnable, and owner-bound."""

from __future__ import annotations

import os

from benchmarks.peers.slow import slow
from lash_redis import Lash

lash = Lash(os.environ.get("LASH_BENCH_URL"), namespace="bench")


@lash.task(recovery="rerunnable", name="slow")
async def rerunnable(file: str, seconds: float) -> str:
    """Run again if its owner is lost."""
    return await slow(file, seconds)


@lash.task(recovery="owner_bound", name="slow_bound")
async def bound(file: str, seconds: float) -> str:
    """Never run again."""
    return await slow(file, seconds)

"""Tasks without work of their own, so that only the cost of the pool remains."""

from __future__ import annotations

import os

from lash_redis import Lash

lash = Lash(os.environ.get("LASH_BENCH_URL"), namespace=os.environ.get("LASH_BENCH_NAMESPACE", "bench"))


@lash.task(recovery="rerunnable")
async def nothing(number: int) -> None:
    """Do nothing."""


@lash.task(recovery="rerunnable", queue="long")
async def long(seconds: float) -> None:
    """Last for this time."""
    import asyncio  # noqa: PLC0415 - a task may import what it needs

    await asyncio.sleep(seconds)

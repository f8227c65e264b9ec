"""What it costs to wait for one process: all commands from its submit to its outcome, with the calls themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lash_redis.app.lash import Lash
from lash_redis.core.outcomes import Success
from lash_redis.worker.worker import Worker
from tests.services.conftest import NEVER_MS

MOST = 44


@pytest.mark.parametrize("backend", ["valkey", "redis7"], indirect=True)  # a fake server counts no commands
async def test_from_submit_to_outcome_a_process_takes_few_commands(client: Any, namespace: str) -> None:
    """By a worker that is idle, and a program that waits for what it submits.

    Now and then a worker does something more beside it, such as a claim that notes that it lives.
    """
    lash = Lash(client, namespace)

    @lash.task(recovery="rerunnable", name="work")
    async def work(number: int) -> int:
        return number

    async def count() -> int:
        stats = await client.info("commandstats")
        return sum(each["calls"] for name, each in stats.items() if name != "cmdstat_info")

    worker = Worker(lash.registry, [work], sweep_ms=NEVER_MS, poll_ms=NEVER_MS)
    async with lash:
        run, taken = asyncio.create_task(worker.run()), []
        for number in range(10):
            before = await count()
            assert await (await work.submit(number)).outcome(timeout=60) == Success(number)
            taken.append(await count() - before)
        await worker.drain()
        await run

    assert min(taken) <= MOST, taken

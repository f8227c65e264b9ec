"""A release that gives its task a limit or a sequence: what was submitted before is not bound by it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lash_redis.app.lash import Lash
from lash_redis.core.model import Phase
from lash_redis.worker.worker import Worker
from tests.support import PATIENCE_S, wait_until


@pytest.mark.parametrize(
    "policy",
    [{"limit": 2}, {"rate": (2, 3_600)}, {"sequence": True, "after_loss": "halt"}],  # of the two partitions one each
    ids=["limit", "rate", "sequence"],
)
async def test_work_from_before_a_policy_is_not_bound_by_it(
    lash: Lash, client: Any, namespace: str, policy: dict[str, Any]
) -> None:
    """Section 3, sentence 9: it runs beside what has the policy, and takes none of its slots, starts or turns."""
    begun: set[int] = set()
    may_end = asyncio.Event()

    @lash.task(recovery="rerunnable", name="work")
    async def before(customer: str, number: int) -> None:
        """Do nothing: a program of the former release only submits."""

    old = [await before.options(process_id=f"ann::{number}").submit("ann", number) for number in range(3)]
    newer = Lash(client, namespace, 2)

    @newer.task(recovery="rerunnable", name="work", key="customer", **policy)
    async def after(customer: str, number: int) -> None:
        begun.add(number)
        await may_end.wait()

    new = [await after.options(process_id=f"ann::{number}").submit("ann", number) for number in (3, 4)]
    worker = Worker(newer.registry, tasks=newer.tasks, poll_ms=200)
    running = asyncio.create_task(worker.run())
    try:
        await wait_until(lambda: begun >= {0, 1, 2, 3}, "what was there before has begun beside the first of the new")
        assert (await new[1].record()).phase is Phase.QUEUED
        may_end.set()
        ends = new[:1] if "rate" in policy else new
        for process in [*old, *ends]:
            await newer.process(process.id).result(timeout=PATIENCE_S)
    finally:
        await worker.drain()
        await running
        await newer.aclose()

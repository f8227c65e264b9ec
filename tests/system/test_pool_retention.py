"""Retention in pools that run, two at once."""

from __future__ import annotations

import sys

import pytest
import redis.asyncio

from lash_redis.core.model import ProcessStatus
from tests.soundness import assert_sound
from tests.support import wait_until
from tests.system.conftest import StartPool
from tests.system.pools import Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform == "win32", reason="the pool needs POSIX")]


async def test_pools_forget_what_has_ended_and_run_nothing_of_it_twice(
    start_pool: StartPool, work: Work, url: str, namespace: str
) -> None:
    """Of each process its id is kept, so that the same submit finds that it has ended."""
    for _ in range(2):
        start_pool("--keep", "1", "--retain", "0.05")
    ids = await work.submit_in_turn(20, "measure_briefly", "pay_briefly")
    for each in ids:
        await wait_until(lambda each=each: _is_forgotten(work, each), f"{each} is forgotten")  # type: ignore[misc]

    kept = await work.registry.tombstones(ids)
    assert [each and each.status for each in kept] == [ProcessStatus.COMPLETED] * len(ids)
    await work.submit_in_turn(20, "measure_briefly", "pay_briefly")
    assert await work.registry.rows(ids) == [None] * len(ids)
    async with redis.asyncio.Redis.from_url(url) as client:
        await assert_sound(client, namespace)


async def test_a_pool_that_is_killed_while_it_forgets_leaves_nothing_half_forgotten(
    start_pool: StartPool, work: Work, url: str, namespace: str
) -> None:
    """Three times, somewhere between two pages; the next one goes on."""
    ids: list[str] = []
    async with redis.asyncio.Redis.from_url(url) as client:
        for number in range(3):
            pool = start_pool("--keep", "1", "--retain", "0.02")
            batch = await work.submit_in_turn(40, "measure_briefly", "pay_briefly", stem=f"{number}-")
            ids += batch
            await wait_until(lambda id_=batch[0]: _is_forgotten(work, id_), "some are forgotten")  # type: ignore[misc]
            pool.stop()  # SIGKILL, supervisor and worker processes
            await assert_sound(client, namespace)
        start_pool("--keep", "1", "--retain", "0.02")
        for each in ids:
            await wait_until(lambda each=each: _is_settled(work, each), f"{each} is forgotten")  # type: ignore[misc]
        await assert_sound(client, namespace)


async def _is_settled(work: Work, process_id: str) -> bool:
    record = await work.registry.get(process_id)
    return record is None or record.status is ProcessStatus.ABANDONED or record.phase == "uncertain"


async def _is_forgotten(work: Work, process_id: str) -> bool:
    return await work.registry.get(process_id) is None

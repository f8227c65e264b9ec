"""Work is spread over the worker processes of a pool."""

from __future__ import annotations

import sys
from collections import Counter

import pytest
import redis.asyncio

from tests.support import wait_until
from tests.system.conftest import StartPool
from tests.system.pools import Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform == "win32", reason="the pool needs POSIX")]


async def test_blocking_work_is_spread_over_the_worker_processes(
    start_pool: StartPool, work: Work, url: str, namespace: str
) -> None:
    """20 pieces that block a thread each, and two worker processes with room for 64: each takes half of them.

    What the second one does not take in time the first one takes, which may happen on a machine that is busy: so a few
    rounds are tried.
    """
    pool = start_pool("--workers", "2")
    async with redis.asyncio.Redis.from_url(url) as client:

        async def both_wait() -> bool:
            return int(await client.zcard(f"{{lash:{namespace}:0}}:idle:default")) == 2

        shares: list[list[int]] = []
        while [10, 10] not in shares and len(shares) < 5:
            await wait_until(both_wait, "both worker processes wait for work")
            names = await work.submit_in_turn(20, "measure_in_a_thread", stem=f"round{len(shares)}-")
            for name in names:
                pool.until_begun(name)
            shares.append(sorted(Counter(pool.begun(name)[0] for name in names).values()))
            for name in names:
                pool.go(name)
            for name in names:
                await work.end_of(name)

    assert shares[-1] == [10, 10]

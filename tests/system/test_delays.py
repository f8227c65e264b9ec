"""Delayed work and OS processes that are killed: another worker begins it in time, and a restart loses nothing."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import pytest
import redis.asyncio

from lash_redis.core.liveness import LeaseOwner, LocalProcess
from lash_redis.core.model import Acquired, Phase, ProcessRegistration, ProcessStatus, TaskInput
from lash_redis.core.outcomes import Cancelled, Failure
from lash_redis.core.retrying import Again
from lash_redis.registry.answers import RetriedRun
from lash_redis.registry.codec import decode_owner
from lash_redis.registry.keys import partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, LONG_MS, RERUNNABLE
from tests.look import ended, record_of
from tests.servers import Server
from tests.soundness import assert_sound
from tests.support import wait_until
from tests.system.conftest import StartPool
from tests.system.pools import Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="the pool runs on Linux")]

SLOW_POLL = ("--poll", "40")  # as seldom as a worker polls


def delayed(name: str, delay_ms: int, **options: Any) -> ProcessRegistration:
    """Return the registration of work that may begin so much later."""
    return ProcessRegistration(name, TaskInput("measure_briefly", (name,)), RERUNNABLE, delay_ms=delay_ms, **options)


async def all_have_asked(client: redis.asyncio.Redis, namespace: str, count: int) -> None:
    """Wait until so many workers are idle and know what the last answer to their claims said."""

    async def has_come() -> bool:
        return bool(await client.zcard(f"{partition_prefix(namespace, 0)}:idle:default") == count)

    await wait_until(has_come, f"{count} workers are idle")


async def watcher_of(client: redis.asyncio.Redis, namespace: str) -> LeaseOwner:
    """Return the owner that was told when something becomes due."""
    k = partition_prefix(namespace, 0)
    digest = await client.hget(f"{k}:hdr", "watcher")
    assert isinstance(digest, bytes)
    stored = await client.hget(f"{k}:owners", digest.decode())
    assert isinstance(stored, bytes)
    return decode_owner(digest, stored)


@pytest.mark.parametrize("pools", [1, 2])
async def test_whoever_was_told_is_killed_and_another_one_begins_it_in_time(
    start_pool: StartPool, work: Work, namespace: str, url: str, pools: int
) -> None:
    """One of two worker processes of a pool, or one of two pools with its supervisor: long before the next poll."""
    running = [start_pool(*SLOW_POLL, "--workers", "1" if pools == 2 else "2") for _ in range(pools)]
    for pool in running:
        pool.until_ready(2 // pools)
    async with redis.asyncio.Redis.from_url(url) as client:
        await all_have_asked(client, namespace, 2)
        await work.registry.register(delayed("p", 3_000))
        await all_have_asked(client, namespace, 2)
        watcher = await watcher_of(client, namespace)
        if pools == 2:
            (pool,) = [each for each in running if watcher.owner_id.startswith(f"{each.name}/")]
            pool.stop()
        else:
            assert isinstance(watcher.liveness, LocalProcess)
            os.kill(watcher.liveness.pid, signal.SIGKILL)
        due_at_ms = (await work.record("p")).due_at_ms
        record = await work.end_of("p")
    assert record.first_started is not None
    assert due_at_ms is not None
    assert 0 <= record.first_started.started_at_ms - due_at_ms < 5_000
    assert record.first_started.owner != watcher


@pytest.mark.parametrize("partitions", [1, 8])
async def test_what_is_delayed_survives_the_server_and_the_pool(
    start_pool: StartPool, namespace: str, partitions: int
) -> None:
    """Both are killed. What comes due meanwhile begins afterwards; nothing is early, and what has expired ends."""
    how = {"environment": {"POOL_PARTITIONS": str(partitions)}}
    with Server("valkey", appendonly="yes", appendfsync="always") as server:
        registry = ProcessRegistry(server.url, namespace, partitions)
        names = [f"later-{number}" for number in range(8)]
        await registry.register_many(
            [delayed(name, 500 + 500 * number) for number, name in enumerate(names)]
            + [delayed("an-hour", 3_600_000), delayed("late", LONG_MS, expires_in_ms=2_000), delayed("again", 0)]
        )
        await tried_again(registry, "again", 3_000)
        before = {name: (await record_of(registry, name)).due_at_ms for name in (*names, "an-hour", "again")}
        pool = start_pool(url=server.url, **how)
        pool.until_ready()
        pool.stop()
        server.kill_and_start()
        start_pool(url=server.url, **how)

        for name in (*names, "again"):
            assert (await ended(registry, name)).status is ProcessStatus.COMPLETED
        assert (await record_of(registry, "again")).attempts == 2
        for name in names:
            started = (await record_of(registry, name)).first_started
            assert started is not None
            assert started.started_at_ms >= (before[name] or 0), "not early"
        assert (await ended(registry, "late")).outcome == Cancelled("expired")
        assert (await record_of(registry, "an-hour")).phase is Phase.DELAYED
        await registry.aclose()
        async with redis.asyncio.Redis.from_url(server.url) as client:
            await assert_sound(client, namespace)


async def tried_again(registry: ProcessRegistry, process_id: str, wait_ms: int) -> None:
    """Run a process here, and let it fail and wait."""
    claimed = await registry.claim(process_id, ADA, LONG_MS)
    assert isinstance(claimed, Acquired)
    await registry.start(claimed.lease)
    runs = [RetriedRun(claimed.lease, Again(wait_ms), Failure("E", "not yet"))]
    assert await registry.retry_many(runs) == ["DONE"]

"""A server that hangs instead of refusing. Each call then waits for its timeout, and a drain must not add them up."""

from __future__ import annotations

import asyncio

import pytest

from lash_redis.core.model import DrainReport
from lash_redis.core.timing import boottime_ms
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.worker import Worker
from tests.conformance.actors import OWNER_BOUND, work
from tests.servers import Server
from tests.services.benches import Bench
from tests.support import wait_until

pytestmark = pytest.mark.system


async def test_a_drain_ends_within_its_time_and_reports_although_the_server_hangs() -> None:
    """The work that it stopped is reported as deferred, since nothing could be written about it."""
    bench = Bench()
    with Server("valkey") as server:
        registry = ProcessRegistry(server.url, namespace="hanging", partitions=4)
        worker = Worker(registry, [bench.task("owner_bound")], grace_ms=500, interrupt_ms=500, last_writes_ms=1_000)
        running = asyncio.create_task(worker.run())
        await registry.register(work("a", OWNER_BOUND, "a"))
        await wait_until(lambda: bench.begun == ["a"], "it has begun")

        server.pause()
        began = boottime_ms()
        report = await worker.drain()
        took = boottime_ms() - began

        server.resume()
        await running
        await registry.aclose()
    assert bench.stopped == ["a"]
    assert {left.process_id for left in report.deferred} == {"a", "*"}
    assert took < worker.settings.must_allow_s * 1000


async def test_a_drain_before_the_server_was_ever_reached_ends_within_its_time() -> None:
    """The worker holds nothing and has nothing to report."""
    with Server("valkey") as server:
        server.pause()
        registry = ProcessRegistry(server.url, namespace="hanging")
        worker = Worker(registry, grace_ms=100, interrupt_ms=100, last_writes_ms=500)
        began = boottime_ms()

        report = await worker.drain()

        assert boottime_ms() - began < worker.settings.must_allow_s * 1000
        server.resume()
        await registry.aclose()
    assert report == DrainReport()

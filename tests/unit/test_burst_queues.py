"""Which queues a burst knows, and that it is refused for one that it does not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import fakeredis
import pytest

from lash_redis.core.bounds import QueueBound
from lash_redis.core.errors import SettingsError
from lash_redis.pool.burst_queues import check_queues
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.settings import WorkerSettings
from tests.conformance.actors import work


@pytest.fixture
async def registry() -> AsyncIterator[ProcessRegistry]:
    """Return a registry of two partitions, with work in a queue that no task names, and a bounded queue."""
    registry = ProcessRegistry(fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer()), "bursts", 2)
    await registry.register(work("p", queue="bulk"))
    await registry.bound_queue(QueueBound("imports", None))
    yield registry
    await registry.aclose()


async def test_a_queue_of_its_tasks_a_bounded_one_and_one_with_work_are_known(registry: ProcessRegistry) -> None:
    """Each has something to do with the burst."""
    await check_queues(registry, ["default"], WorkerSettings(queues=("default", "bulk", "imports"), burst=True))


async def test_a_queue_that_nobody_knows_is_refused_with_those_that_are(registry: ProcessRegistry) -> None:
    """With the nearest one, and how a queue is declared that only submits name."""
    with pytest.raises(
        SettingsError, match=r"got 'blk': did you mean 'bulk'\? it knows default, imports, bulk\. .*blk"
    ):
        await check_queues(registry, ["default"], WorkerSettings(queues=("default", "blk"), burst=True))


async def test_what_nobody_can_know_is_not_refused(registry: ProcessRegistry) -> None:
    """A pool that stays, a release that does not say its queues, and work whose queue no count says."""
    strange = ("strange",)
    await check_queues(registry, ["default"], WorkerSettings(queues=strange))
    await check_queues(registry, None, WorkerSettings(queues=strange, burst=True))
    with pytest.raises(SettingsError, match="strange"):
        await check_queues(registry, ["default"], WorkerSettings(queues=strange, burst_delayed=True))
    await registry.register(work("later", queue="strange", delay_ms=60_000))
    await check_queues(registry, ["default"], WorkerSettings(queues=strange, burst_delayed=True))


async def test_a_queue_may_be_that_of_work_that_waits_for_others(registry: ProcessRegistry) -> None:
    """It enters its queue while the burst lasts, if the burst runs what it waits for."""
    await registry.register(work("p::after", queue="strange", after=("p",), if_failed="run"))
    await check_queues(registry, ["default"], WorkerSettings(queues=("strange", "bulk"), burst=True))

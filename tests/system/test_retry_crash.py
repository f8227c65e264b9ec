"""A worker process that is killed between a failure and its retry: the run is lost, and no attempt is used up."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import pytest

from lash_redis.core.model import ProcessStatus
from lash_redis.registry.registry import ProcessRegistry
from tests.system.conftest import StartPool
from tests.system.pools import Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="proof of death needs Linux")]


@pytest.fixture
async def work(url: str, namespace: str, partitions: int) -> AsyncIterator[Work]:
    """Return what registers work, in as many partitions."""
    registry = ProcessRegistry(url, namespace, partitions)
    await registry.open()
    yield Work(registry)
    await registry.aclose()


async def test_a_failure_that_no_retry_was_sent_for_is_a_loss(
    start_pool: StartPool, work: Work, partitions: int
) -> None:
    """The first run dies with its owner, the second fails and is tried again, the third succeeds."""
    await work.submit("fail_twice", "once")
    pool = start_pool(environment={"POOL_PARTITIONS": str(partitions)})

    record = await work.end_of("once")

    assert (record.status, record.attempts, record.losses) == (ProcessStatus.COMPLETED, 2, 1)
    assert record.last_failure is not None
    assert record.last_failure.message == "its worker lives"
    pool.until_logged("process.retried", 1)


async def test_a_snooze_that_was_not_sent_is_a_loss(start_pool: StartPool, work: Work, partitions: int) -> None:
    """The first run dies with its owner, the second is put off, which does not count, and the third succeeds."""
    await work.submit("snooze_twice", "once")
    pool = start_pool(environment={"POOL_PARTITIONS": str(partitions)})

    record = await work.end_of("once")

    assert (record.status, record.attempts, record.losses) == (ProcessStatus.COMPLETED, 1, 1)
    assert record.last_failure is None
    assert len(pool.begun("once")) == 3

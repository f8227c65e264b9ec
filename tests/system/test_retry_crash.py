"""A worker process that is killed between a failure and its retry: the run is lost, and no attempt is used up."""

from __future__ import annotations

import sys

import pytest

from lash_redis.core.model import ProcessStatus
from tests.system.conftest import StartPool
from tests.system.pools import Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="proof of death needs Linux")]


async def test_a_failure_that_no_retry_was_sent_for_is_a_loss(start_pool: StartPool, work: Work) -> None:
    """The first run dies with its owner, the second fails and is tried again, the third succeeds."""
    await work.submit("fail_twice", "once")
    pool = start_pool()

    record = await work.end_of("once")

    assert (record.status, record.attempts, record.losses) == (ProcessStatus.COMPLETED, 2, 1)
    assert record.last_failure is not None
    assert record.last_failure.message == "its worker lives"
    pool.until_logged("process.retried", 1)

"""A task that ends its worker process takes no neighbour to the loss limit with it (rule 4.6)."""

from __future__ import annotations

import sys

import pytest

from lash_redis.core.model import ProcessStatus
from lash_redis.core.outcomes import AbandonWriter
from tests.look import evidence
from tests.system.conftest import StartPool
from tests.system.pools import Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="proof of death needs Linux")]


async def test_the_neighbours_of_work_that_ends_its_worker_process_complete(start_pool: StartPool, work: Work) -> None:
    """They share its first two worker processes; from then on it runs alone until it is abandoned."""
    names = [f"measure-{number}" for number in range(20)]
    await work.submit("crash", "crash")
    for name in names:
        await work.submit("measure", name)
    pool = start_pool("--concurrency", "32")
    pool.until_logged('status="exit 7"', 2)
    for name in names:
        pool.go(name)

    found = evidence(await work.end_of("crash"))
    ends = [await work.end_of(name) for name in names]

    assert found.writer is AbandonWriter.LOSS_LIMIT
    assert {each.status for each in ends} == {ProcessStatus.COMPLETED}
    assert max(each.losses for each in ends) <= 2


async def test_owner_bound_work_is_not_begun_beside_what_has_ended_two_worker_processes(
    start_pool: StartPool, work: Work
) -> None:
    """It would be abandoned with the next one. It runs once the other has reached its limit."""
    await work.submit("crash", "crash")
    pool = start_pool("--concurrency", "32")
    pool.until_logged("pool.reaped", 2)
    names = [f"pay-{number}" for number in range(20)]
    for name in names:
        pool.go(name)
        await work.submit("pay", name)

    found = evidence(await work.end_of("crash"))
    ends = [await work.end_of(name) for name in names]

    assert found.writer is AbandonWriter.LOSS_LIMIT
    assert {each.status for each in ends} == {ProcessStatus.COMPLETED}

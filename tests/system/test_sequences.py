"""A sequence whose first row's owner is killed: it halts until somebody says what happened, or it goes on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from lash_redis.core.model import (
    AbandonRequest,
    Acquired,
    Phase,
    ProcessRegistration,
    ProcessStatus,
    RecoveryDisposition,
    TaskInput,
)
from lash_redis.core.outcomes import Resolution, ResolutionKind
from lash_redis.core.policies import scope_of_task
from lash_redis.core.sequences import AfterLoss, sequence_scope
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA
from tests.look import is_in
from tests.soundness import assert_sound
from tests.system.conftest import StartPool
from tests.system.pools import RunningPool, Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="proof of death needs Linux")]


@pytest.fixture
async def work(url: str, namespace: str, partitions: int) -> AsyncIterator[Work]:
    """Return what registers work, in as many partitions."""
    registry = ProcessRegistry(url, namespace, partitions)
    await registry.open()
    yield Work(registry)
    await registry.aclose()


async def submit(work: Work, after_loss: AfterLoss, *names: str) -> None:
    """Register transfers of one account, in this order."""
    task = "transfer" if after_loss == "halt" else "transfer_and_go_on"
    await work.registry.register_many(
        ProcessRegistration(
            f"ada::{name}",
            TaskInput(task, ("ada", name)),
            RecoveryDisposition.OWNER_BOUND,
            scopes=f"{sequence_scope(scope_of_task(task), after_loss)},",
            key="ada",
        )
        for name in names
    )


@pytest.mark.parametrize("after_loss", ["halt", "continue"])
async def test_the_owner_of_the_first_row_is_killed(
    start_pool: StartPool, work: Work, url: str, partitions: int, after_loss: AfterLoss
) -> None:
    """The second one begins once the first is resolved, or at once if the sequence goes on; never beside the first."""
    pool = start_pool("--grace", "1", "--lease-ttl", "600", environment={"POOL_PARTITIONS": str(partitions)})
    await submit(work, after_loss, "first", "second", "third")
    killed = pool.until_begun("first")
    os.kill(killed, signal.SIGKILL)
    assert (await work.end_of("ada::first")).status is ProcessStatus.ABANDONED

    if after_loss == "halt":
        pool.go("measure")
        await work.submit("measure", "measure")  # the same worker takes what comes later than the second one
        await work.end_of("measure")
        assert pool.begun("second") == []
        await work.registry.resolve("ada::first", Resolution(ResolutionKind.HAPPENED, "ada", 1, "on the statement"))

    pool.until_begun("second")
    assert pool.begun("third") == []
    pool.go("second")
    pool.until_begun("third")
    pool.go("third")
    assert (await work.end_of("ada::third")).status is ProcessStatus.COMPLETED
    assert pool.begun("first") == [killed]
    pool.stop()
    async with redis.asyncio.Redis.from_url(url) as client:
        await assert_sound(client, work.registry.namespace)


@pytest.mark.parametrize("after_loss", ["halt", "continue"])
async def test_the_owner_of_the_first_row_is_silent(
    start_pool: StartPool, work: Work, partitions: int, after_loss: AfterLoss
) -> None:
    """On a machine of which nobody hears: uncertain, abandoned at somebody's word, and halted until it is resolved."""
    await submit(work, after_loss, "first", "second", "third")
    claimed = await work.registry.claim("ada::first", ADA, 3_000)
    assert isinstance(claimed, Acquired)
    await work.registry.start(claimed.lease)
    pool = start_pool("--sweep", "0.5", environment={"POOL_PARTITIONS": str(partitions)})
    await is_in(work.registry, "ada::first", Phase.UNCERTAIN)

    if after_loss == "halt":
        await nothing_of_ada_begins(pool, work, "uncertain")
        await work.registry.request_abandon("ada::first", AbandonRequest("ada", 1, "its host burnt"))
        assert (await work.end_of("ada::first")).status is ProcessStatus.ABANDONED
        await nothing_of_ada_begins(pool, work, "abandoned")
        await work.registry.resolve("ada::first", Resolution(ResolutionKind.DID_NOT_HAPPEN, "ada", 1, "no statement"))
    pool.until_begun("second")
    assert pool.begun("third") == []
    pool.go("second")
    pool.until_begun("third")
    pool.go("third")
    assert (await work.end_of("ada::third")).status is ProcessStatus.COMPLETED
    assert pool.begun("first") == []


@pytest.mark.parametrize("after_loss", ["halt", "continue"])
async def test_the_owner_of_a_first_row_that_it_had_not_started_is_silent(
    start_pool: StartPool, work: Work, partitions: int, after_loss: AfterLoss
) -> None:
    """Nothing has happened: the first one runs, in its place, once its lease has ended."""
    await submit(work, after_loss, "first", "second")
    await work.registry.claim("ada::first", ADA, 3_000)
    pool = start_pool("--sweep", "0.5", environment={"POOL_PARTITIONS": str(partitions)})
    pool.until_begun("first")
    assert pool.begun("second") == []
    pool.go("first")
    pool.until_begun("second")
    pool.go("second")
    assert (await work.end_of("ada::second")).status is ProcessStatus.COMPLETED


async def nothing_of_ada_begins(pool: RunningPool, work: Work, name: str) -> None:
    """Let the same worker take what comes later than the second one: that has not begun."""
    pool.go(name)
    await work.submit("measure", name)
    await work.end_of(name)
    assert pool.begun("second") == []

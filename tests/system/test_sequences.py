"""A sequence whose first row's owner is killed: it halts until somebody says what happened, or it goes on."""

from __future__ import annotations

import os
import signal
import sys

import pytest
import redis.asyncio

from lash_redis.core.model import ProcessRegistration, ProcessStatus, RecoveryDisposition, TaskInput
from lash_redis.core.outcomes import Resolution, ResolutionKind
from lash_redis.core.policies import scope_of_task
from lash_redis.core.sequences import AfterLoss, sequence_scope
from tests.soundness import assert_sound
from tests.system.conftest import StartPool
from tests.system.pools import Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="proof of death needs Linux")]


async def submit(work: Work, after_loss: AfterLoss, *names: str) -> None:
    """Register transfers of one account, in this order."""
    task = "transfer" if after_loss == "halt" else "transfer_and_go_on"
    await work.registry.register_many(
        ProcessRegistration(
            name,
            TaskInput(task, ("ada", name)),
            RecoveryDisposition.OWNER_BOUND,
            scopes=f"{sequence_scope(scope_of_task(task), after_loss)},",
            key="ada",
        )
        for name in names
    )


@pytest.mark.parametrize("after_loss", ["halt", "continue"])
async def test_the_owner_of_the_first_row_is_killed(
    start_pool: StartPool, work: Work, namespace: str, url: str, after_loss: AfterLoss
) -> None:
    """The second one begins once the first is resolved, or at once if the sequence goes on; never beside the first."""
    pool = start_pool("--grace", "1", "--lease-ttl", "600")
    await submit(work, after_loss, "first", "second", "third")
    killed = pool.until_begun("first")
    os.kill(killed, signal.SIGKILL)
    assert (await work.end_of("first")).status is ProcessStatus.ABANDONED

    if after_loss == "halt":
        pool.go("measure")
        await work.submit("measure", "measure")  # the same worker takes what comes later than the second one
        await work.end_of("measure")
        assert pool.begun("second") == []
        await work.registry.resolve("first", Resolution(ResolutionKind.HAPPENED, "ada", 1, "on the statement"))

    pool.until_begun("second")
    assert pool.begun("third") == []
    pool.go("second")
    pool.until_begun("third")
    pool.go("third")
    assert (await work.end_of("third")).status is ProcessStatus.COMPLETED
    assert pool.begun("first") == [killed]
    pool.stop()
    async with redis.asyncio.Redis.from_url(url) as client:
        await assert_sound(client, namespace)

"""Handles of what has ended and is not kept any more: how it ended is said, for as long as that is known."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from lash_redis.app.lash import Lash
from lash_redis.core.errors import OutcomePruned, RegistrationConflict, UnknownProcess
from lash_redis.core.outcomes import Success
from lash_redis.registry.calls.forgetting import Retention
from tests.app.working import finish
from tests.conftest import ServerTime


async def forget(lash: Lash, server: ServerTime, keep_ids_ms: int = 60_000) -> None:
    """Let retention forget all that has ended."""
    await server.pass_until(await server.now_ms() + 2)
    for partition in range(lash.registry.partitions):
        await lash.registry.retain(partition, Retention(1, 1, keep_ids_ms))


async def test_a_submit_of_a_forgotten_id_runs_nothing_and_its_outcome_says_how_it_ended(
    lash: Lash, server: ServerTime
) -> None:
    """To who waits with an event loop and without; other arguments are a conflict."""

    @lash.task(recovery="rerunnable", name="double")
    async def double(number: int) -> int:
        return number * 2

    order = double.options(process_id="order-17")
    await finish(lash, await order.submit(1), Success(2))
    await forget(lash, server)

    again = await order.submit(1)
    for handle in (again, lash.process("order-17")):
        with pytest.raises(OutcomePruned, match="process 'order-17' ended as completed") as pruned:
            await handle.outcome()
        assert pruned.value.status == "completed"
        with pytest.raises(OutcomePruned, match="process 'order-17' ended as completed"):
            await asyncio.to_thread(handle.blocking.outcome)
    with pytest.raises(RegistrationConflict):
        await order.submit(2)
    await lash.registry.prune(older_than_ms=0)
    with pytest.raises(UnknownProcess):
        await lash.process("order-17").outcome(timeout=0)


async def test_nothing_is_known_of_a_forgotten_process_with_a_random_id(lash: Lash, server: ServerTime) -> None:
    """Its handle knows that there was one."""

    @lash.task(recovery="rerunnable", name="double")
    async def double(number: int) -> int:
        return number * 2

    process = await double.submit(1)
    await finish(lash, process, Success(2))
    await forget(lash, server)

    with pytest.raises(OutcomePruned) as pruned:
        await process.outcome()
    assert pruned.value.status == ""


async def test_a_result_that_was_kept_for_a_shorter_time_is_pruned_alone(lash: Lash, server: ServerTime) -> None:
    """The record stays, and says that it completed."""

    @lash.task(recovery="rerunnable", name="double", keep_results=dt.timedelta(milliseconds=1))
    async def double(number: int) -> int:
        return number * 2

    process = await double.submit(1)
    await finish(lash, process, Success(2))
    await server.pass_until(await server.now_ms() + 5)
    for partition in range(2):
        await lash.registry.retain(partition, Retention(60_000, 100, 0))

    with pytest.raises(OutcomePruned, match="ended as completed") as pruned:
        await process.outcome()
    assert pruned.value.status == "completed"
    assert (await process.record()).is_terminal


def test_an_id_that_nobody_registered_is_unknown_without_an_event_loop_too(lash: Lash) -> None:
    """Nothing is known of it, not even that it was forgotten."""
    with lash.blocking, pytest.raises(UnknownProcess):
        lash.blocking.process("nobody").outcome(timeout=0)

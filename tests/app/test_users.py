"""Who uses a ``Lash``: only the last one that leaves closes it, and nobody else's wait ends (rule 11.8)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import fakeredis
import pytest

from lash_redis.app.lash import Lash
from lash_redis.app.process import Process
from lash_redis.core.errors import LashError, RegistryUnavailable
from lash_redis.core.model import ExternalOwner
from lash_redis.core.outcomes import Success
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.worker import Worker
from tests.app.test_waiting import has_waiter
from tests.support import block_until, wait_until

DESK = ExternalOwner("desk")


def connections(lash: Lash) -> int:
    """Return how many connections for calls the running event loop keeps open."""
    here = lash.registry.connections._loops.here()
    return (
        0 if here is None else sum(len(each.connection_pool._available_connections) for each in here.clients.values())
    )


async def test_ten_handlers_at_a_time_leave_each_other_alone(lash: Lash) -> None:
    """Each of a web service's handlers may enter and leave on its own."""
    everybody_is_in = asyncio.Barrier(10)

    async def handle(number: int) -> Any:
        async with lash:
            await everybody_is_in.wait()
            step = await lash.expect(f"approval:{number}")
            waiting = asyncio.create_task(step.outcome(timeout=60))
            await lash.complete_external(step.id, Success(number), DESK)
            return await waiting

    assert await asyncio.gather(*map(handle, range(10))) == [Success(number) for number in range(10)]
    assert connections(lash) == 0


async def test_leaving_ends_no_wait_of_others(lash: Lash) -> None:
    """Neither those of this event loop, whether they count as users or not, nor those of threads."""
    step = await lash.expect("approval:1")
    waits = [asyncio.create_task(step.outcome(timeout=60))]
    waits += [asyncio.create_task(asyncio.to_thread(step.blocking.outcome, timeout=60))]
    await wait_until(lambda: lash._sessions.current().waiter.has_waits, "a task waits")
    await wait_until(lambda: lash._sessions._blocking.waiter.has_waits, "a thread waits")

    async with lash:
        pass
    with pytest.raises(ZeroDivisionError):
        async with lash, lash:
            raise ZeroDivisionError

    assert not any(wait.done() for wait in waits)
    await lash.complete_external(step.id, Success(1), DESK)
    assert await asyncio.gather(*waits) == [Success(1)] * 2


async def test_a_block_within_another_closes_nothing(lash: Lash) -> None:
    """A function that is careful can be called by one that is careful too."""
    async with lash:
        async with lash:
            await lash.expect("approval:1")
        assert connections(lash) > 0
        await lash.aclose()
        assert connections(lash) > 0
    assert connections(lash) == 0


async def test_a_block_that_cannot_be_entered_is_no_user() -> None:
    """It was never within it."""
    lash = Lash("unix:///nowhere/s")
    with pytest.raises(RegistryUnavailable):
        async with lash:
            pass
    assert lash.registry.connections.users == 0


@asynccontextmanager
async def lifespan(lash: Lash) -> AsyncIterator[None]:
    """Be open as long as a web service is, as its framework has it."""
    async with lash:
        yield


async def test_a_lifespan_and_its_handlers(lash: Lash) -> None:
    """What is open for the whole life of a service is closed at its end, by nobody before."""
    async with lifespan(lash):
        for number in range(3):
            async with lash:
                await lash.expect(f"approval:{number}")
            assert connections(lash) > 0
    assert connections(lash) == 0


async def test_a_task_closes_nothing_of_the_worker_that_runs_it(lash: Lash) -> None:
    """It may use the same careful functions as the program that submitted it."""
    seen: list[int] = []

    @lash.task(recovery="rerunnable", name="careful")
    async def careful() -> str:
        async with lash:
            await lash.expect("approval:1")
        await lash.aclose()
        seen.append(connections(lash))
        return "done"

    @lash.task(recovery="rerunnable", name="plain")
    def plain() -> str:
        with lash.blocking:
            lash.blocking.expect("approval:1")
        lash.blocking.close()
        return "done"

    processes = [await careful.submit(), await plain.submit()]
    waits = [asyncio.create_task(each.outcome(timeout=60)) for each in processes]
    await Worker(lash.registry, tasks=lash.tasks).drive_pending()

    assert await asyncio.gather(*waits) == [Success("done")] * 2
    assert len(seen) == 1
    assert seen[0] > 0


async def test_a_running_worker_is_a_user(lash: Lash) -> None:
    """``aclose`` beside it closes nothing, and its waits and claims go on."""

    @lash.task(recovery="rerunnable", name="work")
    async def work(number: int) -> int:
        return number

    worker = Worker(lash.registry, tasks=lash.tasks)
    running = asyncio.create_task(worker.run())
    await wait_until(lambda: worker.probe.is_at_rest, "it waits for work")
    for number in range(3):
        async with lash:
            process = await work.submit(number)
        waiting = asyncio.create_task(process.outcome(timeout=60))
        await lash.aclose()
        assert await waiting == Success(number)
    await worker.drain()
    await running
    assert lash.registry.connections.users == 0


@pytest.mark.parametrize("last", ["worker", "block", "plain block"])
async def test_whoever_leaves_last_closes(lash: Lash, last: str) -> None:
    """In any order: nobody who leaves before closes anything of the others, and then nothing is open."""
    worker = Worker(lash.registry, tasks=lash.tasks)
    running = asyncio.create_task(worker.run())
    await wait_until(lambda: worker.probe.is_at_rest, "it waits for work")

    async def drain() -> None:
        await worker.drain()
        await running

    async with AsyncExitStack() as plain, AsyncExitStack() as block:
        await block.enter_async_context(lash)
        await asyncio.to_thread(lash.blocking.__enter__)
        plain.push_async_callback(asyncio.to_thread, lash.blocking.__exit__, None, None, None)
        leaving = {"worker": drain, "block": block.aclose, "plain block": plain.aclose}
        leave_last = leaving.pop(last)
        for leave in leaving.values():
            await leave()
        assert lash._sessions._blocking.is_open if last == "plain block" else connections(lash) > 0
        await leave_last()
    assert not lash.registry.connections.is_open
    assert not lash._sessions._blocking.is_open


@pytest.mark.parametrize("of_a_lash", [True, False], ids=["lash", "registry"])
async def test_a_worker_alone_leaves_nothing_open(client: Any, namespace: str, of_a_lash: bool) -> None:
    """A program without a block has nothing to close once its worker has ended, whether there is a Lash or none."""
    registry = Lash(client, namespace).registry if of_a_lash else ProcessRegistry(client, namespace)
    worker = Worker(registry)
    await worker.drive_pending()
    assert not registry.connections.is_open
    await worker.drain()
    assert not registry.connections.is_open


async def test_an_explicit_close_ends_waits_of_those_who_do_not_count(lash: Lash) -> None:
    """Somebody said that it is over, and nobody said otherwise."""
    waiting = asyncio.create_task((await lash.expect("approval:1")).outcome(timeout=60))
    await wait_until(lambda: lash._sessions.current().waiter.has_waits, "it waits")

    await lash.aclose()

    with pytest.raises(LashError, match="closed while somebody waited"):
        await waiting
    assert (await lash.process("approval:1").record()).id == "approval:1"


def test_plain_blocks_are_counted_too(lash: Lash) -> None:
    """In any thread: of two blocks the last closes, and ``close`` within one closes nothing."""
    with ThreadPoolExecutor() as threads, lash.blocking as blocking:
        step = blocking.expect("approval:1")
        wait = threads.submit(step.outcome, timeout=60)
        block_until(lambda: has_waiter(lash, step), "the row notes the wait")
        threads.submit(use_and_leave, lash).result()
        blocking.close()
        assert lash._sessions._blocking.is_open
        blocking.complete_external(step.id, Success(1), DESK)
        assert wait.result() == Success(1)
    assert not lash._sessions._blocking.is_open


def use_and_leave(lash: Lash) -> None:
    """Be within a block, and leave it."""
    with lash.blocking as blocking:
        blocking.expect("approval:1")


def test_leaving_a_plain_block_ends_no_wait_of_others(lash: Lash) -> None:
    """A thread that waits outside of any block goes on."""
    step = lash.blocking.expect("approval:1")
    with ThreadPoolExecutor() as threads:
        wait = threads.submit(step.outcome, timeout=60)
        block_until(lambda: has_waiter(lash, step), "the row notes the wait")
        use_and_leave(lash)
        lash.blocking.complete_external(step.id, Success(1), DESK)
        assert wait.result() == Success(1)


# ── which door is whose ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_blocking_door_leads_to_blocking_handles(lash: Lash) -> None:
    """Each of its handles can be waited for as it is, and has ``.blocking`` too."""

    @lash.task(recovery="rerunnable", name="work")
    def work(number: int) -> int:
        return number

    handles = [work.blocking.submit(1), *work.blocking.submit_many([(2,)]), lash.blocking.expect("approval:1")]
    for handle in (*handles, lash.blocking.process(handles[0].id)):
        assert handle.blocking is handle
        assert handle.record().id == handle.blocking.record().id == handle.id


async def test_a_blocking_call_on_an_event_loop_is_refused(lash: Lash) -> None:
    """It would stop everything that runs there. The error says what to do instead."""

    @lash.task(recovery="rerunnable", name="work")
    def work() -> None: ...

    process = await work.submit()
    calls: list[Callable[[], Any]] = [
        work.blocking.submit,
        lambda: work.blocking.submit_many([()]),
        process.blocking.outcome,
        process.blocking.record,
        lambda: process.blocking.request_cancel(by="ops"),
        lambda: lash.blocking.expect("approval:1"),
        lambda: lash.blocking.complete_external("approval:1", Success(1), DESK),
        lash.blocking.open,
        lash.blocking.__enter__,
    ]
    for call in calls:
        with pytest.raises(LashError, match=r"await the same name without \.blocking, or .*asyncio\.to_thread"):
            call()
    assert await asyncio.to_thread(process.blocking.record) == await process.record()


# ── reading once ───────────────────────────────────────────────────────────────────────────────────────────────────


async def outcome_now(process: Process, *, blocking: bool) -> Any:
    """Read the outcome once, through either door."""
    if blocking:
        return await asyncio.to_thread(process.blocking.outcome, timeout=0)
    return await process.outcome(timeout=0)


@pytest.mark.parametrize("blocking", [False, True], ids=["async", "blocking"])
async def test_a_timeout_of_zero_reads_once(lash: Lash, client: Any, namespace: str, blocking: bool) -> None:
    """What has ended is returned; of what has not the error says where it stands. Nobody is noted as waiting."""
    step = await lash.expect("approval:1")
    with pytest.raises(TimeoutError, match=r"'approval:1' has not ended \(it is outside\)"):
        await outcome_now(step, blocking=blocking)
    assert not has_waiter(lash, step)
    await lash.complete_external(step.id, Success(1), DESK)

    assert await outcome_now(step, blocking=blocking) == Success(1)
    assert await client.pubsub_channels(f"{{lash:{namespace}:*") == []


@pytest.mark.parametrize("blocking", [False, True], ids=["async", "blocking"])
async def test_a_timeout_of_zero_of_a_server_that_is_away(blocking: bool) -> None:
    """It was not read: the error is that of the read, and none that says that the process has not ended."""
    lash = Lash("unix:///nowhere/s")
    with pytest.raises(RegistryUnavailable, match=r"cannot reach unix:.*nowhere"):
        await outcome_now(lash.process("p"), blocking=blocking)


def test_a_fake_server_is_closed_by_its_last_user() -> None:
    """What blocking code opened within an ``async with`` block is closed with it, if nobody else uses it."""
    lash = Lash(fakeredis.FakeAsyncRedis())

    async def use() -> None:
        async with lash:
            await asyncio.to_thread(lash.blocking.expect, "approval:1")
            assert lash._sessions._blocking.is_open
        assert not lash._sessions._blocking.is_open

    asyncio.run(use())

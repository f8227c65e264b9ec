"""Waiting for outcomes: the terminal write sends a message, and a read finds the outcome."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest

from lash_redis.app import blocking_waiter
from lash_redis.app import waiter as waiter_module
from lash_redis.app.lash import Lash
from lash_redis.app.process import BlockingProcess, Process
from lash_redis.app.task import Task
from lash_redis.core.errors import LashError, OutcomePruned, OutcomeUncertain, PayloadError, UnknownProcess
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import ProcessStarted
from lash_redis.core.outcomes import Cancelled, Failure, Outcome, Success
from tests.app.working import SOMEBODY, begin, finish, until_subscribed, waited_too_long
from tests.conftest import ServerTime
from tests.support import block_until, wait_until


@pytest.fixture(autouse=True)
def no_slow_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no slow read find what a message has to bring; a test that is about them sets their interval."""
    for module in (waiter_module, blocking_waiter):
        monkeypatch.setattr(module, "reread_delay_s", lambda: 3600.0)


@pytest.fixture
def due_in(lash: Lash) -> Task[[int], date]:
    """Return a task whose result has a type that no payload can hold."""

    @lash.task(recovery="owner_bound", name="due_in")
    def due_in(days: int) -> date:
        return date.fromordinal(days)

    return due_in


@pytest.fixture
def reads(lash: Lash) -> Callable[[], list[int]]:
    """Return a function that begins to count the reads of the running loop; its list gets the number of ids of each."""
    sizes: list[int] = []

    def begin_counting() -> list[int]:
        watch = lash.registry.watch

        async def counted(process_ids: Sequence[str], name: str) -> Any:
            sizes.append(len(process_ids))
            return await watch(process_ids, name)

        lash.registry.watch = counted  # type: ignore[method-assign]
        return sizes

    return begin_counting


def waiting_for(process: Process, **options: Any) -> asyncio.Task[Outcome]:
    """Wait for an outcome in a task of its own."""
    return asyncio.create_task(process.outcome(**({"timeout": 60} | options)))


async def test_an_outcome_arrives_without_polling(
    lash: Lash, due_in: Task[..., date], client: Any, namespace: str, reads: Callable[[], list[int]]
) -> None:
    """There are two reads: the first, and one after the subscription. The message says how it ended."""
    sizes = reads()
    process = await due_in.submit(1)
    waiter = waiting_for(process)
    await until_subscribed(client, namespace)
    await wait_until(lambda: len(sizes) == 2, "it has read once more")

    await finish(lash, process, Failure("no"))

    assert await waiter == Failure("no")
    assert len(sizes) == 2


async def test_an_outcome_that_exists_costs_one_read(
    lash: Lash, due_in: Task[..., date], client: Any, namespace: str, reads: Callable[[], list[int]]
) -> None:
    """It needs no subscription."""
    process = await due_in.submit(1)
    await finish(lash, process, Failure("no"))
    sizes = reads()

    assert await process.outcome(timeout=4) == Failure("no")

    assert sizes == [1]
    assert await client.pubsub_channels(f"{{lash:{namespace}:*") == []


async def test_waits_that_begin_together_share_a_read(
    lash: Lash, due_in: Task[..., date], reads: Callable[[], list[int]]
) -> None:
    """A hundred waits are one call, which names each process once."""
    processes = await due_in.submit_many([(number,) for number in range(50)])
    sizes = reads()
    waiters = [waiting_for(process) for process in (*processes, *processes)]
    await wait_until(lambda: sizes, "the first read")

    for process in processes:
        await finish(lash, process, Success("2024-01-01"))

    assert await asyncio.gather(*waiters) == [Success(date(2024, 1, 1))] * 100
    assert sizes[0] == 50
    assert len(sizes) <= 52


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_wait_goes_on_while_its_row_stands_where_this_release_knows_no_place(
    lash: Lash, due_in: Task[..., date], client: Any, blocking: bool
) -> None:
    """A newer release may have more places, and its worker ends the work; other waits are not disturbed."""
    strange, plain = await due_in.submit_many([(1,), (2,)])
    key = f"{{lash:{lash.registry.namespace}:{lash.registry.partition_of(strange.id)}}}:p:{strange.id}"
    before = await client.hget(key, "ph")
    await client.hset(key, "ph", b"z")
    waits = [
        asyncio.create_task(asyncio.to_thread(each.blocking.outcome, 30) if blocking else each.outcome(timeout=30))
        for each in (strange, plain)
    ]
    await finish(lash, plain, Success("2024-01-01"))
    assert await waits[1] == Success(date(2024, 1, 1))
    with pytest.raises(TimeoutError, match=r"has not ended .it stands where this release knows no place"):
        await strange.outcome(timeout=0)

    await client.hset(key, "ph", before)
    await finish(lash, strange, Success("2024-01-02"))
    assert await waits[0] == Success(date(2024, 1, 2))


async def test_a_result_has_the_type_that_the_task_declares(lash: Lash, due_in: Task[..., date]) -> None:
    """The record has the stored plain value."""
    process = await due_in.submit(1)
    await finish(lash, process, Success("2024-01-01"))

    assert await process.outcome(timeout=4) == Success(date(2024, 1, 1))
    assert await lash.process(process.id).outcome(timeout=4) == Success(date(2024, 1, 1))
    assert (await process.record()).outcome == Success("2024-01-01")


async def test_a_result_of_another_type_is_an_error(lash: Lash, due_in: Task[..., date]) -> None:
    """The error names the task and the result."""
    process = await due_in.submit(1)
    await finish(lash, process, Success("soon"))

    with pytest.raises(PayloadError, match=r"task due_in: .* returns date, and returned .soon.: result"):
        await process.outcome(timeout=4)


async def test_a_cancel_ends_a_wait(due_in: Task[..., date]) -> None:
    """A cancel request ends a process that nobody holds, and its waiters get a message."""
    process = await due_in.submit(1)
    waiter = waiting_for(process)

    await process.request_cancel(by="ops", reason="a mistake")

    assert await waiter == Cancelled("a mistake")


@pytest.mark.usefixtures("patient_looks")
async def test_a_wait_ends_at_its_timeout(due_in: Task[..., date]) -> None:
    """The error has the phase of the process. The process goes on."""
    process = await due_in.submit(1)

    why = r"has not ended within \d+\.\d+ s \(it is queued: no worker seems to run: none has called"
    for handle in (process, process.blocking):
        assert re.search(why, str(await waited_too_long(handle)))


async def test_a_cancelled_wait_leaves_nothing(lash: Lash, due_in: Task[..., date]) -> None:
    """Another wait for the same process goes on."""
    process = await due_in.submit(1)
    cancelled, waiter = waiting_for(process), waiting_for(process)
    await asyncio.wait([cancelled], timeout=0)
    cancelled.cancel()

    await finish(lash, process, Failure("no"))

    assert await waiter == Failure("no")
    assert lash._sessions.current().waiter._waits == {}


async def test_a_lost_message_is_made_up_for(
    lash: Lash, due_in: Task[..., date], client: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow reads find the end."""
    monkeypatch.setattr(waiter_module, "reread_delay_s", lambda: 0.05)
    monkeypatch.setattr(waiter_module, "told_end", lambda _text: ("", None))
    process = await due_in.submit(1)
    waiter = waiting_for(process)
    await until_subscribed(client, namespace)

    await finish(lash, process, Failure("no"))

    assert await waiter == Failure("no")


async def test_uncertainty_is_waited_out_or_raised(
    lash: Lash, due_in: Task[..., date], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``on_uncertain="raise"`` the wait ends with an error, also if the process becomes uncertain later."""
    monkeypatch.setattr(waiter_module, "reread_delay_s", lambda: 0.05)
    process = await due_in.submit(1)
    patient, other = waiting_for(process), waiting_for(process, on_uncertain="raise")

    await lash.registry.record_first_started(process.id, ProcessStarted(SOMEBODY, 1))

    with pytest.raises(OutcomeUncertain) as raised:
        await other
    with pytest.raises(OutcomeUncertain):
        await asyncio.to_thread(process.blocking.outcome, timeout=4, on_uncertain="raise")
    assert raised.value.record.id == process.id
    assert not patient.done()
    patient.cancel()


async def test_a_pruned_outcome_is_an_error(lash: Lash, due_in: Task[..., date]) -> None:
    """The handle of a submit knows that the process existed. A handle made from an id does not."""
    process = await due_in.submit(1)
    await finish(lash, process, Failure("no"))
    await lash.registry.prune(2**53)

    with pytest.raises(OutcomePruned):
        await process.outcome(timeout=4)
    with pytest.raises(OutcomePruned):
        await asyncio.to_thread(process.blocking.outcome, timeout=4)
    with pytest.raises(UnknownProcess):
        await lash.process(process.id).outcome(timeout=4)


async def test_a_wait_survives_the_loss_of_its_subscription(
    lash: Lash, due_in: Task[..., date], client: Any, namespace: str, server: ServerTime
) -> None:
    """It subscribes again and reads, since the end may have come in between."""
    if server.is_fake:
        pytest.skip("a fake server cuts no connection")
    process = await due_in.submit(1)
    waiter = waiting_for(process)
    await until_subscribed(client, namespace)

    await client.client_kill_filter(_type="pubsub")
    await finish(lash, process, Failure("no"))

    assert await waiter == Failure("no")


async def test_a_wait_ends_when_its_lash_is_closed(due_in: Task[..., date], lash: Lash) -> None:
    """No message would reach it any more."""
    waiter = waiting_for(await due_in.submit(1))
    await wait_until(lambda: lash._sessions.current().waiter._waits, "it waits")

    await lash.aclose()

    with pytest.raises(LashError, match="closed while somebody waited"):
        await waiter


def has_waiter(lash: Lash, process: Process | BlockingProcess) -> bool:
    """Return whether the row notes that a client waits for its end."""
    row = lash._sessions._blocking.registry.rows([process.id])[0]
    return row is not None and b"w" in row.fields


def test_blocking_waits_get_the_message_too(
    lash: Lash, due_in: Task[..., date], event_loop_runner: asyncio.Runner
) -> None:
    """Several threads wait, and one thread listens for them, without an event loop."""
    processes = due_in.blocking.submit_many([(1,), (2,)])

    with ThreadPoolExecutor() as threads:
        waits = [threads.submit(process.blocking.outcome, timeout=60) for process in processes]
        block_until(lambda: all(has_waiter(lash, process) for process in processes), "both rows note the wait")
        for process in processes:
            event_loop_runner.run(finish(lash, process, Success("2024-01-01")))

    assert [wait.result() for wait in waits] == [Success(date(2024, 1, 1))] * 2


def test_a_blocking_wait_ends_when_its_lash_is_closed(lash: Lash, due_in: Task[..., date]) -> None:
    """Its thread must not wait for ever."""
    process = due_in.blocking.submit(1)

    with ThreadPoolExecutor() as threads:
        wait = threads.submit(process.blocking.outcome)
        block_until(lambda: has_waiter(lash, process), "the row notes the wait")
        lash.blocking.close()

    with pytest.raises(LashError, match="closed while somebody waited"):
        wait.result()


async def test_an_unknown_message_ends_no_wait(
    lash: Lash, due_in: Task[..., date], client: Any, namespace: str
) -> None:
    """A channel may carry messages of other releases."""
    process = await due_in.submit(1)
    waiter = waiting_for(process)
    await until_subscribed(client, namespace)
    for name in await client.pubsub_channels(f"{{lash:{namespace}:*"):
        await client.publish(name, f"hindered {process.id}")

    await finish(lash, process, Failure("no"))

    assert await waiter == Failure("no")


async def test_the_loss_of_a_holder_does_not_end_a_wait(lash: Lash, due_in: Task[..., date]) -> None:
    """Only a terminal fact ends it: here the starter comes back and writes its result."""
    process = await due_in.submit(1)
    lease = await begin(lash, process)
    waiter = waiting_for(process)
    await lash.registry.release(lease)
    again = await lash.registry.claim(process.id, LeaseOwner.opaque("somebody", "one-life"), 30_000)

    await lash.registry.complete(again.lease, Success("2024-01-01"))  # type: ignore[union-attr]

    assert await waiter == Success(date(2024, 1, 1))

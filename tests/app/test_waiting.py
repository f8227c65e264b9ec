"""Waiting for outcomes: woken by the terminal write, with point reads as the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest

from lash_redis.app import waiting
from lash_redis.app.lash import Lash
from lash_redis.app.process import Process
from lash_redis.app.task import Task
from lash_redis.core.errors import LashError, OutcomePruned, OutcomeUncertain, PayloadError, UnknownProcess
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Cancelled, Failure, Outcome, ProcessStarted, Success
from tests.app.working import SOMEBODY, begin, finish, until_subscribed
from tests.support import block_until, wait_until


@pytest.fixture
def due_in(lash: Lash) -> Task[[int], date]:
    """Return a task whose result has a type that a payload does not know."""

    @lash.task(recovery="owner_bound", name="due_in")
    def due_in(days: int) -> date:
        return date.fromordinal(days)

    return due_in


@pytest.fixture
def reads(lash: Lash) -> Callable[[], list[int]]:
    """Return what counts the reads of the loop that the test runs on: how many ids each had."""
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
    """Wait for an outcome beside the test, less long than the slow reads would take to find it."""
    return asyncio.create_task(process.outcome(**({"timeout": 4} | options)))


async def test_an_outcome_arrives_without_polling(
    lash: Lash, due_in: Task[..., date], client: Any, namespace: str, reads: Callable[[], list[int]]
) -> None:
    """Three reads are all: the first, one once the subscription stands, one when the end was heard of."""
    sizes = reads()
    process = await due_in.submit(1)
    waiter = waiting_for(process)
    await until_subscribed(client, namespace)
    await wait_until(lambda: len(sizes) == 2, "it has read once more")

    await finish(lash, process, Failure("no"))

    assert await waiter == Failure("no")
    assert len(sizes) == 3


async def test_an_outcome_that_is_there_costs_one_read(
    lash: Lash, due_in: Task[..., date], client: Any, namespace: str, reads: Callable[[], list[int]]
) -> None:
    """And no subscription."""
    process = await due_in.submit(1)
    await finish(lash, process, Failure("no"))
    sizes = reads()

    assert await process.outcome(timeout=4) == Failure("no")

    assert sizes == [1]
    assert await client.pubsub_channels(f"{{lash:{namespace}:*") == []


async def test_waits_of_one_moment_share_a_read(
    lash: Lash, due_in: Task[..., date], reads: Callable[[], list[int]]
) -> None:
    """A hundred at once are one call, however many wait for the same."""
    processes = await due_in.submit_many([(number,) for number in range(50)])
    sizes = reads()
    waiters = [waiting_for(process) for process in (*processes, *processes)]
    await wait_until(lambda: sizes, "the first read")

    for process in processes:
        await finish(lash, process, Success("2024-01-01"))

    assert await asyncio.gather(*waiters) == [Success(date(2024, 1, 1))] * 100
    assert sizes[0] == 50
    assert len(sizes) <= 52


async def test_a_result_has_the_type_that_the_task_declares(lash: Lash, due_in: Task[..., date]) -> None:
    """The record has it as it is stored."""
    process = await due_in.submit(1)
    await finish(lash, process, Success("2024-01-01"))

    assert await process.outcome(timeout=4) == Success(date(2024, 1, 1))
    assert await lash.process(process.id).outcome(timeout=4) == Success(date(2024, 1, 1))
    assert (await process.record()).outcome == Success("2024-01-01")


async def test_a_result_of_another_type_is_an_error(lash: Lash, due_in: Task[..., date]) -> None:
    """It names the task and what was expected."""
    process = await due_in.submit(1)
    await finish(lash, process, Success("soon"))

    with pytest.raises(PayloadError, match="task due_in: result"):
        await process.outcome(timeout=4)


async def test_a_cancel_ends_a_wait(due_in: Task[..., date]) -> None:
    """A request on work that nobody holds is the end, and is heard of like any other."""
    process = await due_in.submit(1)
    waiter = waiting_for(process)

    await process.request_cancel(by="ops", reason="a mistake")

    assert await waiter == Cancelled("a mistake")


async def test_a_wait_ends_at_its_timeout(due_in: Task[..., date]) -> None:
    """The error says where the process stands; the process goes on."""
    process = await due_in.submit(1)

    with pytest.raises(TimeoutError, match=r"has not ended within 0\.2 s \(it is queued\)"):
        await process.outcome(timeout=0.2)
    with pytest.raises(TimeoutError, match=r"has not ended within 0\.2 s \(it is queued\)"):
        process.blocking.outcome(timeout=0.2)


async def test_a_wait_that_was_given_up_leaves_nothing(lash: Lash, due_in: Task[..., date]) -> None:
    """And disturbs nobody else who waits for the same process."""
    process = await due_in.submit(1)
    given_up, waiter = waiting_for(process), waiting_for(process)
    await asyncio.wait([given_up], timeout=0)
    given_up.cancel()

    await finish(lash, process, Failure("no"))

    assert await waiter == Failure("no")
    assert lash._connections.side().waiting._waits == {}


async def test_a_lost_word_is_made_up_for(
    lash: Lash, due_in: Task[..., date], client: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow reads find an end that nobody was told of."""
    monkeypatch.setattr(waiting, "until_reread_s", lambda: 0.05)
    monkeypatch.setattr(waiting, "ended_id", lambda _text: "")
    process = await due_in.submit(1)
    waiter = waiting_for(process)
    await until_subscribed(client, namespace)

    await finish(lash, process, Failure("no"))

    assert await waiter == Failure("no")


async def test_uncertainty_is_waited_out_or_raised(
    lash: Lash, due_in: Task[..., date], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever does not want to wait for an operator says so, also when it becomes uncertain later."""
    monkeypatch.setattr(waiting, "until_reread_s", lambda: 0.05)
    process = await due_in.submit(1)
    patient, other = waiting_for(process), waiting_for(process, on_uncertain="raise")

    await lash.registry.record_first_started(process.id, ProcessStarted(SOMEBODY, 1))

    with pytest.raises(OutcomeUncertain) as raised:
        await other
    with pytest.raises(OutcomeUncertain):
        process.blocking.outcome(timeout=4, on_uncertain="raise")
    assert raised.value.record.id == process.id
    assert not patient.done()
    patient.cancel()


async def test_a_pruned_outcome_is_an_error(lash: Lash, due_in: Task[..., date]) -> None:
    """Whoever submitted knows that it was there; who only has the id cannot tell it from one that never was."""
    process = await due_in.submit(1)
    await finish(lash, process, Failure("no"))
    await lash.registry.prune(2**53)

    with pytest.raises(OutcomePruned):
        await process.outcome(timeout=4)
    with pytest.raises(OutcomePruned):
        process.blocking.outcome(timeout=4)
    with pytest.raises(UnknownProcess):
        await lash.process(process.id).outcome(timeout=4)


async def test_a_wait_survives_the_loss_of_its_subscription(
    lash: Lash, due_in: Task[..., date], client: Any, namespace: str, backend: Any
) -> None:
    """It subscribes anew and reads, since the end may have come in between."""
    if backend.is_fake:
        pytest.skip("a fake server cuts no connection")
    process = await due_in.submit(1)
    waiter = waiting_for(process)
    await until_subscribed(client, namespace)

    await client.client_kill_filter(_type="pubsub")
    await finish(lash, process, Failure("no"))

    assert await waiter == Failure("no")


async def test_a_wait_ends_when_its_lash_is_closed(due_in: Task[..., date], lash: Lash) -> None:
    """Nobody would ever tell it of the end."""
    waiter = waiting_for(await due_in.submit(1))
    await wait_until(lambda: lash._connections.side().waiting._waits, "it waits")

    await lash.aclose()

    with pytest.raises(LashError, match="closed while somebody waited"):
        await waiter


def is_noted(lash: Lash, process: Process) -> bool:
    """Say whether the row says that somebody waits for its end."""
    row = lash._connections.plain().registry.rows([process.id])[0]
    return row is not None and b"w" in row.fields


def test_plain_code_is_woken_too(lash: Lash, due_in: Task[..., date], event_loop_runner: asyncio.Runner) -> None:
    """Threads wait on one listening thread, without an event loop."""
    processes = due_in.blocking.submit_many([(1,), (2,)])

    with ThreadPoolExecutor() as threads:
        waits = [threads.submit(process.blocking.outcome, timeout=4) for process in processes]
        block_until(lambda: all(is_noted(lash, process) for process in processes), "both are known to wait")
        for process in processes:
            event_loop_runner.run(finish(lash, process, Success("2024-01-01")))

    assert [wait.result() for wait in waits] == [Success(date(2024, 1, 1))] * 2


def test_a_plain_wait_ends_when_its_lash_is_closed(lash: Lash, due_in: Task[..., date]) -> None:
    """Its thread must not hang for ever."""
    process = due_in.blocking.submit(1)

    with ThreadPoolExecutor() as threads:
        wait = threads.submit(process.blocking.outcome)
        block_until(lambda: is_noted(lash, process), "it is known to wait")
        lash.blocking.close()

    with pytest.raises(LashError, match="closed while somebody waited"):
        wait.result()


async def test_a_word_about_something_else_wakes_nobody(
    lash: Lash, due_in: Task[..., date], client: Any, namespace: str
) -> None:
    """A channel may carry words that this release does not know."""
    process = await due_in.submit(1)
    waiter = waiting_for(process)
    await until_subscribed(client, namespace)
    for name in await client.pubsub_channels(f"{{lash:{namespace}:*"):
        await client.publish(name, f"hindered {process.id}")

    await finish(lash, process, Failure("no"))

    assert await waiter == Failure("no")


async def test_the_loss_of_a_holder_does_not_end_a_wait(lash: Lash, due_in: Task[..., date]) -> None:
    """Only a terminal fact does: here the starter came back and wrote its result."""
    process = await due_in.submit(1)
    lease = await begin(lash, process)
    waiter = waiting_for(process)
    await lash.registry.release(lease)
    again = await lash.registry.claim(process.id, LeaseOwner.opaque("somebody", "one-life"), 30_000)

    await lash.registry.complete(again.lease, Success("2024-01-01"))  # type: ignore[union-attr]

    assert await waiter == Success(date(2024, 1, 1))

"""Work that nobody serves: a submit tells of it once, and a wait that is over says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from lash_redis.app import unserved
from lash_redis.app.lash import Lash
from lash_redis.app.process import Process
from lash_redis.app.task import Task
from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.events import Event, WorkUnserved
from lash_redis.core.subscribers import subscribed
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.worker import Worker
from tests.app.working import waited_too_long
from tests.conformance.actors import ADA, batch_claim

pytestmark = pytest.mark.usefixtures("patient_looks")

Submit = Callable[[Task[[str], str], str], Any]


@pytest.fixture
def told() -> Iterator[list[WorkUnserved]]:
    """Return the list that fills with what is told of work that nobody serves."""
    events: list[WorkUnserved] = []

    def hear(event: Event) -> None:
        if isinstance(event, WorkUnserved):
            events.append(event)

    with subscribed(hear):
        yield events


async def serve(lash: Lash, *lanes: str) -> None:
    """Let a worker with these lanes live."""
    registry = lash.registry
    await registry.open()
    for partition in range(registry.partitions):
        served = [("default", lanes)]
        await registry.claim_next(batch_claim(registry, ADA, count=0, partition=partition, served=served))


def declared(lash: Lash, name: str = "tasks.add") -> Task[[str], str]:
    """Return a task of that name."""

    @lash.task(recovery="rerunnable", name=name)
    def add(piece: str) -> str:
        return piece

    return add


async def submit(task: Task[[str], str], piece: str) -> Process[str]:
    """Submit one call."""
    return await task.submit(piece)


async def submit_many(task: Task[[str], str], piece: str) -> Process[str]:
    """Submit one call among many."""
    return (await task.submit_many([(piece,), (piece,)]))[0]


async def submit_blocking(task: Task[[str], str], piece: str) -> Any:
    """Submit one call from plain code."""
    return await asyncio.to_thread(task.blocking.submit, piece)


async def submit_many_blocking(task: Task[[str], str], piece: str) -> Any:
    """Submit many calls from plain code."""
    return (await asyncio.to_thread(task.blocking.submit_many, [(piece,)]))[0]


EVERY_DOOR = pytest.mark.parametrize("send", [submit, submit_many, submit_blocking, submit_many_blocking])


@EVERY_DOOR
async def test_a_submit_that_nobody_serves_tells_of_it_once(lash: Lash, told: list[WorkUnserved], send: Submit) -> None:
    """It names the task, the queue and what is near: a program that was run as a script has other names."""
    await serve(lash, "default|app.tasks.add|")
    task = declared(lash)

    for _ in range(3):
        await send(task, "one")

    why = "no worker that called within the last minute declares it; some declare 'app.tasks.add'"
    why += "; it waits until a worker declares it"
    assert told == [WorkUnserved(task="tasks.add", queue="default", reason=why)]


async def test_a_submit_is_told_of_where_no_worker_lives(lash: Lash, told: list[WorkUnserved]) -> None:
    """The pool is not started yet, or has gone."""
    await declared(lash).submit("one")

    assert [each.reason for each in told] == [
        "no worker seems to run: none has called Redis within the last minute; it waits until a worker declares it"
    ]


@EVERY_DOOR
async def test_what_is_served_is_told_to_nobody(lash: Lash, told: list[WorkUnserved], send: Submit) -> None:
    """A worker that lives declares the task: with this signature, or with another one that may fit."""
    task = declared(lash)
    await serve(lash, "default|tasks.add|")

    await send(task, "one")

    assert told == []


async def test_one_look_a_minute_is_enough(
    lash: Lash, told: list[WorkUnserved], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is submitted in it."""
    await serve(lash, "default|tasks.add|")
    task = declared(lash)
    asked = 0
    served = type(lash.registry).service_of

    async def counted(*args: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        return await served(*args, **options)

    monkeypatch.setattr(type(lash.registry), "service_of", counted)
    for _ in range(20):
        await task.submit("one")

    assert asked == 1


async def test_the_first_thousand_tasks_and_queues_are_looked_at(
    lash: Lash, told: list[WorkUnserved], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that makes a queue for each customer does not remember them all."""
    monkeypatch.setattr(unserved, "_MOST_LANES", 2)
    task = declared(lash)

    for queue in ("a", "b", "c", "a"):
        await task.options(queue=queue).submit("one")

    assert [each.queue for each in told] == ["a", "b"]


async def test_a_look_lasts_a_second_at_most(lash: Lash, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a server that hangs: the work is registered, and the wait is over."""
    budgets = []

    async def over(budget_ms: int, work: Coroutine[Any, Any, Any]) -> Any:
        budgets.append(budget_ms)
        work.close()
        raise TimeoutError

    monkeypatch.setattr(unserved, "within", over)
    process = await declared(lash).submit("one")
    assert "(it is queued)" in str(await waited_too_long(process))

    assert budgets == [1000, 1000]


@EVERY_DOOR
async def test_a_look_that_fails_changes_nothing(
    lash: Lash, told: list[WorkUnserved], monkeypatch: pytest.MonkeyPatch, send: Submit
) -> None:
    """The work is registered."""

    def fails(*_: Any, **__: Any) -> Any:
        raise RegistryUnavailable("served", "a fault", maybe_applied=False)

    monkeypatch.setattr(ProcessRegistry, "service_of", fails)
    monkeypatch.setattr(BlockingRegistry, "service_of", fails)
    process = await send(declared(lash), "one")

    assert await lash.registry.get(process.id) is not None
    assert told == []


async def test_a_wait_that_is_over_says_that_nobody_serves_it(lash: Lash) -> None:
    """Whoever waits learns why in the error."""
    await serve(lash, "default|app.tasks.add|")
    process = await declared(lash).submit("one")

    why = "it is queued: no worker that called within the last minute declares it; some declare 'app.tasks"
    assert why in str(await waited_too_long(process))


async def test_a_wait_in_a_thread_that_is_over_says_so_too(lash: Lash) -> None:
    """The same words."""
    process = await declared(lash).submit("one")

    why = "it is queued: no worker seems to run: none has called Redis within the last minute"
    assert why in str(await waited_too_long(process.blocking))


async def test_a_worker_is_known_by_its_first_claim(lash: Lash, told: list[WorkUnserved]) -> None:
    """A program whose own worker runs is told of nothing."""
    task = declared(lash)
    worker = Worker(lash.registry, tasks=lash.tasks)
    await worker.drive_pending()

    process = await task.submit("one")
    await worker.drive_pending()

    assert (await process.outcome(timeout=5)).value == "one"  # type: ignore[union-attr]
    assert told == []

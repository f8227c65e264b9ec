"""``submit_many`` makes a batch while the one before is at the server, and means what it would one after the other."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import redis.asyncio

from lash_redis.app.lash import Lash
from lash_redis.app.task import Task
from lash_redis.core.errors import QueueFull
from lash_redis.registry.calls import reads
from lash_redis.registry.transport.async_patience import AsyncPatience
from lash_redis.registry.transport.blocking_patience import BlockingPatience
from tests.conformance.actors import work
from tests.conftest import delete_namespace
from tests.servers import Servers

BOTH = pytest.mark.parametrize("blocking", [False, True], ids=["awaited", "blocking"])


@pytest.fixture
async def lash(servers: Servers, namespace: str) -> AsyncIterator[Lash]:
    """Return a ``Lash`` on a real server; what it made is deleted at the end."""
    url = servers["valkey"].url
    async with Lash(url, namespace) as made:
        yield made
    made.blocking.close()
    async with redis.asyncio.Redis.from_url(url) as raw:
        await delete_namespace(raw, namespace)


@pytest.fixture
def task(lash: Lash) -> Task[[int], int]:
    """Return a task."""

    @lash.task(recovery="rerunnable", name="work")
    def work(number: int) -> int:
        return number

    return work


async def submitted(task: Task[[int], int], calls: Iterator[Any], *, blocking: bool) -> list[str]:
    """Submit many, in either way; return the ids."""
    if blocking:
        return [each.id for each in await asyncio.to_thread(task.blocking.submit_many, calls)]
    return [each.id for each in await task.submit_many(calls)]


def noted(events: list[Any], word: str, method: Callable[..., Any], *, is_async: bool) -> Callable[..., Any]:
    """Return a method of a connection that notes when it has done its work."""

    async def later(*args: Any, **kwargs: Any) -> Any:
        answer = await method(*args, **kwargs)
        events.append(word)
        return answer

    def now(*args: Any, **kwargs: Any) -> Any:
        answer = method(*args, **kwargs)
        events.append(word)
        return answer

    return later if is_async else now


@BOTH
async def test_a_batch_is_made_while_the_one_before_is_at_the_server(
    lash: Lash, task: Task[[int], int], monkeypatch: pytest.MonkeyPatch, blocking: bool
) -> None:
    """It is sent when that one is answered, so that the order is that of the calls and errors come one by one."""
    await submitted(task, iter([(0,)]), blocking=blocking)  # connects
    events: list[Any] = []
    kind: Any = BlockingPatience if blocking else AsyncPatience
    for word, name in (("sent", "send_packed_command"), ("answered", "read_response")):
        monkeypatch.setattr(kind, name, noted(events, word, getattr(kind, name), is_async=not blocking))

    def calls() -> Iterator[tuple[int]]:
        for number in range(1_200):
            if number % 500 == 0:
                events.append(number)
            yield (number,)

    ids = await submitted(task, calls(), blocking=blocking)

    assert events == [0, "sent", 500, "answered", "sent", 1000, "answered", "sent", "answered"]
    monkeypatch.undo()
    rows = await lash.registry.rows(ids[:500]) + await lash.registry.rows(ids[500:1000])
    places = [int(row.fields[b"sq"]) for row in rows if row is not None]
    assert len(places) == 1_000
    assert places == sorted(places)


@BOTH
async def test_an_error_of_the_iterable_comes_after_what_is_under_way(
    lash: Lash, task: Task[[int], int], blocking: bool
) -> None:
    """What was sent before is registered by then, and the next call has its own answer."""

    def calls() -> Iterator[tuple[int]]:
        yield from ((number,) for number in range(700))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await submitted(task, calls(), blocking=blocking)

    assert (await lash.registry.counts(0)).lanes == {f"default|work|{task.declaration.signature.digest}": 500}
    assert len(await submitted(task, iter([(1,), (2,)]), blocking=blocking)) == 2


@BOTH
async def test_a_refusal_of_the_batch_before_comes_first(lash: Lash, task: Task[[int], int], blocking: bool) -> None:
    """A wrong call among those behind it is not what the caller hears of."""
    lash.queue("small", most_waiting=10)
    wrong: Any = [*((number,) for number in range(600)), ("much",)]

    with pytest.raises(QueueFull) as refused:
        await submitted(task.options(queue="small"), iter(wrong), blocking=blocking)

    assert refused.value.__notes__ == ["submit_many: the first 0 of the iterable are registered, and no other is"]


async def test_an_answer_that_nobody_reads_is_nobody_elses(lash: Lash) -> None:
    """Its connection is closed."""
    await lash.registry.register_many([work("p"), work("q")])

    def ask() -> list[Any]:
        registry = lash.blocking._sessions.blocking().registry  # noqa: SLF001 - what a blocking call is made of
        answer = registry.begin(reads.get, "p")
        found = [registry.get("q"), answer(), registry.get("q")]
        left = registry.begin(reads.get, "p")
        del left
        gc.collect()
        return [*found, registry.get("q"), registry.begin(reads.get, "q")()]

    assert [each.id for each in await asyncio.to_thread(ask)] == ["q", "p", "q", "q", "q"]

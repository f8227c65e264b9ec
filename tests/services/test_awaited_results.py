"""Functions that look plain and return what is to be awaited: wrappers around an ``async def``, for the most part."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lash_redis.core.outcomes import Failure, Success
from lash_redis.tasks.declaration import declare
from lash_redis.worker.attempt import Stop
from lash_redis.worker.ending import How
from tests.services.runs import Runs
from tests.support import wait_until


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function as decorators do that know nothing of ``async``."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


async def double(number: int) -> int:
    """Double a number a little later."""
    await asyncio.sleep(0)
    return 2 * number


class Later:
    """An awaitable that is no coroutine."""

    def __await__(self) -> Any:
        return double(2).__await__()


async def twice_later() -> Any:
    """Return what is to be awaited once more."""
    return double(2)


RETURNED: dict[str, Callable[[], Any]] = {
    "a wrapper": lambda: logged(logged(double))(2),
    "a partial": functools.partial(double, 2),
    "an awaitable": Later,
    "an awaitable that gives another": twice_later,
}


@pytest.mark.parametrize("what", RETURNED)
async def test_what_a_plain_function_returns_is_awaited(what: str) -> None:
    """Otherwise owner-bound work would fail after its start, and nothing of it would have run."""

    def work() -> Any:
        return RETURNED[what]()

    runs = Runs(work)
    runs.begin()
    assert await runs.result() == Success(4)


async def test_what_an_async_function_returns_is_awaited_too() -> None:
    """The same rule for both."""
    runs = Runs(twice_later)
    runs.begin()
    assert await runs.result() == Success(4)


async def test_the_function_itself_runs_in_a_thread_and_what_it_returns_on_the_event_loop() -> None:
    """The wrapper may block; the coroutine may not be run anywhere else."""
    threads: list[threading.Thread] = []

    async def inner() -> None:
        threads.append(threading.current_thread())

    def work() -> Awaitable[None]:
        threads.append(threading.current_thread())
        return inner()

    runs = Runs(work)
    runs.begin()
    await runs.result()
    assert threads[0] is not threading.current_thread()
    assert threads[1] is threading.current_thread()


async def test_both_parts_share_one_context() -> None:
    """What a wrapper sets is set for what it wraps."""
    variable = contextvars.ContextVar("variable", default="unset")

    async def inner() -> str:
        return variable.get()

    def work() -> Any:
        variable.set("by the wrapper")
        return inner()

    runs = Runs(work)
    runs.begin()
    assert await runs.result() == Success("by the wrapper")


async def test_what_it_raises_is_its_failure() -> None:
    """With the traceback of the coroutine."""

    async def inner() -> None:
        raise ZeroDivisionError("by nothing")

    runs = Runs(logged(inner))
    runs.begin()
    result = await runs.result()
    assert isinstance(result, Failure)
    assert (result.code, result.message) == ("ZeroDivisionError", "by nothing")
    assert "in inner" in result.traceback


async def test_it_can_be_stopped_while_it_is_awaited() -> None:
    """By cancelling it, as any other on the event loop."""
    begun: list[None] = []

    async def inner() -> None:
        begun.append(None)
        await asyncio.Event().wait()

    runs = Runs(logged(inner))
    attempt = runs.begin()
    await wait_until(lambda: begun, "it is awaited")
    attempt.ask_to_stop(Stop.REQUESTED)
    assert (await runs.end()).how is How.INTERRUPTED


async def test_a_stop_between_its_two_parts_is_not_lost() -> None:
    """It strikes where the awaited part first waits. It has begun, and it is not left unawaited."""
    returned = threading.Event()

    async def inner() -> None:
        await asyncio.Event().wait()

    def work() -> Any:
        returned.set()
        return inner()

    runs = Runs(work)
    attempt = runs.begin()
    assert returned.wait(10)  # the event loop is blocked here: what was returned cannot be awaited yet
    attempt.ask_to_stop(Stop.REQUESTED)
    assert (await runs.end()).how is How.INTERRUPTED


def test_a_declared_awaitable_is_declared_by_what_it_gives() -> None:
    """``-> Awaitable[int]`` of a plain function says that its result is an int."""

    def work() -> Awaitable[int]:
        return double(2)

    declaration = declare(work, recovery="rerunnable", name="work")
    assert declaration.signature.returns.annotation is int

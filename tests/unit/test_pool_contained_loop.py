"""The event loop of a worker process: what would end it is told, and it goes on (rule 5.7)."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

import pytest

from lash_redis.core.events import Event, WorkerExitRefused
from lash_redis.core.subscribers import subscribed
from lash_redis.pool.contained_loop import run_contained


class StrikingSelector(selectors.DefaultSelector):
    """A selector in which something strikes, as a signal's handler does that raises while the event loop waits."""

    strikes: list[BaseException] = []  # noqa: RUF012 - each test gives its own

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Raise the next strike, if there is one."""
        if self.strikes:
            raise self.strikes.pop()
        return super().select(timeout)


class Policy(asyncio.DefaultEventLoopPolicy):
    """Makes event loops whose selector is struck."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """Return one."""
        return asyncio.SelectorEventLoop(StrikingSelector())


@pytest.fixture(autouse=True)
def _policy() -> Any:
    asyncio.set_event_loop_policy(Policy())
    yield
    asyncio.set_event_loop_policy(None)


def ends_of(work: Callable[[], Any]) -> tuple[list[BaseException | None], list[Event]]:
    """Run a coroutine contained; return how it ended, and the events of it."""
    ends, events = list[BaseException | None](), list[Event]()
    with subscribed(events.append):
        run_contained(work(), lambda _loop: None, ends.append)
    return ends, events


@pytest.mark.parametrize("strike", [TimeoutError, OSError, SystemExit, KeyboardInterrupt])
def test_what_strikes_while_the_event_loop_waits_is_told_and_ends_nothing(strike: type[BaseException]) -> None:
    """The main task goes on to its end."""
    done = []

    async def work() -> None:
        StrikingSelector.strikes = [strike("from a handler")]
        await asyncio.sleep(0.001)
        done.append(True)

    ends, events = ends_of(work)

    assert (ends, done) == ([None], [True])
    assert [each.asked_by for each in events if isinstance(each, WorkerExitRefused)] == [strike.__name__]


def test_an_event_loop_that_cannot_go_on_ends() -> None:
    """Its selector raises each time, as one does that user code has closed: the worker process must not spin."""

    async def work() -> None:
        StrikingSelector.strikes = [ValueError("closed")] * 1000
        await asyncio.sleep(0.001)

    ends, _ = ends_of(work)
    StrikingSelector.strikes = []

    assert [type(each) for each in ends] == [ValueError]

"""What threads hand to the event loop is done once each, in its order, with one wake-up for many."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial

import pytest

from lash_redis.worker.handover import Handover
from tests.support import wait_until


def in_a_thread(act: Callable[[], None]) -> None:
    """Do something in a thread, and wait for its end."""
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


async def test_the_loop_is_woken_once_for_all_that_came_before_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wake-up is a system call and a turn of the loop: more than the end of a short run costs."""
    loop, wake_ups, made = asyncio.get_running_loop(), list[None](), list[int]()
    wake = loop.call_soon_threadsafe

    def counted(call: Callable[[], None]) -> None:
        wake_ups.append(None)
        wake(call)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    handover = Handover()
    handover.take_to(loop)
    for round_number in (1, 2):
        for number in range(20):
            in_a_thread(partial(handover.make, partial(made.append, number)))
        await wait_until(partial(lambda count: len(made) == count, 20 * round_number), "all are made")
        assert len(wake_ups) == round_number
    assert made == [*range(20)] * 2


async def test_a_thread_that_wakes_the_loop_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wake-up is a system call, in which other threads run: their ends are handed over together with its own."""
    loop, made = asyncio.get_running_loop(), list[str]()
    wake, handover = loop.call_soon_threadsafe, Handover()
    others: list[threading.Thread] = []

    def slow(call: Callable[[], None]) -> None:
        others.append(threading.Thread(target=lambda: handover.make(lambda: made.append("second")), daemon=True))
        others[0].start()
        others[0].join(10)
        made.append("still waits" if others[0].is_alive() else "went on")
        wake(call)

    monkeypatch.setattr(loop, "call_soon_threadsafe", slow)
    handover.take_to(loop)
    in_a_thread(lambda: handover.make(lambda: made.append("first")))
    await wait_until(lambda: "second" in made, "they are made")
    assert made == ["went on", "first", "second"]


async def test_what_was_struck_is_made_again_and_what_follows_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler of a signal may raise anywhere. An end that nobody saw would keep its slot for ever."""
    loop, told, made = asyncio.get_running_loop(), list[object](), list[str]()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    strikes = [TimeoutError("the handler of a signal")]

    def first() -> None:
        made.append("first")
        if strikes:
            raise strikes.pop()

    handover = Handover()
    handover.take_to(loop)
    in_a_thread(lambda: handover.make(first))
    in_a_thread(lambda: handover.make(lambda: made.append("second")))
    await wait_until(lambda: "second" in made, "the second is made")
    assert made == ["first", "first", "second"]
    assert len(told) == 1


def test_what_comes_while_no_loop_runs_is_made_on_the_next() -> None:
    """Also what the last one was told of and did not come to."""
    handover, made = Handover(), list[str]()

    async def look() -> None:
        handover.take_to(asyncio.get_running_loop())
        await wait_until(lambda: len(made) == 3, "all are made")

    in_a_thread(lambda: handover.make(lambda: made.append("before the first loop")))
    loop = asyncio.new_event_loop()
    handover.take_to(loop)
    in_a_thread(lambda: handover.make(lambda: made.append("told of")))
    loop.close()
    in_a_thread(lambda: handover.make(lambda: made.append("too late")))
    asyncio.run(look())
    assert made == ["before the first loop", "told of", "too late"]

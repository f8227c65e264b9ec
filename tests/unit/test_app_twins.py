"""What async code and code without an event loop can call: the same names, written twice."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, get_overloads

import pytest

from lash_redis.app.blocking_lash import BlockingLash
from lash_redis.app.blocking_waiter import BlockingWaiter
from lash_redis.app.groups import BlockingGroup, Group
from lash_redis.app.lash import Lash
from lash_redis.app.process import BlockingProcess, Process
from lash_redis.app.schedules import BlockingSchedules, Schedules
from lash_redis.app.task import BlockingTask, Task
from lash_redis.app.waiter import Waiter

TWINS = [
    (Lash, BlockingLash),
    (Process, BlockingProcess),
    (Task, BlockingTask),
    (Group, BlockingGroup),
    (Schedules, BlockingSchedules),
    (Waiter, BlockingWaiter),
]
# The same with and without an event loop.
SAME = {"aclose": "close", "aclose_if_idle": "close_if_idle", "__aenter__": "__enter__", "__aexit__": "__exit__"}


HANDLE = re.compile(r"\b(Blocking)?Process\b")  # a blocking method gives blocking handles
NO_IO = {"process", "group"}
BY_ASYNCIO = {"wait_for_several"}  # on an event loop asyncio waits for several
# Submits of one event loop share calls, so that theirs takes what they share; a thread's submit is a call of its own.
SHARING = {Waiter.submit, BlockingWaiter.submit}


def methods(kind: type, wanted: Callable[[Any], bool]) -> dict[str, str]:
    """Return the signatures of the methods that others call, by the blocking one's name.

    They are a class's own, and those of its parts. What both twins inherit is no twin.
    """
    parts = [each for each in kind.__mro__[:-1] if not each.__name__.startswith("_")]
    return {
        SAME.get(name, name): HANDLE.sub("a handle", str(inspect.signature(method))).replace("AsyncItera", "Itera")
        for part in parts
        for name, method in vars(part).items()
        if wanted(method)
        and method not in SHARING
        and name not in {*NO_IO, *BY_ASYNCIO}
        and (not name.startswith("_") or name in {*SAME, *SAME.values()})
    }


def is_async(method: object) -> bool:
    """Say whether a method is awaited, or iterated with ``async for``."""
    return inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)


@pytest.mark.parametrize(("waits", "blocks"), TWINS)
def test_what_waits_can_be_called_without_an_event_loop(waits: type, blocks: type) -> None:
    """Every coroutine method has a blocking one with the same parameters and the same result, and there is no other.

    A method that needs no server, such as ``Task.options``, is not there twice.
    """
    assert methods(blocks, inspect.isfunction) == methods(waits, is_async) != {}


@pytest.mark.parametrize(("waits", "blocks"), TWINS[:-1])
def test_what_blocks_says_of_which_coroutine_it_does_the_work(waits: type, blocks: type) -> None:
    """There is one text of each, and a reader finds it."""
    names = methods(waits, is_async)
    documented = {name: getattr(blocks, name).__doc__ for name in names if not name.startswith("_") and name != "close"}

    assert documented == {name: f"Do what ``{waits.__name__}.{name}`` does." for name in documented}


@pytest.mark.parametrize("name", ["submit", "submit_many"])
def test_type_checkers_know_as_much_of_what_blocks(name: str) -> None:
    """Each overload of a coroutine is one of its twin too."""
    waits, blocks = ([_shape(each) for each in get_overloads(getattr(kind, name))] for kind in (Task, BlockingTask))

    assert waits == blocks != []


def _shape(overloaded: Callable[..., Any]) -> str:
    return str(inspect.signature(overloaded)).replace("BlockingTask[", "Task[").replace("BlockingProcess[", "Process[")

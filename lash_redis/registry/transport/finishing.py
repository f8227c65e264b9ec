"""Coroutines that never suspend, run in the calling thread: to their end, or until their first request is sent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Halving(threading.local):
    """Whether calls of this thread stop between their request and its answer (see ``begun``)."""

    is_on = False


halving = Halving()


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends to its end, in the calling thread, without an event loop."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    work.close()
    raise AssertionError("a coroutine that blocks its thread suspended")


def begun(work: Coroutine[Any, Any, T]) -> Callable[[], T]:
    """Run a coroutine over blocking connections until its first request is sent, in the calling thread.

    Returns:
        What reads the answer, and runs the coroutine to its end: for the same thread to call once.
    """
    halving.is_on = True
    try:
        work.send(None)
    except StopIteration as end:  # over connections that are not ours
        value: T = end.value
        return lambda: value
    finally:
        halving.is_on = False
    return lambda: finished(work)

"""One run on the event loop: an ``async`` function, or what a plain function returned and is to be awaited."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from types import CoroutineType, NoneType
from typing import Any, Final, TypeGuard

from lash_redis.core.errors import StopRequested
from lash_redis.core.forks import THIS_PROCESS
from lash_redis.worker.call_end import CallEnd, OnCallEnd
from lash_redis.worker.forked_copy import end_copy

_NEVER_AWAITABLE: Final = frozenset({NoneType, bool, int, float, str, bytes, list, dict, tuple})


def is_awaitable(value: Any) -> TypeGuard[Awaitable[Any]]:
    """Say whether a value can be awaited; never raises, whatever its class does."""
    if type(value) in _NEVER_AWAITABLE:
        return False
    try:
        return inspect.isawaitable(value)
    except BaseException:  # noqa: BLE001 - a class of the user can raise anything when it is asked what it is
        return False


class AsyncRun:
    """One asyncio task that calls a function and awaits what it returns, for as long as that is awaitable.

    Args:
        call: the function with its arguments.
        on_end: called on the event loop with the end of the call, once.
        may_act: asked right before the call; where it says no, in a forked copy, nothing is called, and nobody is told.

    Attributes:
        is_entered: user code was entered.
    """

    __slots__ = (
        "_call", "_has_ended", "_loop", "_may_act", "_on_end", "_result", "_stopped", "_task", "is_entered",
    )  # fmt: skip

    def __init__(
        self,
        call: Callable[[], Any],
        on_end: OnCallEnd,
        may_act: Callable[[], bool],
    ) -> None:
        self._call = call
        self._on_end = on_end
        self._may_act = may_act
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._has_ended = False
        self.is_entered = False
        self._result: tuple[Any, BaseException | None] | None = None  # once the call has ended

    def start(self, loop: asyncio.AbstractEventLoop, name: str, context: contextvars.Context) -> None:
        """Begin in an asyncio task of its own, which runs in this context."""
        self._loop = loop
        self._task = loop.create_task(self._run(), name=name, context=context)

    def was_seen(self) -> bool:
        """Return False if its task has yet to take its first step; tell of an end that the task could not tell.

        One that somebody cancels before that step never reaches our own code, nor does one that is struck in it. To be
        asked until it says True; a done callback of the task would cost as much again as the task.
        """
        if self._has_ended or self.is_entered:
            return True
        if self._task is None or not self._task.done():
            return False
        self._tell()
        return True

    def interrupt(self) -> None:
        """Cancel the run, or let none of its lines run if it has not begun."""
        self._stopped = True
        if self.is_entered and self._task is not None:
            self._task.cancel()

    def withdraw(self) -> bool:
        """Let none of its lines run; return False if it has begun."""
        self._stopped = True
        return not self.is_entered

    async def _run(self) -> None:
        try:
            value, error, pid = None, None, THIS_PROCESS.pid
            try:
                if not self._may_act():
                    self._has_ended = True
                    return
                if self._stopped:
                    raise asyncio.CancelledError("stopped before it began")  # noqa: TRY301 - it ends as any other does
                self.is_entered = True
                value = self._call()
                if type(value) is CoroutineType:  # as nearly all are
                    value = await value
                while type(value) not in _NEVER_AWAITABLE and is_awaitable(value):
                    value = await value
            except BaseException as raised:  # noqa: BLE001 - also SystemExit: it ends the process, not the worker
                error = raised
            if THIS_PROCESS.pid != pid:
                end_copy(error)
            self._result = value, error
            self._on_end(CallEnd(value, error, self.is_entered))
            self._has_ended = True
        finally:
            if not self._has_ended and self._loop is not None:  # something struck: it is told again
                self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        if self._task is not None and self._task.cancelled():
            self._result = None, asyncio.CancelledError("cancelled before it began")
        elif self._result is None:
            self._result = None, StopRequested("stopped as it ended")
        if not self._has_ended:
            value, error = self._result
            self._on_end(CallEnd(value, error, self.is_entered))
            self._has_ended = True

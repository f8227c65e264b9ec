"""What belongs to one event loop: connections, locks and waits. Each loop that uses an object gets its own.

A loop that ends as that of ``asyncio.run`` does takes its values along: their end is part of its own. The values of one
that was only closed are dropped when the next loop comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from lash_redis.core.forks import let_go_in_children

T = TypeVar("T")


class PerLoop(Generic[T]):
    """A value for each event loop of this OS process. A forked child has none of its parent's.

    Args:
        make: makes the value, on its loop.
        end: ends it, on its loop, when the loop ends.
        drop: frees what a value holds whose loop was closed; it may be called on any other loop.
    """

    def __init__(
        self,
        make: Callable[[], T],
        end: Callable[[T], Awaitable[None]] | None = None,
        drop: Callable[[T], object] | None = None,
    ) -> None:
        self._make = make
        self._end = end
        self._drop = drop
        self._values: dict[asyncio.AbstractEventLoop, T] = {}
        self._ends: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}
        let_go_in_children(self, PerLoop.begin_anew)

    def begin_anew(self) -> object:
        """Forget every value and return them: this OS process is a forked child, and they are its parent's."""
        inherited = self._values, self._ends
        self._values, self._ends = {}, {}
        return inherited

    def get(self) -> T:
        """Return the running loop's value; make it at first use."""
        loop = asyncio.get_running_loop()
        value = self._values.get(loop)
        return value if value is not None else self._made(loop)

    def here(self) -> T | None:
        """Return the running loop's value, None if there is none or no loop runs."""
        return None if (loop := running_loop()) is None else self._values.get(loop)

    def living(self) -> list[tuple[asyncio.AbstractEventLoop, T]]:
        """Return each loop that was not closed, with its value."""
        return [(loop, value) for loop, value in list(self._values.items()) if not loop.is_closed()]

    def _made(self, loop: asyncio.AbstractEventLoop) -> T:
        self._drop_closed()
        value = self._values[loop] = self._make()
        if self._end is not None:
            # A loop finalizes its asynchronous generators before it is closed, and nothing else that is public.
            self._ends[loop] = ending = self._until_end_of(loop)
            with suppress(StopIteration):
                ending.__anext__().send(None)
        return value

    async def _until_end_of(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._ends.pop(loop, None)
            value = self._values.pop(loop, None)
            if value is not None and self._end is not None:
                await self._end(value)

    def _drop_closed(self) -> None:
        for loop in list(self._values):
            if loop.is_closed():
                self._ends.pop(loop, None)
                value = self._values.pop(loop, None)
                if value is not None and self._drop is not None:
                    self._drop(value)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, None if there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

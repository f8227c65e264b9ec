"""One worker's signal that something has changed: a slot is free, a wake-up came, a drain has begun."""

from __future__ import annotations

import asyncio


class Changes:
    """What changed is not said: whoever is woken looks for itself. One event loop after another may wait."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def notify(self) -> None:
        """Wake whoever waits now, or else the next that waits."""
        self._changed.set()

    async def wait(self, within_s: float | None = None) -> None:
        """Wait for the next change, at most ``within_s`` seconds (None: without limit)."""
        if self._loop is not (loop := asyncio.get_running_loop()):
            self._take_to(loop)
        try:
            async with asyncio.timeout(within_s):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    def _take_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the signal to another event loop: an ``asyncio.Event`` stays with the one in which it was awaited."""
        self._loop, was_set = loop, self._changed.is_set()
        self._changed = asyncio.Event()
        if was_set:
            self._changed.set()

"""One worker's signal that something has changed: a slot is free, a wake-up came, a drain has begun."""

from __future__ import annotations

import asyncio
from functools import partial

from lash_redis.core.timing import call_later


class Changes:
    """What changed is not said: whoever is woken looks for itself. One event loop after another may wait."""

    def __init__(self) -> None:
        self._has_changed = False
        self._waiting: set[asyncio.Future[bool]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def notify(self) -> None:
        """Wake whoever waits now, or else the next that waits."""
        self._has_changed = True
        for each in self._waiting:
            _tell(each, woken=True)

    async def wait(self, within_s: float | None = None) -> None:
        """Wait for the next change, at most ``within_s`` seconds (None: without limit)."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._waiting = loop, set()  # nobody waits any more on the event loop before
        if not self._has_changed and not await self._is_woken(loop, within_s):
            return
        self._has_changed = False

    async def _is_woken(self, loop: asyncio.AbstractEventLoop, within_s: float | None) -> bool:
        """Wait; return whether a change ended that, and not the time."""
        woken: asyncio.Future[bool] = loop.create_future()
        timer = None if within_s is None else call_later(loop, within_s, partial(_tell, woken, woken=False))
        self._waiting.add(woken)
        try:
            return await woken
        finally:
            self._waiting.discard(woken)
            if timer is not None:
                timer.cancel()


def _tell(waits: asyncio.Future[bool], *, woken: bool) -> None:
    if not waits.done():
        waits.set_result(woken)

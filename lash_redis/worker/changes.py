"""One worker's signal that something has changed: a slot is free, a wake-up came, a drain has begun."""

from __future__ import annotations

import asyncio


class Changes:
    """What changed is not said: whoever is woken looks for itself."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """Wake whoever waits now, or else the next that waits."""
        self._changed.set()

    async def wait(self, within_s: float | None = None) -> None:
        """Wait for the next change, at most ``within_s`` seconds (None: without limit)."""
        try:
            async with asyncio.timeout(within_s):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

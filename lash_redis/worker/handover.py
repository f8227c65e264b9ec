"""How a thread hands something to the event loop of a worker: to that of now, or else to the next one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable


class Handover:
    """Calls that threads want made on the event loop on which the worker acts.

    One that comes while there is none, since the last was closed, is made on the next: a run that nobody saw end would
    keep its slot and its lease for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._late: list[Callable[[], None]] = []

    def take_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make the calls on the running event loop from now on, and those first that came too late for the last."""
        with self._lock:
            self._loop = loop
            late, self._late = self._late, []
        for call in late:
            loop.call_soon(call)

    def make(self, call: Callable[[], None]) -> None:
        """Have a call made, from any thread."""
        with self._lock:
            try:
                if self._loop is not None:
                    self._loop.call_soon_threadsafe(call)
                    return
            except RuntimeError:  # it was closed
                pass
            self._late.append(call)

"""How threads hand something to the event loop of a worker: to that of now, or else to the next one."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress


class Handover:
    """Calls that threads want made on the event loop on which the worker acts, in their order.

    The loop is woken once for all that come before it looks: a wake-up costs more than the end of a short run. What
    comes while there is no loop, since the last was closed, is made on the next: a run that nobody saw end would keep
    its slot and its lease for ever. For the same reason a call is made again that something struck, so that each must
    do nothing the second time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._calls: deque[Callable[[], None]] = deque()
        self._is_told = False  # the loop will look, and has not begun to

    def take_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make the calls on the running event loop from now on, and those first that came too late for the last."""
        with self._lock:
            self._loop, self._is_told = loop, bool(self._calls)
            if self._calls:
                loop.call_soon(self._make_all)

    def make(self, call: Callable[[], None]) -> None:
        """Have a call made, from any thread."""
        with self._lock:
            self._calls.append(call)
            if self._loop is None or self._is_told:
                return
            loop, self._is_told = self._loop, True
        with suppress(RuntimeError):  # it was closed: the next one makes all that came
            loop.call_soon_threadsafe(self._make_all)  # not under the lock: during the system call other runs end

    def _make_all(self) -> None:
        try:
            with self._lock:
                self._is_told = False
            while self._calls:
                self._calls[0]()
                self._calls.popleft()
        finally:
            if self._calls:  # something struck
                self.take_to(asyncio.get_running_loop())

"""What an OS process that a task forks must not get from its worker process.

A fork copies the signal handlers, and every descriptor. With asyncio's handler and its wake-up descriptor, SIGTERM to
such a child would drain the worker process and not end the child. The event loop, which is copied too, would take
messages from the supervisor that are not for it.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from lash_redis.pool.signals import HANDLED


class ForkedChildren:
    """Makes signals end every OS process that is forked from this one, as they do by default, and keeps ours from it.

    The signals are blocked from before the fork until the child has handlers of its own: a child may be signalled at
    once. What user code has set up by itself is left to it.

    Args:
        pipe_end: this OS process's end of the pipe to its supervisor.
    """

    def __init__(self, pipe_end: socket.socket) -> None:
        self._pipe_end = pipe_end
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handlers: list[Any] = []
        self._masks = threading.local()
        self.own_handlers(*HANDLED)
        os.register_at_fork(before=self._block, after_in_parent=self._unblock, after_in_child=self._begin)

    def own_handlers(self, *numbers: signal.Signals) -> None:
        """Note that the handlers of these signals are ours, as they are installed now."""
        self._handlers += map(signal.getsignal, numbers)

    def own_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Note that this event loop is ours."""
        self._loop = loop

    def _block(self) -> None:
        self._masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)

    def _unblock(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.before)

    def _begin(self) -> None:
        try:
            self._reset_handlers()
            self._let_go_of_descriptors()
        finally:
            self._unblock()

    def _reset_handlers(self) -> None:
        signal.set_wakeup_fd(-1)
        with suppress(AttributeError):  # a platform without it
            faulthandler.unregister(signal.SIGQUIT)
        for number in HANDLED:
            if signal.getsignal(number) in self._handlers:
                # SIGINT too: Python 3.13 may miss the handler that raises KeyboardInterrupt in a child of a thread.
                signal.signal(number, signal.SIG_DFL)

    def _let_go_of_descriptors(self) -> None:
        """Put the null device in the place of each descriptor of ours: a number that is freed would be used again."""
        null = os.open(os.devnull, os.O_RDWR)
        for fd in self._descriptors():
            with suppress(OSError):
                os.dup2(null, fd, inheritable=False)
        os.close(null)

    def _descriptors(self) -> Iterator[int]:
        yield self._pipe_end.fileno()
        # Both ends of the pair by which other threads, and signals, wake the event loop.
        for name in ("_ssock", "_csock"):
            if (end := getattr(self._loop, name, None)) is not None:
                yield end.fileno()

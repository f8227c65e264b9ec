"""Signals of a pool: heard on the event loop, counted, and held back where they would strike too early.

No handler does anything by itself: it runs between two bytecodes of whatever code is just then running.
"""

from __future__ import annotations

import asyncio
import enum
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_APART_MS = 1_000


class Asked(enum.Enum):
    """What a signal asks for."""

    DRAIN = "drain"
    HURRY = "hurry"


class Presses:
    """Counts signals: those less than a second apart, the same or not, count once (design, section 5). Pure."""

    def __init__(self) -> None:
        self._counted_at_ms: int | None = None

    def press(self, now_ms: int) -> Asked | None:
        """Take one signal; return what it asks for, or None if it counts with the one before."""
        first = self._counted_at_ms is None
        if self._counted_at_ms is not None and now_ms - self._counted_at_ms < _APART_MS:
            return None
        self._counted_at_ms = now_ms
        return Asked.DRAIN if first else Asked.HURRY


def hold() -> None:
    """Let no signal of ours strike until somebody listens: it waits. Children inherit this."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)


def release() -> None:
    """Let what was held strike."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)


@contextmanager
def held() -> Iterator[None]:
    """Hold signals for as long as the block lasts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def listening(on_signal: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call ``on_signal`` on the running event loop for each signal; at the end all is as it was before.

    A hang-up that is ignored already (``nohup``) stays ignored.
    """
    loop = asyncio.get_running_loop()
    heard = [each for each in HEARD if each != signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN]
    handlers = {each: signal.getsignal(each) for each in heard}
    for each in heard:
        loop.add_signal_handler(each, on_signal, each)
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for each, handler in handlers.items():
            loop.remove_signal_handler(each)
            signal.signal(each, handler)

"""The signals of a pool: handled on the event loop, counted, and blocked where they would come too early.

No handler does the work itself: Python runs a handler between two bytecodes of whatever code is running.
"""

from __future__ import annotations

import asyncio
import enum
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_APART_MS = 1_000


class DrainStep(enum.Enum):
    """What a counted signal asks for."""

    BEGIN = "begin"
    HURRY = "hurry"


class SignalCounter:
    """Counts signals; those less than a second apart, the same or not, count once (rule 7.4). Pure."""

    def __init__(self) -> None:
        self._counted_at_ms: int | None = None

    def count(self, now_ms: int) -> DrainStep | None:
        """Count one signal and return what it asks for; None if it counts with the one before."""
        is_first = self._counted_at_ms is None
        if self._counted_at_ms is not None and now_ms - self._counted_at_ms < _APART_MS:
            return None
        self._counted_at_ms = now_ms
        return DrainStep.BEGIN if is_first else DrainStep.HURRY


def block_signals() -> None:
    """Make the handled signals wait until they are unblocked. Child processes inherit this."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)


def unblock_signals() -> None:
    """Deliver the signals that waited, and those to come."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block the handled signals for the duration of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def signals_handled(on_signal: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call ``on_signal`` on the running event loop for each signal; restore handlers and mask at the end.

    A hang-up signal that is ignored already (``nohup``) stays ignored.
    """
    loop = asyncio.get_running_loop()
    handled = [each for each in HANDLED if each != signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN]
    handlers = {each: signal.getsignal(each) for each in handled}
    for each in handled:
        loop.add_signal_handler(each, on_signal, each)
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for each, handler in handlers.items():
            loop.remove_signal_handler(each)
            signal.signal(each, handler)

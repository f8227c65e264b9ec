"""The signals of a pool: handled on the event loop, counted, and blocked where they would come too early.

No handler does the work itself: Python runs a handler between two bytecodes of whatever code is running.
"""

from __future__ import annotations

import asyncio
import enum
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

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
    """Make the handled signals wait, in this thread, until they are unblocked. What it starts inherits this."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)


def ignore_signals() -> None:
    """Handle the handled signals by doing nothing, until somebody handles them, and from then on at the end.

    It is a handler, since OS processes that this one starts would inherit ``SIG_IGN``. A hang-up signal that is ignored
    already (``nohup``) stays ignored.
    """
    for each in HANDLED:
        if each != signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _ignore)


def _ignore(_number: int, _frame: object) -> None:
    pass


def on_loop(
    loop: asyncio.AbstractEventLoop, on_signal: Callable[[signal.Signals], object]
) -> Callable[[int, object], None]:
    """Return a handler that calls ``on_signal`` on an event loop, and does nothing once that is closed.

    The handlers of asyncio give way to the default, which kills, when the event loop closes.
    """

    def handle(number: int, _frame: object) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(on_signal, signal.Signals(number))

    return handle


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
    handle = on_loop(asyncio.get_running_loop(), on_signal)
    handled = [each for each in HANDLED if each != signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN]
    handlers = {each: signal.getsignal(each) for each in handled}
    for each in handled:
        signal.signal(each, handle)
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for each, handler in handlers.items():
            signal.signal(each, handler)

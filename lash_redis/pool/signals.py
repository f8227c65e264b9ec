"""The signals of a pool: handled on the event loop, and blocked where they would come too early."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lash_redis.worker.signals import on_loop

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


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

"""The end of an OS process of a pool, which no thread, no stream and no limit may hold up."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

_FLUSHING_S = 1.0  # a stream whose reader is stalled takes nothing


def exit_within(seconds: float, code: int) -> None:
    """Exit even if a thread that some task started would keep the interpreter running. Only in the main thread."""
    try:
        _after(seconds, lambda: _flush_and_exit(code))
        _after(seconds + _FLUSHING_S, lambda: os._exit(code))
    except (RuntimeError, MemoryError, OSError):  # the system gives no thread now: the kernel ends this OS process
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _after(seconds: float, act: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()


def _flush_and_exit(code: int) -> None:
    with suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)

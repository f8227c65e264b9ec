"""The signals that drain: counted, handled on the event loop, and handled for a ``Worker`` in a program.

No handler does the work itself: Python runs a handler between two bytecodes of whatever code is running.
"""

from __future__ import annotations

import asyncio
import enum
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from lash_redis.core.errors import SettingsError
from lash_redis.core.forks import let_go_in_children
from lash_redis.core.timing import boottime_ms

_DRAINING: Final = (signal.SIGTERM, signal.SIGINT)
_APART_MS: Final = 1_000

Handler = Callable[[int, object], None]


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


def on_loop(loop: asyncio.AbstractEventLoop, on_signal: Callable[[signal.Signals], object]) -> Handler:
    """Return a handler that calls ``on_signal`` on an event loop, and does nothing once that is closed.

    The handlers of asyncio give way to the default, which kills, when the event loop closes.
    """

    def handle(number: int, _frame: object) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(on_signal, signal.Signals(number))

    return handle


class _Shared:
    """The handlers of this OS process's SIGTERM and SIGINT, while a worker of its program drains by them.

    All workers that run share them: they are installed for the first and taken away with the last. A signal that is
    ignored already (a program in the background of a script) stays ignored. A forked child gets those of before.
    """

    def __init__(self) -> None:
        self._handlers: list[Handler] = []
        self._before: dict[signal.Signals, Any] = {}
        let_go_in_children(self, _Shared.begin_anew)

    def add(self, handler: Handler) -> None:
        """Call one more handler at each signal."""
        self._handlers.append(handler)  # first: a signal may come at once
        if not self._before:
            self._before = {each: signal.getsignal(each) for each in _DRAINING}
            for each, before in self._before.items():
                if before is not signal.SIG_IGN:
                    signal.signal(each, self._handle)

    def remove(self, handler: Handler) -> None:
        """Call it no more, if it was added."""
        if self._handlers in ([], [handler]):
            self.restore()  # first: a signal that comes meanwhile is handled by one of the two
        if handler in self._handlers:
            self._handlers.remove(handler)

    def begin_anew(self) -> object:
        """Install the handlers of before, and return those that were added: this OS process is a forked child."""
        inherited, self._handlers = self._handlers, []
        self.restore()
        return inherited

    def restore(self) -> None:
        """Install the handlers of before, unless others were installed meanwhile."""
        for each, before in self._before.items():
            if signal.getsignal(each) == self._handle:
                signal.signal(each, signal.SIG_DFL if before is None else before)
        self._before = {}

    def _handle(self, number: int, frame: object) -> None:
        for each in tuple(self._handlers):
            each(number, frame)


_shared = _Shared()


@contextmanager
def signals_that_drain(on_step: Callable[[DrainStep], object]) -> Iterator[None]:
    """Call ``on_step`` on the running event loop for what SIGTERM and SIGINT ask for (rule 7.4).

    Raises:
        SettingsError: this is not the main thread: Python handles signals there alone.
    """
    if threading.current_thread() is not threading.main_thread():
        raise SettingsError(
            f"expected signals=True in the main thread, where alone Python handles signals, got it in "
            f"{threading.current_thread().name!r}: run the worker there, or call its drain() yourself"
        )
    counter = SignalCounter()

    def count(_number: signal.Signals) -> None:
        step = counter.count(boottime_ms())
        if step is not None:
            on_step(step)

    handler = on_loop(asyncio.get_running_loop(), count)
    try:
        _shared.add(handler)
        yield
    finally:
        _shared.remove(handler)

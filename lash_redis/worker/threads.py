"""Threads for plain tasks: daemon ones, each reusable, in which a run can be interrupted by ``StopRequested``.

Not ``concurrent.futures``: its threads keep the interpreter alive, and a thread that will not stop cannot be ended from
inside; the supervisor ends the whole worker process then (design, section 5).
"""

from __future__ import annotations

import ctypes
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from lash_redis.core.errors import StopRequested


def _raise_in(thread_id: int, kind: type[BaseException] | None) -> None:
    argument = ctypes.py_object(kind) if kind is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), argument)


class Run:
    """One call of a plain function, in whatever thread takes it."""

    def __init__(self, call: Callable[[], Any], on_end: Callable[[Any, BaseException | None], None]) -> None:
        self._call = call
        self._on_end = on_end
        self._lock = threading.Lock()
        self._thread_id: int | None = None
        self._stopped = False

    def interrupt(self) -> None:
        """Raise ``StopRequested`` in the run: at its next bytecode, or before its first line."""
        with self._lock:
            self._stopped = True
            if self._thread_id is not None:
                _raise_in(self._thread_id, StopRequested)

    def execute(self) -> None:
        """Call the function and tell what came of it. No interrupt reaches the thread after this."""
        value, error = None, None
        try:
            self._enter()
            value = self._call()
        except BaseException as raised:  # noqa: BLE001 - whatever user code raises is its outcome, not ours
            error = raised
        self._leave()
        self._on_end(value, error)

    def _enter(self) -> None:
        with self._lock:
            if self._stopped:
                raise StopRequested("stopped before it began")
            self._thread_id = threading.get_ident()

    def _leave(self) -> None:
        # An interrupt may have been set a moment before the code ended: it is raised here, and ends nothing.
        left = False
        while not left:
            with suppress(StopRequested):
                with self._lock:
                    self._thread_id = None
                left = True
        with suppress(StopRequested):
            _raise_in(threading.get_ident(), None)


class Threads:
    """As many threads as were ever needed at once; an idle one takes the next run."""

    def __init__(self) -> None:
        self._runs: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._count = 0

    def submit(self, run: Run) -> None:
        """Execute a run in a thread of its own, at once."""
        with self._lock:
            if self._waiting > 0:
                self._waiting -= 1
            else:
                self._count += 1
                threading.Thread(target=self._serve, name=f"lash-task-{self._count}", daemon=True).start()
        self._runs.put(run)

    def close(self) -> None:
        """Let idle threads go; those that run finish what they have."""
        with self._lock:
            for _ in range(self._count):
                self._runs.put(None)
            self._count = self._waiting = 0

    def _serve(self) -> None:
        while (run := self._runs.get()) is not None:
            with suppress(StopRequested):
                run.execute()
            with self._lock:
                self._waiting += 1

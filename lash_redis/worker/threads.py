"""Reusable daemon threads for plain functions, in which a run can be interrupted by ``StopRequested``.

The threads of ``concurrent.futures`` keep the interpreter alive. Nothing ends a thread from inside if it does not stop:
the supervisor ends the whole worker process (rule 7.3); threads must not delay that.
"""

from __future__ import annotations

import ctypes
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from lash_redis.core.error_text import text_of
from lash_redis.core.errors import StopRequested
from lash_redis.core.events import WorkerFaulted
from lash_redis.core.forks import own_pid
from lash_redis.core.subscribers import emit
from lash_redis.worker.call_end import CallEnd, OnCallEnd
from lash_redis.worker.forked_copy import end_copy


def _raise_in(thread_id: int, kind: type[BaseException] | None) -> None:
    argument = ctypes.py_object(kind) if kind is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), argument)


def _watched_by(trace: Any, profile: Any) -> None:
    """Give this thread back the trace and the profile function that it had."""
    if sys.gettrace() is not trace:
        sys.settrace(trace)
    if sys.getprofile() is not profile:
        sys.setprofile(profile)


class Run:
    """One call of a plain function, in the thread that takes it.

    Args:
        call: the function with its arguments.
        on_end: called in that thread with the end of the call, once.
        may_act: asked right before the call; where it says no, nothing is called, and nobody is told.
    """

    def __init__(
        self,
        call: Callable[[], Any],
        on_end: OnCallEnd,
        may_act: Callable[[], bool],
    ) -> None:
        self._call = call
        self._on_end = on_end
        self._may_act = may_act
        self._lock = threading.Lock()
        self._thread_id: int | None = None
        self._stopped = False
        self._is_entered = False

    def interrupt(self) -> None:
        """Raise ``StopRequested`` in the run, at its next bytecode or before its first line."""
        with self._lock:
            self._stopped = True
            if self._thread_id is not None:
                _raise_in(self._thread_id, StopRequested)

    def withdraw(self) -> bool:
        """Let none of its lines run; return False if it has begun."""
        with self._lock:
            self._stopped = self._stopped or not self._is_entered
            return not self._is_entered

    def execute(self) -> None:
        """Call the function and report its end. After that nothing of it strikes in the thread.

        That is an interrupt, and a trace or profile function that user code has set and that raises.
        """
        if not self._may_act():
            return
        pid, watching = own_pid(), (sys.gettrace(), sys.getprofile())
        end: tuple[Any, BaseException | None] = None, StopRequested("stopped as it ended")
        try:
            try:
                try:
                    self._enter()
                    end = self._call(), None
                except BaseException as raised:  # noqa: BLE001 - whatever user code raises is its outcome, not ours
                    end = None, raised
                if own_pid() != pid:
                    end_copy(end[1])
                _watched_by(*watching)
                self._leave()
            except BaseException:  # noqa: BLE001 - what strikes after the code had ended: its end stands
                while not self._has_left(*watching):
                    pass
        finally:
            self._on_end(CallEnd(*end, self._is_entered))

    def _enter(self) -> None:
        with self._lock:
            if self._stopped:
                raise StopRequested("stopped before it began")
            self._thread_id = threading.get_ident()
            self._is_entered = True

    def _has_left(self, trace: Any, profile: Any) -> bool:
        try:
            _watched_by(trace, profile)
            self._leave()
        except BaseException:  # noqa: BLE001 - each strikes once: Python removes a function that raises
            return False
        return True

    def _leave(self) -> None:
        with self._lock:
            self._thread_id = None
        _raise_in(threading.get_ident(), None)


class Threads:
    """As many threads as were ever needed at once. An idle one takes the next run.

    Attributes:
        idle: how many threads wait for a run.
    """

    def __init__(self) -> None:
        self._runs: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._count = 0
        self.idle = 0

    def submit(self, run: Run) -> bool:
        """Execute a run in a thread of its own, at once; return whether a new thread was started for it.

        Raises:
            Exception: the system gives no thread. The run has not begun and never begins.
        """
        with self._lock:
            is_new = self.idle == 0
            if is_new:
                self._start_one()
            else:
                self.idle -= 1
            self._runs.put(run)
        return is_new

    def add_idle(self) -> bool:
        """Start a thread that waits for a run; return False if the system gives none."""
        with self._lock:
            try:
                self._start_one()
            except Exception:  # noqa: BLE001 - as in submit
                return False
            self.idle += 1
        return True

    def _start_one(self) -> None:
        name = f"lash-task-{self._count + 1}"
        threading.Thread(target=self._serve, args=[self._runs], name=name, daemon=True).start()
        self._count += 1

    def close(self) -> None:
        """Let idle threads end; the others end after their run."""
        with self._lock:
            for _ in range(self._count):
                self._runs.put(None)
            self._runs, self._count, self.idle = queue.SimpleQueue(), 0, 0

    def _serve(self, runs: queue.SimpleQueue[Run | None]) -> None:
        while (run := runs.get()) is not None:
            try:
                run.execute()
            except BaseException as error:  # noqa: BLE001 - telling an end failed; the next run needs this thread
                emit(WorkerFaulted(operation="end of a run", error=text_of(error), traceback=""))
            with self._lock:
                if runs is self._runs:  # the threads were not closed meanwhile
                    self.idle += 1

"""What goes wrong again and again in one part: told, and waited out, so that it ends no part."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Final

from lash_redis.core.error_text import text_of
from lash_redis.core.errors import ForkedCopy, LashError, ScriptError
from lash_redis.core.events import Event, PoolFault, WorkerFaulted, WorkerUnavailable
from lash_redis.core.loops import running_loop
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import backoff, jittered

_FRAMES = 20

EXITS: Final = (SystemExit, KeyboardInterrupt)
# What ends no part that holds leases or results. A handler of a signal, which a task may set, raises in whatever code
# runs just then, and that may be ours.
SURVIVED: Final = (Exception, *EXITS)

Fault = Callable[[str, str, str], Event]


def worker_fault(operation: str, error: str, where: str) -> Event:
    """Return the event of a bug in a part of a worker."""
    return WorkerFaulted(operation=operation, error=error, traceback=where)


def pool_fault(part: str, error: str, _where: str) -> Event:
    """Return the event of a bug in a part of a supervisor."""
    return PoolFault(part=part, reason=error)


def is_foreseen(error: BaseException) -> bool:
    """Say whether an error is an outage or a refusal of the server; any other is a bug."""
    return isinstance(error, (LashError, TimeoutError)) and not isinstance(error, ScriptError)


def _leave_by(error: BaseException) -> None:
    raise error


class Trouble:
    """The failures in a row of one part.

    Args:
        operation: the part's name in events.
        first_s: how long to wait after the first failure, s; it doubles.
        most_s: the longest wait, s.
        fault: makes the event of a bug from the part's name, the error in words and its traceback.
    """

    def __init__(
        self, operation: str, first_s: float = 0.05, most_s: float = 2.0, *, fault: Fault = worker_fault
    ) -> None:
        self._operation = operation
        self._first_s = first_s
        self._most_s = most_s
        self._fault = fault
        self._in_a_row = 0
        self._last = ""

    def met(self, error: BaseException) -> float:
        """Report one more failure; return how long to wait before the next try, s.

        A server that does not answer is an outage, and one that refuses is not what it was. ``SystemExit`` and
        ``KeyboardInterrupt`` are for whoever runs the event loop: they leave it, as they would if this part had ended.
        Anything else is a bug, whose traceback is told once in a row.

        Raises:
            ForkedCopy: it is ``error``. A copy of the worker that a fork made has no next try.
        """
        if isinstance(error, ForkedCopy):
            raise error
        if isinstance(error, EXITS) and (loop := running_loop()) is not None:
            loop.call_soon(_leave_by, error)
            return 0.0
        self._in_a_row += 1
        if is_foreseen(error):
            emit(WorkerUnavailable(operation=self._operation, reason=text_of(error)))
        else:
            self._report_bug(error)
        return jittered(backoff(self._in_a_row, self._first_s, self._most_s), 0.2)

    def over(self) -> None:
        """Note a success: the next failure is the first again."""
        self._in_a_row, self._last = 0, ""

    def _report_bug(self, error: BaseException) -> None:
        told = f"{type(error).__name__}: {text_of(error)}".removesuffix(": ")
        is_new, self._last = told != self._last, told
        where = "".join(traceback.format_tb(error.__traceback__, -_FRAMES)) if is_new else ""
        emit(self._fault(self._operation, told, where))

"""What goes wrong again and again in one part of a worker: told, and waited out, so that it ends no part."""

from __future__ import annotations

import traceback

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.events import WorkerFaulted, WorkerUnavailable
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import backoff, jittered
from lash_redis.worker.identity import ForkedCopy

_FRAMES = 20


class Trouble:
    """The failures in a row of one part.

    Args:
        operation: the part's name in events.
        first_s: how long to wait after the first failure, s; it doubles.
        most_s: the longest wait, s.
    """

    def __init__(self, operation: str, first_s: float = 0.05, most_s: float = 2.0) -> None:
        self._operation = operation
        self._first_s = first_s
        self._most_s = most_s
        self._in_a_row = 0
        self._last = ""

    def met(self, error: Exception) -> float:
        """Report one more failure; return how long to wait before the next try, s.

        A server that does not answer is an outage. Anything else is a bug, whose traceback is told once in a row.

        Raises:
            ForkedCopy: it is ``error``. A copy of the worker that a fork made has no next try.
        """
        if isinstance(error, ForkedCopy):
            raise error
        self._in_a_row += 1
        if isinstance(error, (RegistryUnavailable, TimeoutError)):
            emit(WorkerUnavailable(operation=self._operation, reason=str(error)))
        else:
            self._report_bug(error)
        return jittered(backoff(self._in_a_row, self._first_s, self._most_s), 0.2)

    def over(self) -> None:
        """Note a success: the next failure is the first again."""
        self._in_a_row, self._last = 0, ""

    def _report_bug(self, error: Exception) -> None:
        told = f"{type(error).__name__}: {_text_of(error)}"
        is_new, self._last = told != self._last, told
        where = "".join(traceback.format_tb(error.__traceback__, -_FRAMES)) if is_new else ""
        emit(WorkerFaulted(operation=self._operation, error=told, traceback=where))


def _text_of(error: Exception) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - what cannot be told ends nothing
        return f"<no text: {type(broken).__name__}>"

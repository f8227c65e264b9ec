"""What is told of runs that failed."""

from __future__ import annotations

from typing import Final

from lash_redis.core.error_text import name_of
from lash_redis.core.events import ProcessFailed, ProcessRetried
from lash_redis.core.outcomes import Failure, Outcome
from lash_redis.core.retrying import Again, Retry
from lash_redis.core.subscribers import emit
from lash_redis.worker.attempt import Attempt

_RETRY: Final = name_of(Retry)
_TRACEBACK: Final = "Traceback (most recent call last)"
_SHOWN_MESSAGE: Final = 200  # characters of a failure's message in its event


def tell_failed(attempt: Attempt, result: Outcome) -> None:
    """Tell of a run that failed for good; any other end is not told here."""
    if isinstance(result, Failure):
        emit(
            ProcessFailed(
                process_id=attempt.process_id,
                code=result.code,
                message=result.message[:_SHOWN_MESSAGE],
                traceback=result.traceback,
                attempt=attempt.number,
            )
        )


def tell_retried(attempt: Attempt, again: Again, failure: Failure, status: str) -> None:
    """Tell what became of a run that was to be made again; ``status`` is the script's word."""
    if status == "FAILED":
        tell_failed(attempt, failure)
    elif status == "DONE" and again.counts:
        emit(
            ProcessRetried(
                process_id=attempt.process_id,
                attempt=attempt.number,
                wait_ms=again.wait_ms,
                code=failure.code,
                message=failure.message[:_SHOWN_MESSAGE],
                traceback="" if _is_asked_for(failure) else failure.traceback,
            )
        )


def _is_asked_for(failure: Failure) -> bool:
    """Say whether the code raised ``Retry`` of its own accord, and not because of another error."""
    return failure.code == _RETRY and failure.traceback.count(_TRACEBACK) <= 1

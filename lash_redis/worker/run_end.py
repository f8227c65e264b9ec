"""How the code of one run ended, made of what its thread or the event loop reports. What it means: ``ending``."""

from __future__ import annotations

import asyncio

import msgspec

from lash_redis.core.error_text import text_of
from lash_redis.core.errors import StopRequested
from lash_redis.core.model import RecoveryDisposition
from lash_redis.core.outcomes import Failure, Success
from lash_redis.core.retrying import Again, again_after, asks_to_run_again
from lash_redis.tasks.arguments import encode_result
from lash_redis.tasks.declaration import Declaration
from lash_redis.worker.call_end import CallEnd
from lash_redis.worker.ending import How
from lash_redis.worker.failures import failure_of, unfit_result

_INTERRUPTS = (asyncio.CancelledError, StopRequested)
_RETURNED = How.RETURNED
_NEVER_AGAIN = (
    "owner-bound work cannot be tried again: once started it may never run again. "
    "Declare the task rerunnable, or handle the error inside"
)


class RunEnd(msgspec.Struct, frozen=True):
    """How the code of one run ended.

    Attributes:
        how: in one word.
        result: what the code returned, or the failure that its exception is.
        again: when the run is to be made again, if it is.
    """

    how: How
    result: Success | Failure
    again: Again | None = None


def run_end(declaration: Declaration, end: CallEnd, attempt: int = 1) -> RunEnd:
    """Return how a run ended; never raises. A result that cannot be carried is a failure.

    Args:
        declaration: of its task.
        end: as the thread or the event loop reports it.
        attempt: the number of the run, from 1.
    """
    error = end.error
    if error is None:
        try:
            return RunEnd(_RETURNED, Success(encode_result(declaration, end.value)))
        except BaseException as refused:  # noqa: BLE001 - a class of the user can raise anything as it is encoded
            return RunEnd(How.RAISED, unfit_result(refused))
    if not end.is_entered:
        return RunEnd(How.NEVER_BEGAN, failure_of(error))
    return _raised(declaration, error, attempt)


def _raised(declaration: Declaration, error: BaseException, attempt: int) -> RunEnd:
    # Not isinstance: it asks the exception for its class.
    how = How.INTERRUPTED if issubclass(type(error), _INTERRUPTS) else How.RAISED
    if declaration.disposition is not RecoveryDisposition.RERUNNABLE:
        failure = failure_of(error)
        if asks_to_run_again(error):
            failure = msgspec.structs.replace(failure, message=_NEVER_AGAIN)
        return RunEnd(how, failure)
    try:
        again = again_after(error, attempt, declaration.retries)
    except BaseException as broken:  # noqa: BLE001 - a class of the user that is a Retry, or has a metaclass
        return RunEnd(How.RAISED, failure_of(broken))
    return RunEnd(how if again is None else How.AGAIN, failure_of(_reason_of(error)), again)


def _reason_of(error: BaseException) -> BaseException:
    """Return what the record shows of a run: the error, or the cause of a ``Retry`` that gives no reason itself."""
    if not asks_to_run_again(error) or text_of(error):
        return error
    # Compared with None: an exception may be false, or refuse to say (rule 11.7).
    cause = error.__context__ if error.__cause__ is None else error.__cause__
    return error if cause is None else cause

"""What the end of a run means: one table, from how its code ended to what is done. Pure.

The first line that matches wins.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from typing import Final

from lash_redis.worker.attempt import Stop


class How(enum.Enum):
    """How the code of a run ended."""

    __hash__ = object.__hash__  # that of Enum is written in Python, and the end of each run asks for it
    RETURNED = "returned"
    RAISED = "raised"
    AGAIN = "to be made again"  # it raised, and its task or its code says that it is to be tried again
    INTERRUPTED = "interrupted"  # it let itself be stopped: CancelledError, StopRequested
    NEVER_BEGAN = "never began"  # no line of it was entered: it could not begin, or was stopped before


class Ending(enum.Enum):
    """What is done after the end of a run."""

    __hash__ = object.__hash__
    SUCCEED = "write completed"
    FAIL = "write failed"
    CANCEL = "write cancelled"
    RETRY = "delay it, to run again"
    RELEASE = "release the lease"
    UNSTART = "give it back as never started"
    SETTLE = "leave it to the drain, which settles it"
    FORGET = "write nothing"


_Line = tuple[Callable[[How, Stop | None, bool], bool], Ending, str]

TABLE: Final[tuple[_Line, ...]] = (
    (
        lambda _how, stop, _bound: stop is Stop.TERMINAL,
        Ending.FORGET,
        "the row has its terminal fact already",
    ),
    (
        lambda how, _stop, _bound: how is How.RETURNED,
        Ending.SUCCEED,
        "the code returned: that is its result, whatever was asked of it",
    ),
    (
        lambda how, _stop, _bound: how is How.AGAIN,
        Ending.RETRY,
        "it is to be tried again, unless a cancel request stands on the row",
    ),
    (
        lambda how, stop, _bound: how is How.NEVER_BEGAN and stop is not Stop.REQUESTED,
        Ending.UNSTART,
        "no line of user code was entered, so that any worker may run it (rule 4.5)",
    ),
    (
        lambda how, stop, _bound: how is How.RAISED or stop is None,
        Ending.FAIL,
        "the code raised, or was interrupted by something else than this worker",
    ),
    (
        lambda _how, stop, _bound: stop is Stop.REQUESTED,
        Ending.CANCEL,
        "a stop was requested and the work stopped, or never began",
    ),
    (
        lambda _how, _stop, bound: bound,
        Ending.SETTLE,
        "only a drain stops owner-bound work, and it settles what it stopped",
    ),
    (
        lambda _how, _stop, _bound: True,
        Ending.RELEASE,
        "this worker stopped the work, and any worker may run it again",
    ),
)


@functools.cache
def ending_of(how: How, stop: Stop | None, *, bound: bool) -> Ending:
    """Return what the end of a run means. Total: the last line of ``TABLE`` always matches.

    Args:
        how: the way in which the code ended.
        stop: why it was asked to stop, None if it was not.
        bound: whether it is owner-bound.
    """
    return next(ending for matches, ending, _ in TABLE if matches(how, stop, bound))

"""Which process the running code belongs to: one context variable, set in the context of each run."""

from __future__ import annotations

import contextvars
from typing import Final, TypeVar, overload

import msgspec

from lash_redis.core.errors import LashError
from lash_redis.core.tick_ids import schedule_in

T = TypeVar("T")


class CurrentProcess(msgspec.Struct, frozen=True):
    """What the running code is an attempt at.

    Attributes:
        id: the process id. It is the same in every attempt, and so an idempotency key for systems outside.
        task: the name of its task.
        fencing_token: of the lease under which this attempt began; it is larger in each later attempt.
        attempt: the number of this run, from 1; runs that were lost, released or snoozed are not counted.
    """

    id: str
    task: str
    fencing_token: int
    attempt: int = 1

    @property
    def tick_ms(self) -> int | None:
        """For which time its schedule submitted it, ms since 1970; None: it was run by hand, or is of no schedule.

        The replay of a tick has that of the tick. It is read from the id, as a schedule makes it: ``name::<time>``.
        """
        found = schedule_in(self.id)
        return found[1] if found else None


class _Refused:
    """The type of ``_REFUSED``, which stands for a default that was not given."""


_REFUSED: Final = _Refused()
_CURRENT: Final[contextvars.ContextVar[CurrentProcess | None]] = contextvars.ContextVar(
    "lash_redis.current_process", default=None
)


@overload
def current_process() -> CurrentProcess: ...
@overload
def current_process(default: T, /) -> CurrentProcess | T: ...
def current_process(default: object = _REFUSED, /) -> object:
    """Return the process that the calling code is an attempt at.

    The code of a task has it, in a plain function too, and so has what it calls, awaits or starts as an asyncio task or
    by ``asyncio.to_thread``. Other threads, those of ``run_in_executor`` too, have it only if they are given the task's
    context.

    Args:
        default: what to return where no process runs.

    Raises:
        LashError: no process runs here, and there is no default.
    """
    current = running()
    if current is not None:
        return current
    if default is _REFUSED:
        raise LashError(
            "no process runs here: current_process() is for the code of a task that a worker runs, not for a direct "
            "call of a task, nor for a thread that a task has started itself (asyncio.to_thread passes it on); "
            "current_process(None) gives None there"
        )
    return default


def running() -> CurrentProcess | None:
    """Return what the calling code is an attempt at; None outside of a run."""
    return _CURRENT.get()


# Called in the context of a run it notes there what that is an attempt at.
set_current: Final = _CURRENT.set

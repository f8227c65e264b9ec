"""Which process the running code belongs to: one context variable, set in the context of each run."""

from __future__ import annotations

import contextvars
from typing import Final

import msgspec


class Running(msgspec.Struct, frozen=True):
    """What a run is an attempt at.

    Attributes:
        process_id: of the process.
        task: the name of its task.
    """

    process_id: str
    task: str


_RUNNING: Final[contextvars.ContextVar[Running | None]] = contextvars.ContextVar("lash_redis.running", default=None)


def running() -> Running | None:
    """Return what the calling code is an attempt at; None outside of a run.

    The code of a task has it, in a plain function too, and so has what it calls, awaits or starts as an asyncio task or
    by ``asyncio.to_thread``. A thread that the task starts itself has it only if it is given the task's context.
    """
    return _RUNNING.get()


def runs_in(context: contextvars.Context, process_id: str, task: str) -> None:
    """Note in the context of a run what it is an attempt at."""
    context.run(_RUNNING.set, Running(process_id, task))

"""What is paused: a queue or a task, who paused it, when and why. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from lash_redis.core.checks import checked_queue, checked_task_name
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.model import PauseRequest

MOST_PAUSED: Final = 100


class Paused(msgspec.Struct, frozen=True):
    """A queue or a task of which nothing begins.

    Attributes:
        request: who paused it first, when (the caller's clock) and why.
        queue: the queue's name, or None.
        task: the task's name, or None.
        partitions: in how many partitions it is paused.
        of: how many there are. If more, a call was cut off in its middle: pause or resume it again.
    """

    request: PauseRequest
    queue: str | None = None
    task: str | None = None
    partitions: int = 1
    of: int = 1

    @property
    def what(self) -> str:
        """What is paused, in words."""
        return f"queue {self.queue!r}" if self.queue is not None else f"task {self.task!r}"

    @property
    def where(self) -> str:
        """In which part of the namespace, in words; empty if in all of it."""
        if self.partitions == self.of:
            return ""
        return f"only in {self.partitions} of {self.of} partitions: pause or resume it again"


def pause_name(queue: str | None, task: str | None) -> str:
    """Return the name under which a pause stands.

    Raises:
        SettingsError: not one of the two is given, or it is outside what is allowed.
    """
    if (queue is None) == (task is None):
        raise SettingsError(f"expected a queue or a task, got queue={shown(queue)} and task={shown(task)}")
    return f"q:{checked_queue(queue)}" if task is None else f"t:{checked_task_name(task)}"

"""Tasks as callers give them: as what ``@lash.task`` made, and to some calls by name."""

from __future__ import annotations

from typing import Any

from lash_redis.app.task import Task
from lash_redis.core.checks import refused


def checked_task(what: str, value: object) -> Task[..., Any]:
    """Return ``value`` if it is a task, with or without options of its own.

    Raises:
        SettingsError: it is not.
    """
    if not isinstance(value, Task):
        raise refused(what, "what @lash.task made, or its options(...)", value)
    return value


def name_of(task: Task[..., Any] | str | None) -> str | None:
    """Return the name of a task that is given as itself or by its name."""
    return task.name if isinstance(task, Task) else task

"""The tasks that a worker knows, and the lanes that it serves because of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from lash_redis.core.checks import checked_queue
from lash_redis.core.errors import SettingsError
from lash_redis.core.lanes import MAX_LANES, lane
from lash_redis.tasks.declaration import Declaration


class HasDeclaration(Protocol):
    """What a task's decorator leaves in place of the function."""

    @property
    def declaration(self) -> Declaration:
        """What was declared."""


class Catalogue:
    """Task names and their declarations.

    Raises:
        SettingsError: two tasks have one name, or something is no task.
    """

    def __init__(self, tasks: Iterable[Declaration | HasDeclaration] = ()) -> None:
        self._by_name: dict[str, Declaration] = {}
        for task in tasks:
            declaration = _declaration_of(task)
            known = self._by_name.setdefault(declaration.name, declaration)
            if known.function is not declaration.function:
                raise SettingsError(
                    f"two tasks are named {declaration.name!r}, at {known.location} and at {declaration.location}: "
                    "give one of them another name"
                )

    def find(self, name: str) -> Declaration | None:
        """Return the task of this name, or None: its work is left for a worker that knows it."""
        return self._by_name.get(name)

    def lanes(self, queues: Sequence[str]) -> list[list[str]]:
        """Return for each queue the lanes that this worker serves.

        They are every task that it knows under every signature that it can run, and the lane without a task.

        Raises:
            SettingsError: a queue's name is not allowed, or one claim cannot name so many lanes.
        """
        served = [(each.name, digest) for each in self._by_name.values() for digest in each.signature.served]
        count = len(queues) * (len(served) + 1)
        if count > MAX_LANES:
            raise SettingsError(
                f"expected at most {MAX_LANES} lanes for one worker, got {count}: {len(queues)} queues, each with "
                f"{len(served)} signatures of {len(self._by_name)} tasks and one lane without a task; "
                "let some workers serve other queues or other tasks"
            )
        return [
            [*(lane(queue, task, digest) for task, digest in served), lane(queue)]
            for queue in map(checked_queue, queues)
        ]


def _declaration_of(task: object) -> Declaration:
    declaration = task if isinstance(task, Declaration) else getattr(task, "declaration", None)
    if not isinstance(declaration, Declaration):
        raise SettingsError(f"expected a task made by @lash.task, got {task!r}")
    return declaration

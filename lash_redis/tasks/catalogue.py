"""The tasks that a worker knows, and the lanes that it therefore serves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from lash_redis.core.checks import checked_iterable, checked_queue
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.lanes import lane
from lash_redis.core.model import RecoveryDisposition
from lash_redis.core.policies import Policy
from lash_redis.core.schedules import ScheduleDeclaration
from lash_redis.tasks.declaration import Declaration, policies_of, two_tasks_error


class HasDeclaration(Protocol):
    """A task, as the decorator returns it."""

    @property
    def declaration(self) -> Declaration:
        """The declaration of the task."""


class Catalogue:
    """The declarations of tasks, by name and by alias.

    Raises:
        SettingsError: two functions go by one name, or an item is no task.
    """

    def __init__(self, tasks: Iterable[Declaration | HasDeclaration] = ()) -> None:
        self._by_name: dict[str, Declaration] = {}
        self._schedules: dict[str, ScheduleDeclaration] = {}
        for task in checked_iterable("tasks", "what @lash.task made", tasks):
            declaration = _declaration_of(task)
            for name in declaration.names:
                known = self._by_name.setdefault(name, declaration)
                if known.function is not declaration.function:
                    raise two_tasks_error(known, declaration)
            self._schedules |= {each.name: each for each in getattr(task, "schedules", ())}

    def find(self, name: str) -> Declaration | None:
        """Return the declaration of a task; None if this worker does not know it and leaves its work to others."""
        return self._by_name.get(name)

    @property
    def task_count(self) -> int:
        """How many tasks there are."""
        return len(self.declarations)

    @property
    def names(self) -> frozenset[str]:
        """The names of the tasks, and their aliases."""
        return frozenset(self._by_name)

    @property
    def schedules(self) -> list[ScheduleDeclaration]:
        """The schedules that are declared for these tasks."""
        return list(self._schedules.values())

    @property
    def owner_bound(self) -> list[str]:
        """The names of the tasks whose work is owner-bound, and their aliases."""
        return [name for name, each in self._by_name.items() if each.disposition is RecoveryDisposition.OWNER_BOUND]

    @property
    def by_name(self) -> Mapping[str, Declaration]:
        """The declarations by every name under which rows of their tasks wait."""
        return self._by_name

    @property
    def declarations(self) -> list[Declaration]:
        """The declarations."""
        return [each for name, each in self._by_name.items() if name == each.name]

    def lanes(self, queues: Sequence[str]) -> list[list[str]]:
        """Return for each queue the lanes that this worker serves (rule 9.1).

        There is one for each name of a task that it knows and each signature that it can run, and a second one if the
        task has keys or limits, and the lane without a task.

        Raises:
            SettingsError: the name of a queue is not allowed.
        """
        served = [
            (name, digest, scopes)
            for name, each in self._by_name.items()
            for digest in each.signature.served
            for scopes in dict.fromkeys(("", each.limits.scopes))
        ]
        return [[*(lane(queue, *each) for each in served), lane(queue)] for queue in map(checked_queue, queues)]

    @property
    def policies(self) -> list[Policy]:
        """What the tasks may not exceed."""
        return policies_of(self._by_name.values())


def _declaration_of(task: object) -> Declaration:
    declaration = task if isinstance(task, Declaration) else getattr(task, "declaration", None)
    if not isinstance(declaration, Declaration):
        raise SettingsError(f"expected a task made by @lash.task, got {shown(task)}")
    return declaration

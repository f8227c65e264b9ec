"""Which tasks of a ``Lash`` a pool serves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from lash_redis.core.errors import SettingsError


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def chosen(tasks: Iterable[N], names: tuple[str, ...]) -> tuple[N, ...]:
    """Return the tasks with these names, or all of them if none is named.

    Raises:
        SettingsError: there is no task of a name; the message lists those that there are.
    """
    known = {task.name: task for task in tasks}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SettingsError(f"expected tasks to be among {', '.join(known) or 'none'}, got {', '.join(unknown)}")
    return tuple(known[name] for name in names or known)

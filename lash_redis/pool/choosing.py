"""Which tasks of a ``Lash`` a pool serves, and how that is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from lash_redis.core.errors import SettingsError
from lash_redis.core.near_names import did_you_mean

_SHOWN = 8


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def chosen(tasks: Iterable[N], names: tuple[str, ...]) -> tuple[N, ...]:
    """Return the tasks with these names, or all of them if none is named.

    Raises:
        SettingsError: there is no task of a name; the message lists those that there are, the first few.
    """
    known = {task.name: task for task in tasks}
    unknown = [name for name in names if name not in known]
    if unknown:
        allowed, refused = ", ".join(first_few(list(known))), ", ".join(unknown)
        raise SettingsError(f"expected tasks to be among {allowed}, got {refused}{did_you_mean(unknown[0], known)}")
    return tuple(known[name] for name in names or known)


def first_few(names: Sequence[str]) -> list[str]:
    """Return the first eight names, and behind them how many more there are."""
    rest = len(names) - _SHOWN
    return [*names[:_SHOWN], f"and {rest} more"] if rest > 0 else list(names)

"""What cannot be read: of a newer release, or damaged. It is told once, and left alone (rule 8.15)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from lash_redis.core.events import RowUnreadable
from lash_redis.core.subscribers import emit

T = TypeVar("T")

_MOST_TOLD: Final = 10_000

_told: set[tuple[str, str]] = set()


def tell_unreadable(what: str, name: str, reason: str) -> None:
    """Report what cannot be read; once for each name in this OS process, until 10,000 others were told of.

    Args:
        what: row, owner, death, request or count.
        name: the id of the row, or the digest of the owner.
        reason: what is wrong with it.
    """
    if (what, name) in _told:
        return
    if len(_told) >= _MOST_TOLD:
        _told.clear()
    _told.add((what, name))
    emit(RowUnreadable(what=what, id=name, reason=reason))


def readable(what: str, name: str, read: Callable[[], T]) -> T | None:
    """Return what ``read`` returns, or None once it was told that it cannot be read."""
    try:
        return read()
    except Exception as error:  # noqa: BLE001 - a newer release may have written anything
        tell_unreadable(what, name, f"{type(error).__name__}: {error}")
        return None

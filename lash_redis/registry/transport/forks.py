"""What a forked OS process does with what it inherits: it uses none of it, and makes its own.

Two OS processes that write to one connection would read each other's answers. A child closes its copies of the
descriptors and sends nothing on them, so that the parent's connections go on. (``SSL_shutdown`` and an orderly
``shutdown`` would end them for both.)
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

T = TypeVar("T")


class Inheritable(Protocol):
    """A connection that a forked child inherits."""

    def close_in_child(self) -> object:
        """Close the child's copy, without a word to the server; return what must never be collected, if anything."""


class PerProcess(Generic[T]):
    """A value that belongs to one OS process: a forked child makes another one.

    A lock that some thread held when the OS process was forked is held for ever in the child.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._value, self._pid = make(), os.getpid()

    def get(self) -> T:
        """Return this OS process's value."""
        if self._pid != os.getpid():
            self._value, self._pid = self._make(), os.getpid()
        return self._value


_open: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
_never_collected: Final[list[object]] = []


def close_in_children(connection: Inheritable) -> None:
    """Close this connection in every child that is forked from now on."""
    _open.add(connection)


def _close_inherited() -> None:
    for connection in list(_open):
        _never_collected.append(connection.close_in_child())
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)

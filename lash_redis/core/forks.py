"""What a forked OS process does with what it inherits: it uses none of it, and makes its own (rule 2.8).

Two OS processes that write to one connection would read each other's answers. A lock that some thread held when the OS
process was forked is held for ever in the child, in which there is no such thread.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")


class _ThisProcess:
    """What is known of this OS process.

    Attributes:
        pid: its pid, without a system call: it is read before and after each run of user code. Every fork that Python
            makes or knows of renews it. C code that forks by itself and then goes on in Python, which does not support
            that, is not seen.
    """

    __slots__ = ("pid",)

    def __init__(self) -> None:
        self.pid = os.getpid()


THIS_PROCESS: Final = _ThisProcess()


def own_pid() -> int:
    """Return the pid of this OS process as ``THIS_PROCESS`` has it."""
    return THIS_PROCESS.pid


class PerProcess(Generic[T]):
    """A value that belongs to one OS process: a forked child makes another one when it needs it.

    Args:
        make: makes the value.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._value, self._pid = make(), own_pid()

    def get(self) -> T:
        """Return this OS process's value."""
        if self._pid != own_pid():
            self._value, self._pid = self._make(), own_pid()
        return self._value


_inheritable: Final[weakref.WeakKeyDictionary[Any, Callable[[Any], object]]] = weakref.WeakKeyDictionary()
_never_collected: Final[list[object]] = []  # a connection that is thrown away may still say goodbye


def let_go_in_children(inheritable: T, let_go: Callable[[T], object]) -> None:
    """Call ``let_go(inheritable)`` in each child that is forked while ``inheritable`` exists, before it does anything.

    ``let_go`` must not refer to ``inheritable``. What it returns is never collected in the child.
    """
    _inheritable[inheritable] = let_go


def _let_go() -> None:
    THIS_PROCESS.pid = os.getpid()
    for inheritable, let_go in list(_inheritable.items()):
        with suppress(Exception):  # one that fails leaves no other one in use
            _never_collected.append(let_go(inheritable))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)

"""Who asks all partitions in turn: a node that is silent must not hold up what the others have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_is_in_turn = ContextVar("_is_in_turn", default=False)


@contextmanager
def in_turn() -> Iterator[None]:
    """Have the calls of a block made in turn with others."""
    before = _is_in_turn.get()
    _is_in_turn.set(True)
    try:
        yield
    finally:
        _is_in_turn.set(before)  # a token cannot be reset where a coroutine that its event loop left behind is closed


def is_in_turn() -> bool:
    """Return whether calls that are made now are made in turn with others."""
    return _is_in_turn.get()

"""How one call of a task's function ended, as a thread or the event loop that ran it reports it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec


class CallEnd(msgspec.Struct, frozen=True):
    """How one call ended.

    Attributes:
        value: what it returned.
        error: what it raised, None if it returned.
        is_entered: user code was entered, as far as can be known. Where it was not, no line of it ever runs.
    """

    value: Any
    error: BaseException | None
    is_entered: bool


OnCallEnd = Callable[[CallEnd], None]

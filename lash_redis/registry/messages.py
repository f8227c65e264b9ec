"""What scripts publish to workers and to clients that wait: one word, a space, a name. Pure.

A message is a hint (rule 9.3). ``tests/lua/test_messages.py`` checks that the Lua publishes these words and no others.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec


class Ended(msgspec.Struct, frozen=True):
    """``ended ID``, to the clients that wait: a process has its terminal fact."""

    process_id: str


class Requested(msgspec.Struct, frozen=True):
    """``request ID``, to the holder of a live lease: there is a cancel or an abandon request."""

    process_id: str


class LaneFilled(msgspec.Struct, frozen=True):
    """``lane LANE``, to an idle worker: there are queued rows in a lane."""

    lane: str


class DueEarlier(msgspec.Struct, frozen=True):
    """``due MS``, to the worker that watches for it and to an idle one: something becomes due before all else."""

    at_ms: str


Message: TypeAlias = Ended | Requested | LaneFilled | DueEarlier

ENDED: Final = "ended"
REQUEST: Final = "request"
LANE: Final = "lane"
DUE: Final = "due"
_KINDS: Final[dict[str, type[Message]]] = {ENDED: Ended, REQUEST: Requested, LANE: LaneFilled, DUE: DueEarlier}


def read_message(text: str) -> Message | None:
    """Return the message that a text is, or None for a text with an unknown first word (of a newer release)."""
    word, _, name = text.partition(" ")
    kind = _KINDS.get(word)
    return kind(name) if kind is not None else None

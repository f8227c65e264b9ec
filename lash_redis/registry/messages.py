"""What scripts publish to workers and to clients that wait: one word, a space, a name, and for some words more. Pure.

A message is a hint (rule 9.3). ``tests/lua/test_messages.py`` checks that the Lua publishes these words and no others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec


class Ended(msgspec.Struct, frozen=True):
    """``ended ID``, to the clients that wait: a process has its terminal fact."""

    process_id: str


class EndedWith(msgspec.Struct, frozen=True):
    """``outcome ID KIND OUTCOME``, in place of the above, to those whose channel's name begins with ``TOLD``.

    The script that publishes it has written this fact, under its fence. The channel's name is one that nobody else
    has, and was noted on the row in the namespace that its client opened. So it says what a read of the row would.

    Attributes:
        process_id: of the process.
        kind: its task and its state, with ``|`` between them.
        outcome: as it is stored, at most 1 KiB.
    """

    process_id: str
    kind: str
    outcome: bytes


class Requested(msgspec.Struct, frozen=True):
    """``request ID``, to the holder of a live lease: there is a cancel or an abandon request."""

    process_id: str


class LaneFilled(msgspec.Struct, frozen=True):
    """``lane LANE``, to an idle worker: there are queued rows in a lane."""

    lane: str


class DueEarlier(msgspec.Struct, frozen=True):
    """``due MS``, to the worker that watches for it and to an idle one: something becomes due before all else."""

    at_ms: str


class ToldDead(msgspec.Struct, frozen=True):
    """``dead OWNER``, to a worker whose death was recorded: its next claim is stale, if it lives."""

    owner_digest: str


Message: TypeAlias = Ended | EndedWith | Requested | LaneFilled | DueEarlier | ToldDead

TOLD: Final = "+"
ENDED: Final = "ended"
OUTCOME: Final = "outcome"
REQUEST: Final = "request"
LANE: Final = "lane"
DUE: Final = "due"
DEAD: Final = "dead"
_KINDS: Final[dict[str, Callable[[str], Message]]] = {
    ENDED: Ended,
    REQUEST: Requested,
    LANE: LaneFilled,
    DUE: DueEarlier,
    DEAD: ToldDead,
}


def read_message(text: str) -> Message | None:
    """Return the message that a text is, or None for a text with an unknown first word (of a newer release).

    Bytes that are no text stand in it as ``surrogateescape`` writes them; in a name they are replaced.
    """
    word, _, name = text.partition(" ")
    if word == OUTCOME:
        process_id, _, rest = name.partition(" ")
        about, _, outcome = rest.partition(" ")
        return EndedWith(process_id, about, outcome.encode("utf-8", "surrogateescape"))
    if not name.isascii():
        name = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    kind = _KINDS.get(word)
    return kind(name) if kind is not None else None

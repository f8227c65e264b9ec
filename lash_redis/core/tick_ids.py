"""The ids of the processes of schedules. They say of which schedule a process is, and of which of its times."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final

_RUN: Final = "run-"
_MOST_DIGITS: Final = 15
_REPLAYED_TICK: Final = re.compile(r"replay\.[A-Za-z0-9_-]{16}\.")


def tick_id(name: str, instant_ms: int) -> str:
    """Return the id of a tick's process."""
    return f"{name}::{instant_ms}"


def run_id(name: str, token: str) -> str:
    """Return the id of a process of a schedule that is run by hand."""
    return f"{name}::{_RUN}{token}"


def name_of_replay(process_id: str) -> str:
    """Return what the id of the process that replays another one ends with: it follows from the other's id.

    The replay of a tick says of which instant it is, as the tick does.
    """
    digest = urlsafe_b64encode(sha256(process_id.encode()).digest()[:12]).decode()
    _, instant = schedule_in(process_id) or ("", None)
    return f"replay.{digest}" if instant is None else f"replay.{digest}.{instant}"


def schedule_in(process_id: str) -> tuple[str, int | None] | None:
    """Return the schedule whose process has this id, and of which instant it is (None: it was run by hand).

    The ids of other processes may look the same: whether there is such a schedule, with their task, is to be asked.
    """
    name, _, rest = process_id.rpartition("::")
    if not name:
        return None
    if rest.startswith(_RUN):
        return name, None
    rest = _REPLAYED_TICK.sub("", rest, count=1) if rest.startswith("replay.") else rest
    is_instant = rest.isdecimal() and rest.isascii() and len(rest) <= _MOST_DIGITS
    return (name, int(rest)) if is_instant else None

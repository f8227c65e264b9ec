"""Lengths of time, moments and ages in words for people. Pure.

Moments and ages are by the server's clock, which comes with each row: the clock of the reader's machine may be wrong.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(ms: int) -> str:
    """Return a length of time in its two largest units: ``2 h 5 min``; below a second in ms."""
    if ms < 1_000:
        return f"{max(ms, 0)} ms"
    parts: list[str] = []
    left = ms // 1_000
    for seconds, name in _UNITS:
        number, left = divmod(left, seconds)
        if number or parts:
            parts.append(f"{number} {name}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 "))


def ago(ms: int, now_ms: int) -> str:
    """Return how long ago a moment was, or how far ahead it is."""
    return f"in {duration(ms - now_ms)}" if ms > now_ms else f"{duration(now_ms - ms)} ago"


def moment(ms: int, now_ms: int) -> str:
    """Return a moment in UTC, and how long ago that is."""
    try:
        text = datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        text = f"{ms} ms"  # a request's time is its caller's word
    return f"{text}, {ago(ms, now_ms)}"


def due_in_words(due_at_ms: int, now_ms: int) -> str:
    """Say of a delayed process when it becomes due."""
    return f"due at {moment(due_at_ms, now_ms)}, by the server's clock"

"""Render text for people: aligned columns, readable times, no character that could control a terminal. Pure.

Moments and ages are by the server's clock, which comes with each row: the clock of the operator's machine may be wrong.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from lash_redis.core.liveness import LeaseOwner, LocalProcess

MAX_SHOWN = 400  # characters of one value; ``--json`` has it whole
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def printable(text: str) -> str:
    """Return ``text`` with every character escaped that is not printable: a reason or a result may hold any."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def shortened(text: str) -> str:
    """Return printable text of at most ``MAX_SHOWN`` characters."""
    shown = printable(text)
    return shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}… ({len(shown)} characters)"


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


def named(owner: LeaseOwner) -> str:
    """Return an owner on one line: its name, its incarnation, and what could prove its death."""
    liveness = owner.liveness
    where = f"pid {liveness.pid}" if isinstance(liveness, LocalProcess) else "opaque"
    return printable(f"{owner.owner_id} · incarnation {owner.incarnation_id} · {where}")


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with aligned columns; the first row is the header."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def fields(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return lines of ``name  value``; a pair without a name continues the pair before it."""
    width = max(len(name) for name, _ in pairs)
    return [f"  {name.ljust(width)}  {value}".rstrip() for name, value in pairs]


def loud(text: str) -> str:
    """Return text that a terminal shows in bold red. It stays plain elsewhere, and if ``NO_COLOR`` is set."""
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[1;31m{text}\x1b[0m" if colours else text


def json_text(value: Any) -> str:
    """Return one JSON object, indented; a value that JSON lacks is shown by its ``repr``."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=repr), indent=2).decode()


def value_text(value: Any) -> str:
    """Return a payload's value on one line, shortened."""
    return shortened(repr(value))

"""Render text for people: aligned columns, no character that could control a terminal. Pure."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from lash_redis.core.liveness import LeaseOwner, LocalProcess

MAX_SHOWN = 400  # characters of one value; ``--json`` has it whole


def printable(text: str) -> str:
    """Return ``text`` with every character escaped that is not printable: a reason or a result may hold any."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def shortened(text: str) -> str:
    """Return printable text of at most ``MAX_SHOWN`` characters."""
    shown = printable(text)
    return shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}… ({len(shown)} characters)"


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

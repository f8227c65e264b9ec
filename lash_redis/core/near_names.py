"""Which names a wrong one may stand for. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

_LIKENESS: Final = 0.7


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """Return a question that names the known names most like the given one; empty if there is none, or it is known."""
    names = list(known)
    if not isinstance(given, str) or given in names:
        return ""
    near = difflib.get_close_matches(given, names, n=3, cutoff=_LIKENESS)
    return f": did you mean {' or '.join(map(repr, near))}?" if near else ""

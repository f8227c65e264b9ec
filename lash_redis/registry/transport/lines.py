"""Which connections carry which script: a slow claim or a long read must not hold up a renewal or a result."""

from __future__ import annotations

from typing import Final

_LINES: Final = {
    "claim": "claim", "claim_next": "claim", "reclaim": "claim",
    "holders": "control", "page": "control", "record_death": "control", "release": "control", "renew": "control",
    "renew_owned": "control", "settle": "control", "start": "control", "terminalize": "control",
}  # fmt: skip


def line_of(script: str) -> str:
    """Return the line that carries a script."""
    return _LINES.get(script, "calls")

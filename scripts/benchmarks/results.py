"""What a part of the bench measured, kept for the report: one small file of JSON for each part, in ``build/bench``.

A part calls ``save`` once, with a list of what each round gave. The report reads them by part and name; ``goals.py``
says which of them the goals need.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "build/bench"
SIDE, QUICK = "side_by_side", "side_by_side_quick"

SERVER_TO_BARE_AT_MOST = 1.3  # the server's CPU of the real worker, of that of the bare transitions

Values = Sequence[float | None]


def save(part: str, figures: Mapping[str, Values | float], **more: Any) -> None:
    """Keep the figures of a part: each a value, or a list of what each round gave (None: it gave none)."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    lists = {name: [given] if isinstance(given, int | float) else [*given] for name, given in figures.items()}
    whole = FOLDER / f"{part}.new"
    whole.write_text(json.dumps({"part": part, "figures": lists, **more}, indent=1) + "\n", encoding="utf-8")
    whole.replace(FOLDER / f"{part}.json")


def clear() -> None:
    """Forget what earlier runs have measured."""
    for each in FOLDER.glob("*.json"):
        each.unlink()


def load() -> dict[str, dict[str, Any]]:
    """Return what is kept of each part."""
    return {each.stem: json.loads(each.read_text(encoding="utf-8")) for each in sorted(FOLDER.glob("*.json"))}


def load_quick() -> dict[str, dict[str, Any]]:
    """Return what is kept of the last quick run, in the place of a full one's."""
    return {SIDE: load()[QUICK]}


def median(values: Values) -> float | None:
    """Return the median of what was measured; None if nothing was."""
    known = [each for each in values if each is not None]
    return statistics.median(known) if known else None


def ratios(values: Values, others: Values) -> list[float]:
    """Return how the values of each round compare with those of another case in the same round."""
    return [
        one / other
        for one, other in zip(values, others, strict=False)
        if one is not None and other is not None and other != 0
    ]

"""Whether the sequences of a partition are sound: their rows, their order, and the one lane in which a key may run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

Row = dict[str, bytes]
_MARKS = ("!", "~")


def _text(row: Row, field: str) -> str:
    return row.get(field, b"").decode("utf-8", "replace")


def _lane(row: Row) -> str:
    alone = "|alone" if int(row.get("lo", 0)) >= 2 else ""
    return "|".join(_text(row, "ln").split("|", 4)[:4]) + alone


def _by_key(lane: str) -> str:
    parts = lane.split("|")
    return parts[3].split(",", maxsplit=1)[0] if len(parts) > 3 else ""


def _belongs(row: Row, *, halts: bool) -> bool:
    """Say whether a row of a sequence stands in its set."""
    if row["ph"] == b"u":
        return halts
    return row["ph"] != b"" or (halts and row.get("ts") == b"a" and "rs" not in row)


def bad_sequences(rows: dict[str, Row], index: Callable[[str], dict[str, float]], keys: list[str]) -> Iterator[str]:
    """Yield every contradiction: a set that has other rows than it should, a key in the rotation of a wrong lane."""
    expected: dict[str, dict[str, float]] = defaultdict(dict)
    may_have_left: dict[str, set[str]] = defaultdict(set)
    for id_, row in rows.items():
        scope = _by_key(_text(row, "ln"))
        if not scope.startswith(_MARKS) or "sq" not in row:
            continue
        name = f"seq:{scope[1:]} {_text(row, 'ln').split('|', 4)[4]}"
        if _belongs(row, halts=scope.startswith("!")):
            expected[name][id_] = float(row["sq"])
        if scope.startswith("~") and row["ph"] == b"l" and row["d"] == b"o" and "fs" in row:
            may_have_left[name].add(id_)  # it was uncertain, and its starter is back
    for name in sorted(expected.keys() | {each for each in keys if each.startswith("seq:")}):
        members = index(name)
        lacking = expected[name].keys() - members.keys() - may_have_left[name]
        if lacking or any(expected[name].get(id_) != number for id_, number in members.items()):
            yield f"{name} has {members}, and its rows are {expected[name]}"
        yield from _bad_turns(name, rows, index, keys)


def _bad_turns(
    name: str, rows: dict[str, Row], index: Callable[[str], dict[str, float]], keys: list[str]
) -> Iterator[str]:
    members = index(name)
    first = min(members, key=lambda id_: members[id_], default="")
    sequence, _, key = name.removeprefix("seq:").partition(" ")
    lanes = [each.removeprefix("turn:") for each in keys if each.startswith("turn:")]
    may_run = {each for each in lanes if _by_key(each)[1:] == sequence and _by_key(each).startswith(_MARKS)}
    may_run = {each for each in may_run if key in index(f"turn:{each}")}
    is_queued = first in rows and rows[first]["ph"] == b"q"
    if may_run != ({_lane(rows[first])} if is_queued else set()):
        yield f"{name} begins with {first or 'nothing'}, and its key is in the rotation of {sorted(may_run)}"

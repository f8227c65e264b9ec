"""Whether rows that wait for others, and groups, are sound: a part of ``soundness``, and written like it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Row = dict[str, bytes]


def _way(row: Row) -> str:
    """Return how a row waits, in the words of its field."""
    return row.get("aw", b"").decode()


class Waits:
    """What one partition says of who waits for whom.

    Args:
        rows: by id.
        named: returns the contents of all keys of a class, by id.
        alarms: by when.
    """

    def __init__(self, rows: dict[str, Row], named: Callable[[str], dict[str, Any]], alarms: dict[str, float]) -> None:
        self.rows, self.alarms = rows, alarms
        self.awaits: dict[str, dict[str, float]] = named("awaits:")
        self.then: dict[str, dict[str, float]] = named("then:")
        self.members: dict[str, dict[str, float]] = named("members:")

    def problems(self) -> Iterator[str]:
        """Yield every contradiction."""
        for id_, row in self.rows.items():
            yield from self._of_row(id_, row)
        for id_, others in self.awaits.items():
            yield from self._of_wait(id_, self.rows.get(id_, {}), others)
        for other, waiting in self.then.items():
            yield from self._of_telling(other, waiting)
        for id_, listed in self.members.items():
            if not self._is_group(id_):
                yield f"row {id_} continues no group, and has the members {sorted(listed)}"
            if strange := {each for each in listed if each in self.rows and self._group_of(each) != id_}:
                yield f"the members {sorted(strange)} of {id_} say that they are none"

    def _is_group(self, id_: str) -> bool:
        return _way(self.rows.get(id_, {}))[1:2] == "g"

    def _group_of(self, id_: str) -> str:
        return self.rows[id_].get("gp", b"").decode()

    def _of_row(self, id_: str, row: Row) -> Iterator[str]:
        if row["ph"] == b"b":
            if id_ not in self.awaits:
                yield f"row {id_} is blocked, and waits for nothing"
            if not re.fullmatch(r"[cr]g?(?: \S+ [fka])?", _way(row)):
                yield f"row {id_} is blocked, and does not say how it waits: {_way(row)!r}"
        if "gp" not in row:
            return
        of = self._group_of(id_)
        if (row["ph"] or self._is_group(of)) and id_ not in self.members.get(of, {}):
            yield f"row {id_} is a member of {of}, which does not list it"
        if id_ not in self.awaits.get(of, {}) and (row["ph"] or self._is_kept(row, self.rows.get(of, {}))):
            yield f"row {id_} is a member of {of}, which does not wait for it"

    def _of_wait(self, id_: str, row: Row, others: dict[str, float]) -> Iterator[str]:
        is_blocked = row.get("ph") == b"b"
        if not is_blocked and not self._is_group(id_):
            yield f"row {id_} waits for {sorted(others)}, and is not blocked"
        if "*" in others and not (is_blocked and self._is_group(id_)):
            yield f"row {id_} is held open, and is no blocked group"
        for other in others.keys() - {"*"}:
            awaited = self.rows.get(other)
            if awaited is None:
                yield f"row {id_} waits for {other}, which is not there"
            elif self._group_of(other) != id_ and (id_ not in self.then.get(other, {}) or "dp" not in awaited):
                yield f"row {id_} waits for {other}, which will not tell it"
            elif "ts" in awaited and f"tell {other}" not in self.alarms and not self._keeps(awaited, row):
                yield f"row {id_} waits for {other}, which has ended and has not told it"

    @staticmethod
    def _keeps(awaited: Row, row: Row) -> bool:
        """Say whether nobody knows how the awaited one ended, and the row needs to know."""
        return awaited["ts"] == b"a" and "rs" not in awaited and _way(row)[:1] == "c"

    def _is_kept(self, awaited: Row, row: Row) -> bool:
        return row.get("ph") == b"b" and self._keeps(awaited, row)

    def _of_telling(self, other: str, waiting: dict[str, float]) -> Iterator[str]:
        for id_, score in waiting.items():
            if other not in self.awaits.get(id_, {}):
                yield f"row {other} would tell {id_}, which does not wait for it"
            elif score != (_way(self.rows[id_])[0] == "c"):
                yield f"row {other} would tell {id_} as one of score {score}, which waits as {_way(self.rows[id_])!r}"

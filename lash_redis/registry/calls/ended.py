"""List the rows that have ended, the newest first, a page at a time. Pure: it yields calls.

A page is bounded, and its cursor is one word that a shell can carry. What ends while pages are read is not seen.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Any, Final

import msgspec

from lash_redis.core.checks import MAX_BATCH, checked_int
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.model import ProcessStatus
from lash_redis.registry.calls.call import Call, Namespace, Steps
from lash_redis.registry.calls.listing import ListedRows
from lash_redis.registry.codec import STATUS_CODES
from lash_redis.registry.keys import UNRESOLVED
from lash_redis.registry.rows import Row
from lash_redis.registry.unreadable import readable

_NEWEST: Final = "inf"
_Skip = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """When the next row ended at the latest, ms, and how many of that time each index has shown."""

    latest: Annotated[str, msgspec.Meta(pattern=r"\A(inf|[0-9]{1,16})\Z")]
    shown: list[_Skip]


class _Index(msgspec.Struct, frozen=True):
    """One list that is read: its number among them, where it is, and its name: a state's code, or ``unresolved``."""

    number: int
    partition: int
    name: str


class _Found(msgspec.Struct, frozen=True):
    """One entry of an index: when it ended, the index's number, and its row (None if it cannot be shown)."""

    ended_at_ms: int
    number: int
    row: Row | None


def list_ended(
    namespace: Namespace,
    status: ProcessStatus,
    limit: int,
    cursor: str | None = None,
    *,
    unresolved: bool = False,
    task: str | None = None,
) -> Steps[ListedRows]:
    """List what ended with a status, over all partitions, the newest first.

    ``limit`` is the rows of a page, 1 to 500. ``cursor`` is that of the page before; None: the first page.
    ``unresolved``: of what was abandoned only what nobody has resolved. ``task``: only of this task; what is unresolved
    is listed of every task.

    Raises:
        SettingsError: a bad limit, or a cursor that no page gave.
    """
    checked_int("limit", limit, at_least=1, at_most=MAX_BATCH)
    names = [] if unresolved else [STATUS_CODES[status]]
    if status is ProcessStatus.ABANDONED:
        names.append(UNRESOLVED)
    pairs = ((partition, name) for partition in range(namespace.partitions) for name in names)
    indexes = [_Index(number, *pair) for number, pair in enumerate(pairs)]
    at = _decoded(cursor, len(indexes)) if cursor is not None else _Cursor(_NEWEST, [0] * len(indexes))
    found: list[_Found] = []
    there_is_more = False
    for index, skip in zip(indexes, at.shown, strict=True):
        entries, has_more = yield from _page(index, at.latest, skip, limit, task or "*")
        found += entries
        there_is_more = there_is_more or has_more
    found.sort(key=lambda each: -each.ended_at_ms)
    shown = found[:limit]
    rows = [each.row for each in shown if each.row is not None]
    there_is_more = there_is_more or len(found) > limit
    return ListedRows(rows, _encoded(_after(at, shown)) if there_is_more else None)


def _after(at: _Cursor, shown: list[_Found]) -> _Cursor:
    """Return where the next page begins: at the time of the last row, behind those of that time that were shown."""
    last = shown[-1].ended_at_ms
    before = at.shown if at.latest == str(last) else [0] * len(at.shown)
    of_that_time = [each.number for each in shown if each.ended_at_ms == last]
    return _Cursor(str(last), [skip + of_that_time.count(number) for number, skip in enumerate(before)])


def _page(index: _Index, latest: str, skip: int, limit: int, task: str) -> Call[tuple[list[_Found], bool]]:
    """Read one page of one index; the answer is what it found, and whether there is more."""

    def decode(reply: list[Any]) -> tuple[list[_Found], bool]:
        entries = [
            _Found(int(float(when)), index.number, _row(values))
            for when, values in zip(reply[2::2], reply[3::2], strict=True)
        ]
        return entries, reply[1] == b"1"

    return Call("ended", index.partition, [index.name, latest, skip, limit, task], decode, word=b"ENDED")


def _row(values: Any) -> Row | None:
    """Return the row, if there is one that can be read: an index is a hint (rules 8.7 and 8.15)."""
    if not values:
        return None

    def read() -> Row:
        row = Row(values)
        row.record()
        return row

    return readable("row", values[0].decode(), read)


def _encoded(at: _Cursor) -> str:
    return urlsafe_b64encode(msgspec.json.encode(at)).decode().rstrip("=")


def _decoded(cursor: str, indexes: int) -> _Cursor:
    try:
        data = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        at = msgspec.json.decode(data, type=_Cursor)
    except (TypeError, ValueError):
        at = None
    if at is None or len(at.shown) != indexes:
        raise SettingsError(f"expected cursor to be one that a page gave, got {shown(cursor)}")
    return at

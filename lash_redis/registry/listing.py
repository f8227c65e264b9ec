"""Listing what is not terminal, place by place, with a cursor that outlives the call. Pure: it yields calls.

The order is partition by partition: lanes by name, then leased, uncertain and outside. A row that moves meanwhile may
be seen twice or missed by that pass (design, section 6).
"""

from __future__ import annotations

import msgspec

from lash_redis.core.checks import MAX_BATCH, checked_int
from lash_redis.core.errors import SettingsError
from lash_redis.core.model import ProcessRecord
from lash_redis.registry.answers import PageStart
from lash_redis.registry.calls.call import Namespace, Steps
from lash_redis.registry.calls.reads import page
from lash_redis.registry.calls.upkeep import counts_page

_PLACES = ("lanes", "leases", "uncertain", "outside")


class RecordPage(msgspec.Struct, frozen=True):
    """Records, and the cursor of the next page (None at the end)."""

    records: list[ProcessRecord]
    cursor: str | None


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    partition: int = 0
    place: int = 0
    lane: str = ""
    score: str = "-inf"
    skip: int = 0


def list_non_terminal(namespace: Namespace, limit: int, cursor: str | None = None) -> Steps[RecordPage]:
    """List what is not terminal, by place; a row that moves meanwhile may be seen twice or missed.

    ``limit`` is the records of a page, 1 to 500. ``cursor`` is that of the page before; None begins.

    Raises:
        SettingsError: a bad limit or cursor.
    """
    checked_int("limit", limit, at_least=1, at_most=MAX_BATCH)
    at = _decoded(cursor)
    records: list[ProcessRecord] = []
    while at.partition < namespace.partitions:
        if at.place >= len(_PLACES):
            at = _Cursor(at.partition + 1)
            continue
        index = _PLACES[at.place]
        if index == "lanes":
            if at.score == "-inf" and at.skip == 0:
                counts = yield from counts_page(at.partition, at.lane, lanes=1)
                lane = min(counts.lanes, default=None)
                if lane is None:
                    at = _Cursor(at.partition, 1)
                    continue
                at = msgspec.structs.replace(at, lane=lane)
            index = f"q:{at.lane}"
        room = limit - len(records)
        found = yield from page(namespace, at.partition, index, PageStart(at.score, at.skip), limit=room)
        records += [row.record() for row in found.rows]
        if found.next is not None:
            at = msgspec.structs.replace(at, score=found.next.score, skip=found.next.skip)
        else:
            place = at.place if _PLACES[at.place] == "lanes" else at.place + 1
            at = _Cursor(at.partition, place, at.lane)
        if len(records) >= limit:
            return RecordPage(records, msgspec.json.encode(at).decode())
    return RecordPage(records, None)


def _decoded(cursor: str | None) -> _Cursor:
    try:
        return msgspec.json.decode(cursor, type=_Cursor) if cursor is not None else _Cursor()
    except (msgspec.DecodeError, TypeError):
        raise SettingsError(f"expected cursor to be one that a page gave, got {cursor!r}") from None

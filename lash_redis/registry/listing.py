"""Listing what is not terminal, place by place, with a cursor that outlives the call. Pure: it yields calls.

The order is partition by partition: lanes by name, then leased, uncertain and outside. A row that moves meanwhile may
be seen twice or missed by that pass (design, section 6).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec

from lash_redis.core.checks import MAX_BATCH, checked_int
from lash_redis.core.errors import SettingsError
from lash_redis.core.model import ProcessRecord
from lash_redis.registry.answers import PageStart
from lash_redis.registry.call import Call
from lash_redis.registry.calls import Calls

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


class Listing:
    """One page of the list: which indexes to read, from where, until ``limit`` records are found."""

    def __init__(self, calls: Calls, limit: int, cursor: str | None) -> None:
        checked_int("limit", limit, at_least=1, at_most=MAX_BATCH)
        self._calls, self._limit = calls, limit
        try:
            self._at = msgspec.json.decode(cursor, type=_Cursor) if cursor is not None else _Cursor()
        except (msgspec.DecodeError, TypeError):
            raise SettingsError(f"expected cursor to be one that a page gave, got {cursor!r}") from None

    def pages(self) -> Generator[Call[Any], Any, RecordPage]:
        """Yield the calls that fill one page, take their answers, and return the page."""
        records: list[ProcessRecord] = []
        at = self._at
        while at.partition < self._calls.partitions:
            if at.place >= len(_PLACES):
                at = _Cursor(at.partition + 1)
                continue
            index = _PLACES[at.place]
            if index == "lanes":
                if at.score == "-inf" and at.skip == 0:
                    lane = yield from self._lane_after(at)
                    if lane is None:
                        at = _Cursor(at.partition, 1)
                        continue
                    at = msgspec.structs.replace(at, lane=lane)
                index = f"q:{at.lane}"
            room = self._limit - len(records)
            page = yield self._calls.page(at.partition, index, PageStart(at.score, at.skip), limit=room)
            records += [row.record() for row in page.rows]
            if page.next is not None:
                at = msgspec.structs.replace(at, score=page.next.score, skip=page.next.skip)
            else:
                place = at.place if _PLACES[at.place] == "lanes" else at.place + 1
                at = _Cursor(at.partition, place, at.lane)
            if len(records) >= self._limit:
                return RecordPage(records, msgspec.json.encode(at).decode())
        return RecordPage(records, None)

    def _lane_after(self, at: _Cursor) -> Generator[Call[Any], Any, str | None]:
        counts = yield self._calls.counts(at.partition, at.lane, lanes=1)
        return min(counts.lanes, default=None)

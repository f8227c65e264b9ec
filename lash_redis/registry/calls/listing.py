"""List the rows that are not terminal, a page at a time, in an order that the caller chooses. Pure: it yields calls.

A page is bounded, and its cursor is one word that a shell can carry. A row that moves while pages are read may be seen
twice or missed.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from lash_redis.core.checks import MAX_BATCH, checked_int
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.labels import checked_label
from lash_redis.core.model import Phase, ProcessRecord
from lash_redis.core.places import PLACE_OF_PHASE, PLACES
from lash_redis.registry.answers import PageStart
from lash_redis.registry.calls import reads
from lash_redis.registry.calls.call import Namespace, Steps
from lash_redis.registry.calls.upkeep import lanes_page
from lash_redis.registry.keys import label_index
from lash_redis.registry.rows import Row
from lash_redis.registry.unreadable import readable

LanesOf = tuple[str | None, str | None]
_BEGINNING: Final = PageStart()


class RecordPage(msgspec.Struct, frozen=True):
    """Records, and the cursor of the next page (None at the end)."""

    records: list[ProcessRecord]
    cursor: str | None


class ListedRows(msgspec.Struct, frozen=True):
    """Rows, and the cursor of the next page (None at the end)."""

    rows: list[Row]
    cursor: str | None


class _Section(msgspec.Struct, frozen=True):
    """One index of a partition, or one for each of its lanes, and the phases of the rows that are taken; none: all."""

    partition: int
    index: str
    per_lane: bool
    phases: tuple[Phase, ...]
    lanes: LanesOf = (None, None)


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The number of a section; the lane that is being read, if it has lanes; where to go on in the index."""

    section: Annotated[int, msgspec.Meta(ge=0)]
    lane: str
    score: Annotated[str, msgspec.Meta(pattern=r"\A(-?inf|-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?)\Z")]
    skip: Annotated[int, msgspec.Meta(ge=0, le=2**53)]

    @property
    def start(self) -> PageStart:
        """Where to go on in the index."""
        return PageStart(self.score, self.skip)


def _at(section: int, lane: str = "", start: PageStart = _BEGINNING) -> _Cursor:
    return _Cursor(section, lane, start.score, start.skip)


def list_non_terminal(namespace: Namespace, limit: int, cursor: str | None = None) -> Steps[RecordPage]:
    """List what is not terminal, partition by partition and place by place.

    ``limit`` is the records of a page, 1 to 500. ``cursor`` is that of the page before; None: the first page. A row
    that moves meanwhile may be seen twice or missed.

    Raises:
        SettingsError: a bad limit, or a cursor that no page gave.
    """
    order = [
        _Section(partition, place.index, place.per_lane, place.phases)
        for partition in range(namespace.partitions)
        for place in PLACES
    ]
    page = yield from _page(namespace, order, limit, cursor)
    return RecordPage([row.record() for row in page.rows], page.cursor)


def list_by_phase(
    namespace: Namespace,
    phases: Sequence[Phase],
    limit: int,
    cursor: str | None = None,
    *,
    only: Phase | None = None,
    lanes: LanesOf = (None, None),
) -> Steps[ListedRows]:
    """List rows phase by phase, each phase over all partitions.

    The phases are listed in the order of ``phases``; a cursor is good for this order alone. ``limit`` and ``cursor``
    are those of ``list_non_terminal``. With ``only``, the rows of all other phases are left out. ``lanes``: a
    queue and a task; of queued rows only the lanes of these are read (None: of any).

    Raises:
        SettingsError: a bad limit, or a cursor that no page gave.
    """
    order = []
    for phase in phases:
        place = PLACE_OF_PHASE[phase]
        index = (place.unbegun_index if phase is place.phases[0] else None) or place.index
        order += [
            _Section(partition, index, place.per_lane, (phase,), lanes) for partition in range(namespace.partitions)
        ]
    return (yield from _page(namespace, order, limit, cursor, only))


def list_labelled(
    namespace: Namespace, name: str, value: str, limit: int, cursor: str | None = None
) -> Steps[ListedRows]:
    """List what has a label, ended or not, partition by partition in the order of registration.

    ``limit`` and ``cursor`` are those of ``list_non_terminal``.

    Raises:
        SettingsError: no label can be so, a bad limit, or a cursor that no page gave.
    """
    index = label_index(*checked_label("label", name, value))
    order = [_Section(partition, index, per_lane=False, phases=()) for partition in range(namespace.partitions)]
    return (yield from _page(namespace, order, limit, cursor))


def _page(
    namespace: Namespace,
    order: Sequence[_Section],
    limit: int,
    cursor: str | None,
    only: Phase | None = None,
) -> Steps[ListedRows]:
    checked_int("limit", limit, at_least=1, at_most=MAX_BATCH)
    at = _decoded(cursor) if cursor is not None else _at(0)
    rows: list[Row] = []
    lanes_ahead: dict[int, list[str]] = {}
    while len(rows) < limit:
        found = yield from _next_index(order, at, only, lanes_ahead, limit - len(rows))
        if found is None:
            return ListedRows(rows, None)
        section, lane = order[found.section], found.lane
        page = yield from reads.page(
            namespace, section.partition, f"{section.index}{lane}", found.start, limit=limit - len(rows)
        )
        rows += [row for row in page.rows if _is_listed(row, section)]
        if page.next is not None:
            at = _at(found.section, lane, page.next)
        else:
            at = _at(found.section, lane) if section.per_lane else _at(found.section + 1)
    return ListedRows(rows, _encoded(at))


def _is_listed(row: Row, section: _Section) -> bool:
    """Say whether a row is one of a section; one whose record cannot be read is told of, and left out (rule 8.15)."""
    if section.phases and row.phase not in section.phases:
        return False
    return readable("row", row.process_id, row.record) is not None


def _next_index(
    order: Sequence[_Section],
    at: _Cursor,
    only: Phase | None,
    lanes_ahead: dict[int, list[str]],
    room: int,
) -> Steps[_Cursor | None]:
    """Return where to read on, which is within an index or at the beginning of the next one that is wanted.

    A cursor at the beginning of a lane's index says that the lane was read. None: nothing is left to be read.
    ``lanes_ahead`` keeps the lanes that were read and not yet listed, by partition.
    """
    while at.section < len(order):
        section = order[at.section]
        if only in (None, *section.phases):
            if not section.per_lane or at.start != _BEGINNING:
                return at
            lanes = lanes_ahead.get(section.partition)
            if not lanes:
                lanes = lanes_ahead[section.partition] = yield from _lanes_after(section, at.lane, room)
            if lanes:
                return _at(at.section, lanes.pop(0))
        at = _at(at.section + 1)
    return None


def _lanes_after(section: _Section, lane: str, room: int) -> Steps[list[str]]:
    """Return the next lanes that a section reads, some at least if there are any."""
    while page := (yield from lanes_page(section.partition, lane, room)):
        if found := [each for each in page if _is_wanted(each, section.lanes)]:
            return found
        lane = page[-1]
    return []


def _is_wanted(lane: str, wanted: LanesOf) -> bool:
    parts = lane.split("|")
    return all(name in (None, part) for name, part in zip(wanted, parts, strict=False))


def _encoded(at: _Cursor) -> str:
    return urlsafe_b64encode(msgspec.json.encode(at)).decode().rstrip("=")


def _decoded(cursor: str) -> _Cursor:
    try:
        data = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(data, type=_Cursor)
    except (TypeError, ValueError):
        raise SettingsError(f"expected cursor to be one that a page gave, got {shown(cursor)}") from None

"""Rows for an operator's eyes: uncertain ones first, phase by phase, a page at a time with a cursor a shell can carry.

A row that moves meanwhile may be seen twice or missed (design, section 6).
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Final

import msgspec

from lash_redis.core.errors import SettingsError
from lash_redis.core.model import Phase
from lash_redis.registry.answers import Counts, PageStart
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row

# What needs somebody's decision comes first, what only waits for a worker last.
PHASES: Final = (Phase.UNCERTAIN, Phase.STARTED, Phase.HELD, Phase.OUTSIDE, Phase.QUEUED)
_INDEXES: Final = {
    Phase.UNCERTAIN: "uncertain",
    Phase.STARTED: "leases",
    Phase.HELD: "held",
    Phase.OUTSIDE: "outside",
}


class Stop(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One index to read: a phase's (its place in ``PHASES``), in one partition, of one lane if it is *queued*."""

    phase: int
    partition: int
    lane: str = ""

    @property
    def index(self) -> str:
        """The index's name."""
        return f"q:{self.lane}" if self.lane else _INDEXES[PHASES[self.phase]]


class Page(msgspec.Struct, frozen=True):
    """Rows, and the cursor of the next page (None at the end)."""

    rows: list[Row]
    cursor: str | None


def stops(wanted: Phase | None, counts: Sequence[Counts]) -> list[Stop]:
    """Return the indexes of one phase, or of all, in order; ``counts`` are the partitions', and name the lanes."""
    phases = [number for number, phase in enumerate(PHASES) if wanted in (None, phase)]
    return [stop for phase in phases for partition, each in enumerate(counts) for stop in _in(phase, partition, each)]


def _in(phase: int, partition: int, counts: Counts) -> list[Stop]:
    if PHASES[phase] is not Phase.QUEUED:
        return [Stop(phase, partition)]
    return [Stop(phase, partition, lane) for lane in sorted(counts.lanes)]


async def read_page(registry: ProcessRegistry, way: Sequence[Stop], limit: int, cursor: str | None) -> Page:
    """Read up to ``limit`` rows along the way, from the cursor on.

    Raises:
        SettingsError: the cursor is none that a page gave.
    """
    begin, first = _decoded(cursor) if cursor is not None else (Stop(0, 0), PageStart())
    rows: list[Row] = []
    for stop in way:
        if stop < begin:
            continue
        place: PageStart | None = first if stop == begin else PageStart()
        while place is not None:
            if len(rows) == limit:
                return Page(rows, _encoded(stop, place))
            page = await registry.page(stop.partition, stop.index, place, limit=limit - len(rows))
            rows += [row for row in page.rows if row.phase is PHASES[stop.phase]]
            place = page.next
    return Page(rows, None)


def _encoded(stop: Stop, place: PageStart) -> str:
    data = msgspec.json.encode((stop, place.score, place.skip))
    return urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(cursor: str) -> tuple[Stop, PageStart]:
    try:
        data = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        stop, score, skip = msgspec.json.decode(data, type=tuple[Stop, str, int])
        float(score)
    except ValueError:
        raise SettingsError(f"expected cursor to be one that a page gave, got {cursor!r}") from None
    return stop, PageStart(score, skip)

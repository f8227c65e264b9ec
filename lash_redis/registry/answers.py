"""What the registry answers beside records, and what it is handed: plain structs."""

from __future__ import annotations

from typing import Any, Self

import msgspec

from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Outcome, Phase, ProcessLease
from lash_redis.core.places import PLACES
from lash_redis.registry.rows import Row


class ClaimedRow(msgspec.Struct, frozen=True):
    """One process that a batch claim handed out, leased and started. Its fields stand as the script answers them."""

    process_id: str
    token: str
    fence: int
    lane: str
    disposition: bytes
    input: bytes

    @classmethod
    def read(cls, values: list[Any]) -> Self:
        """Return the row of which the script answered these values."""
        process_id, token, fence, lane, disposition, content = values
        return cls(process_id.decode(), token.decode(), int(fence), lane.decode(), disposition, content)


class ClaimedBatch(msgspec.Struct, frozen=True):
    """What a batch claim handed out; ``stale`` says that the number was overtaken, or its owner recorded dead."""

    rows: list[ClaimedRow]
    claimed_at_ms: int = 0
    expires_at_ms: int = 0
    stale: bool = False


class RenewedRow(msgspec.Struct, frozen=True):
    """One lease that was renewed, and whether a stop was requested of its work."""

    owner: str
    process_id: str
    token: str
    fence: int
    cancel_request: bytes = b""
    abandon_request: bytes = b""


class PageStart(msgspec.Struct, frozen=True):
    """Where a page of an index begins: at a score, past so many members of that score."""

    score: str = "-inf"
    skip: int = 0


class RowPage(msgspec.Struct, frozen=True):
    """Rows found by an index, and where the next page begins (None at the end)."""

    rows: list[Row]
    next: PageStart | None


class Holder(msgspec.Struct, frozen=True):
    """An owner with unsettled rows, and what a reaper recorded of its death."""

    digest: str
    owner: LeaseOwner
    death: Death | None


class Death(msgspec.Struct, frozen=True):
    """A death that somebody saw: the exit status in words, and who reaped it."""

    status: str
    by: str


class Counts(msgspec.Struct, frozen=True):
    """How many rows stand where in one partition, and how many ended.

    Attributes:
        sizes: rows by index, for the indexes that are one for each partition.
        asked: rows with an abandon request.
        terminal: ended rows by task and terminal status.
        lanes: queued rows by lane.
    """

    sizes: dict[str, int]
    asked: int
    terminal: dict[tuple[str, str], int]
    lanes: dict[str, int]

    def phases(self) -> dict[Phase, int]:
        """Return how many rows are in each phase."""
        found = {}
        for place in PLACES:
            rows = sum(self.lanes.values()) if place.per_lane else self.sizes[place.index]
            unbegun = self.sizes[place.unbegun_index] if place.unbegun_index else 0
            found[place.phases[0]] = unbegun
            found[place.phases[-1]] = rows - unbegun
        return found


class Fact(msgspec.Struct, frozen=True):
    """One terminal fact to write under a lease, its outcome encoded (``Calls.encoded``)."""

    lease: ProcessLease
    state: str
    data: bytes


class Settlement(msgspec.Struct, frozen=True):
    """One verdict to carry out; ``action`` is fact, queue or uncertain; ``trusted``: a live lease is no difference."""

    row: Row
    action: str
    outcome: Outcome | None = None
    trusted: bool = False


class PruneReport(msgspec.Struct, frozen=True):
    """How many terminal processes a prune forgot."""

    processes: int

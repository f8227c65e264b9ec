"""Structs that the registry takes and returns and that are not in the public model."""

from __future__ import annotations

from typing import Any, Final, Literal, Self, TypeAlias

import msgspec

from lash_redis.core.checks import MAX_BATCH, checked_int, checked_ttl
from lash_redis.core.lanes import runs_alone
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import AbandonRequest, CancelRequest, Phase, ProcessLease, RecoveryDisposition
from lash_redis.core.outcomes import Failure, Outcome
from lash_redis.core.places import PLACES
from lash_redis.core.retrying import Again
from lash_redis.core.schedules import DueSchedule
from lash_redis.core.timing import random_token
from lash_redis.registry.codec import DISPOSITION_CODES, decode_abandon_request, decode_cancel_request
from lash_redis.registry.rows import Row
from lash_redis.registry.served_lanes import ServedLanes
from lash_redis.registry.unreadable import readable

OWNER_BOUND: Final = DISPOSITION_CODES[RecoveryDisposition.OWNER_BOUND].encode()

SettleAction: TypeAlias = Literal["fact", "queue", "uncertain"]
Takes: TypeAlias = Literal["share", "all", "once"]


class BatchClaim(msgspec.Struct, frozen=True):
    """One numbered claim of many rows. Send the same one until it is answered, then one with the next number.

    Args:
        partition: where to claim.
        owner: who will hold the leases.
        number: of this claim among those of the owner in the partition; grows.
        count: how many rows at most, 0 to 500.
        ttl_ms: of the leases, ms.
        served: the queues, in their order, and the lanes that the owner serves.
        alone: one row that runs alone may be among them.
        bound: owner-bound rows may be among them.
        takes: ``share``: while other workers wait, its part of what there is (rule 9.6). ``all``: what there is.
            ``once``: the same, by an owner that hears of nothing more, and so is not listed as idle.
        queues: the order of this claim; empty: that of ``served``.
        remembers: the owner and its list of lanes are noted as those of a worker that lives, which each worker asks for
            every few seconds; and a list that is not known is named.
        token_stem: the tokens begin with it, so that they are the same when the claim is sent again.

    Raises:
        SettingsError: a bad count or TTL.
    """

    partition: int
    owner: LeaseOwner
    number: int
    count: int
    ttl_ms: int
    served: ServedLanes
    alone: bool = True
    bound: bool = True
    takes: Takes = "share"
    queues: tuple[str, ...] = ()
    remembers: bool = True
    token_stem: str = msgspec.field(default_factory=lambda: f"{random_token()}.")

    def __post_init__(self) -> None:
        checked_int("count", self.count, at_least=0, at_most=MAX_BATCH)
        checked_ttl(self.ttl_ms)


class ClaimedRow(msgspec.Struct, frozen=True):
    """One process that a batch claim handed out, leased and started; ``disposition`` and ``input`` are encoded.

    ``lane`` is that from which it was taken.
    """

    process_id: str
    token: str
    fence: int
    lane: str
    disposition: bytes
    input: bytes
    retries: int = 0  # how often it was tried again already

    @property
    def alone(self) -> bool:
        """A worker runs one such row at a time (rule 4.6)."""
        return runs_alone(self.lane)


class ClaimedBatch(msgspec.Struct, frozen=True):
    """What a batch claim handed out.

    Attributes:
        rows: in the order in which they were handed out.
        claimed_at_ms: the server's time.
        expires_at_ms: when the leases end.
        may_have_more: not all that there was for this owner was handed out, or that is not known.
        is_shared: what was not handed out was left for others that wait.
        due_at_ms: when to claim again, since something becomes due, by the server's clock; None: nothing does.
        schedules: those that are due: this claim's owner is to tick them.
        passed_alone: a row that runs alone was passed over; it may be claimed once no owner-bound work runs here.
        stale: a higher number was sent, or the owner is recorded dead.
    """

    rows: list[ClaimedRow]
    claimed_at_ms: int = 0
    expires_at_ms: int = 0
    may_have_more: bool = False
    passed_alone: bool = False
    stale: bool = False
    is_shared: bool = False
    due_at_ms: int | None = None
    schedules: list[DueSchedule] = []


class Brought(msgspec.Struct, frozen=True):
    """What became due in a partition: in how many ms the next does (None: nothing), and schedules to be ticked."""

    next_in_ms: int | None
    schedules: list[DueSchedule]


class RenewedRow(msgspec.Struct, frozen=True):
    """One lease that was renewed, and the requests that its work stop, encoded (empty: none)."""

    owner: str
    process_id: str
    token: str
    fence: int
    cancel_request: bytes = b""
    abandon_request: bytes = b""

    @classmethod
    def read(cls, values: list[Any]) -> Self:
        """Return the row of which the script answered these values."""
        owner, process_id, token, fence, cancel_request, abandon_request = values
        return cls(owner.decode(), process_id.decode(), token.decode(), int(fence), cancel_request, abandon_request)

    @property
    def request(self) -> CancelRequest | AbandonRequest | None:
        """The request that the work stop, if there is one: of both the cancel."""
        return readable("request", self.process_id, self._request)

    def _request(self) -> CancelRequest | AbandonRequest | None:
        return decode_cancel_request(self.cancel_request) or decode_abandon_request(self.abandon_request)


class PageStart(msgspec.Struct, frozen=True):
    """Where a page of an index begins: at a score, after the first ``skip`` members with that score."""

    score: str = "-inf"
    skip: int = 0


class RowPage(msgspec.Struct, frozen=True):
    """Rows found by an index, where the next page begins (None at the end), and the ids of rows that cannot be read."""

    rows: list[Row]
    next: PageStart | None
    unreadable: list[str] = []


class Holder(msgspec.Struct, frozen=True):
    """An owner with unsettled rows, and what a reaper recorded of its death."""

    digest: str
    owner: LeaseOwner
    death: Death | None


class Death(msgspec.Struct, frozen=True):
    """A death that was seen: the exit status in words, and who reaped the OS process."""

    status: str
    by: str


class Counts(msgspec.Struct, frozen=True):
    """How many rows stand where in one partition, and how many ended.

    Attributes:
        sizes: rows by index, for the indexes that are one for each partition.
        asked: rows with an abandon request.
        terminal: ended rows by task and terminal status.
        lanes: queued rows by lane.
        unresolved: abandoned rows without a resolution.
        schedules: that are stored.
    """

    sizes: dict[str, int]
    asked: int
    terminal: dict[tuple[str, str], int]
    lanes: dict[str, int]
    unresolved: int = 0
    schedules: int = 0

    def phases(self) -> dict[Phase, int]:
        """Return how many rows are in each phase."""
        found = {}
        for place in PLACES:
            rows = sum(self.lanes.values()) if place.per_lane else self.sizes[place.index]
            unbegun = self.sizes[place.unbegun_index] if place.unbegun_index else 0
            found[place.phases[0]] = unbegun
            found[place.phases[-1]] = rows - unbegun
        return found


class TerminalFact(msgspec.Struct, frozen=True):
    """One terminal fact to write under a lease, its outcome encoded (``ProcessRegistry.encoded``)."""

    lease: ProcessLease
    state: str
    data: bytes


class RetriedRun(msgspec.Struct, frozen=True):
    """One run that has failed and is to be made again.

    Attributes:
        lease: under which it ran.
        again: when, and how often in all.
        failure: what is kept of it.
    """

    lease: ProcessLease
    again: Again
    failure: Failure


class Settlement(msgspec.Struct, frozen=True):
    """One verdict to carry out.

    Attributes:
        row: as it was when the verdict was reached.
        action: ``fact`` (``outcome``, or a cancel if there is none), ``queue`` or ``uncertain``.
        even_if_live: settle even under a live lease; its holder is dead or done.
    """

    row: Row
    action: SettleAction
    outcome: Outcome | None = None
    even_if_live: bool = False


class BulkReport(msgspec.Struct, frozen=True):
    """What was done to many processes.

    Attributes:
        first: the ids of the first few that were found.
        found: how many are meant and may be acted on.
        done: how many were acted on, by what became of them: ``asked`` and ``cancelled``, or ``submitted``. Empty if
            they were only counted.
        left_out: how many are meant and not acted on, by the reason, such as ``submitted before``. What turned out only
            as it was done, such as a full queue, is counted in ``found`` too.
        read: how many rows were read to find them: where a filter has no index, all of a wider one.
        has_more: there may be more than were asked for. The same call again acts on the next.
    """

    first: list[str]
    found: int
    done: dict[str, int]
    left_out: dict[str, int]
    read: int
    has_more: bool


class PruneReport(msgspec.Struct, frozen=True):
    """What a prune did.

    Attributes:
        processes: how many terminal ones it forgot.
        tombstones: of how many earlier ones it forgot what retention had kept.
        accepted: how many abandoned ones it resolved as ``accepted`` first.
        unresolved: how many abandoned ones stay, since nobody has resolved them.
    """

    processes: int
    tombstones: int = 0
    accepted: int = 0
    unresolved: int = 0

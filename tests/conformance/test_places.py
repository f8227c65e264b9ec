"""The moves of ``core/places.py``: every transition is tried on a row in every situation, and does what the table says.

A situation is a phase with what matters beside it: who holds or held the row, how it was started, which request stands
on it, and whether its lease is live.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from lash_redis.core.errors import LashError
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import (
    CancelRequest,
    ExternalOwner,
    Phase,
    ProcessLease,
    ProcessStarted,
    ProcessStatus,
    RecoveryDisposition,
)
from lash_redis.core.options import IfFailed
from lash_redis.core.outcomes import (
    AbandonWriter,
    Cancelled,
    Failure,
    Outcome,
    Resolution,
    ResolutionKind,
    Success,
)
from lash_redis.core.places import LEASED, MOVES
from lash_redis.core.retrying import Again
from lash_redis.recovery.proofs_of_death import Proof
from lash_redis.recovery.settling import Judge, carry_out
from lash_redis.recovery.verdict_facts import NothingLocal
from lash_redis.registry.answers import Death, RetriedRun, TerminalFact
from lash_redis.registry.calls import bulk
from lash_redis.registry.calls.forgetting import accept_page
from lash_redis.registry.calls.requests import encoded_request
from lash_redis.registry.keys import owner_digest, partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row
from lash_redis.registry.scripts import names
from tests.conformance.actors import (
    ADA,
    BOB,
    EXTERNALLY_OWNED,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    abandoned,
    batch_claim,
    cancel,
    make_due,
    make_expired,
    outside,
    work,
)
from tests.look import row_of, sent

DEAD = LeaseOwner.opaque("dead", "dead-1")  # its death is recorded
OUTCOMES: tuple[Outcome, ...] = (Success(), Failure("E"), Cancelled(), abandoned(AbandonWriter.SWEEP, ADA))

# Scripts that move no row: they read, renew for owners, or keep house.
MOVES_NO_ROW = {
    "change_schedule", "close_claims", "counts", "declare_schedules", "ended", "first_of_sequence", "forget_owners",
    "forget_tombstones", "get", "glance", "header", "holder", "holders", "keys_of_limit", "lanes", "living",
    "name_lanes", "name_policies", "name_signatures", "near", "open", "other_lanes", "page", "pause", "pauses",
    "prunable", "prune", "read_bounds", "read_policies", "record_death", "renew_owned", "resume", "retain",
    "schedules", "served", "store_bounds", "tick", "tombstones", "awaited", "waiting", "waits", "wake", "watch",
}  # fmt: skip

WAITS: tuple[tuple[int, IfFailed], ...] = ((0, "cancel"), (LONG_MS, "cancel"), (0, "run"), (LONG_MS, "run"))
Moved = tuple[RecoveryDisposition, Phase | None, Phase | ProcessStatus, str]
Step = Callable[[ProcessRegistry, Row], Awaitable[Any]]


def lease_of(row: Row) -> ProcessLease:
    """Return the last lease, or one that never was if the row names none."""
    return row.lease() or ProcessLease(row.process_id, ADA, "none", 1, 1, 1)


def claim(owner: LeaseOwner) -> Step:
    """Claim, which starts nothing."""
    return lambda registry, row: registry.claim(row.process_id, owner, LONG_MS)


def reclaim(owner: LeaseOwner) -> Step:
    """Take the lease from its holder, if that one is dead."""
    return lambda registry, row: registry.reclaim(row.process_id, owner, lease_of(row), LONG_MS)


def take(owner: LeaseOwner) -> Step:
    """Claim and start by a batch claim of the row's lane."""
    return lambda registry, row: registry.claim_next(batch_claim(registry, owner, served=(("default", (row.lane,)),)))


async def take_nothing(registry: ProcessRegistry, row: Row) -> None:
    """Claim from another lane than the row's."""
    await registry.claim_next(batch_claim(registry, ADA, served=(("default", (f"{row.lane}0",)),)))


async def bring_due(registry: ProcessRegistry, row: Row) -> None:
    """Bring what has become due."""
    await registry.bring_due(registry.partition_of(row.process_id))


def record(owner: LeaseOwner) -> Step:
    """Record a start without a lease."""
    return lambda registry, row: registry.record_first_started(row.process_id, ProcessStarted(owner, 1))


def request_cancel(at_ms: int) -> Step:
    """Ask that the work stop."""
    return lambda registry, row: registry.request_cancel(row.process_id, cancel(at_ms=at_ms))


async def cancel_many(registry: ProcessRegistry, row: Row) -> None:
    """Ask it of many, of which it is one."""
    request = encoded_request(cancel(at_ms=2), CancelRequest)
    call = bulk.cancel_call(request, registry.partition_of(row.process_id), [row.process_id])
    await registry.sender.send(call)


def request_abandon(at_ms: int) -> Step:
    """Accept that the result stays unknown."""
    return lambda registry, row: registry.request_abandon(row.process_id, abandon(at_ms=at_ms))


def complete(outcome: Outcome) -> Step:
    """Write a terminal fact under the lease."""
    return lambda registry, row: registry.complete(lease_of(row), outcome)


def turn(lease: Callable[[Row], ProcessLease], outcome: Outcome = OUTCOMES[0], lane: str = "", of: str = "") -> Step:
    """Write a fact and claim in one call: of the row, and from its lane, or of those with this behind their names."""

    async def turned(registry: ProcessRegistry, row: Row) -> None:
        held = lease(await row_of(registry, f"{row.process_id}{of}"))
        claims = batch_claim(registry, held.owner, served=(("default", (f"{row.lane}{lane}",)),))
        await registry.turn(claims, [TerminalFact(held, *registry.encoded(outcome))])

    return turned


def none_of(owner: LeaseOwner) -> Callable[[Row], ProcessLease]:
    """Return what makes a lease of this owner that never was."""
    return lambda row: ProcessLease(row.process_id, owner, "none", 1, 1, 1)


def complete_outside(outcome: Outcome) -> Step:
    """Write a terminal fact as the outside actor."""
    return lambda registry, row: registry.complete_unleased(row.process_id, outcome, ExternalOwner("desk"))


async def start(registry: ProcessRegistry, row: Row) -> None:
    """Start under the lease that the row names."""
    await registry.start(lease_of(row))


async def release(registry: ProcessRegistry, row: Row) -> None:
    """Give the lease back."""
    await registry.release(lease_of(row))


async def unstart(registry: ProcessRegistry, row: Row) -> None:
    """Say that what was started never began."""
    await registry.unstart_many([lease_of(row)])


async def renew(registry: ProcessRegistry, row: Row) -> None:
    """Move the lease's end."""
    await registry.renew(lease_of(row), LONG_MS)


def try_again(*, attempts: int | None = None, counts: bool = True) -> Step:
    """End a run that is to be made again."""
    again = Again(LONG_MS, attempts, counts)
    return lambda registry, row: registry.retry_many([RetriedRun(lease_of(row), again, Failure("E"))])


async def close_group(registry: ProcessRegistry, row: Row) -> None:
    """Let a group's continuation go."""
    await registry.close_group(row.process_id)


class _SawTheEnd(NothingLocal):
    def saw_end(self, row: Row) -> bool:
        return True


def settle(*, proven: bool = False, ended: bool = False) -> Step:
    """Do what the verdict says: as seen by ADA, who can prove DEAD's death or not, and whose own work ended or not."""

    def proof_of(digest: str) -> Proof | None:
        return Proof("reaped") if proven and digest == owner_digest(DEAD) else None

    async def settled(registry: ProcessRegistry, row: Row) -> None:
        judge = Judge(owner_digest(ADA), proof_of, _SawTheEnd() if ended else NothingLocal())
        assert all(stands for _, stands in await carry_out(registry, judge.judged([row])))

    return settled


# Every transition that takes one process: its script, and a call with each argument that matters.
TRANSITIONS: tuple[tuple[str, Step], ...] = (
    *(("claim", claim(owner)) for owner in (ADA, BOB)),
    *(("reclaim", reclaim(owner)) for owner in (ADA, BOB)),
    *(("claim_next", take(owner)) for owner in (ADA, BOB)),
    ("claim_next", take_nothing),
    ("bring_due", bring_due),
    *(("record_first_started", record(owner)) for owner in (ADA, BOB)),
    ("start", start),
    ("renew", renew),
    ("release", release),
    ("unstart", unstart),
    ("retry", try_again()),
    ("retry", try_again(attempts=1)),
    ("retry", try_again(counts=False)),
    *(("terminalize", complete(outcome)) for outcome in OUTCOMES),
    *(("turn", turn(lease_of, outcome, lane="0")) for outcome in OUTCOMES),
    *(("turn", turn(none_of(ADA), lane=lane)) for lane in ("", "0")),
    *(("complete_unleased", complete_outside(outcome)) for outcome in OUTCOMES),
    ("request_cancel", request_cancel(2)),
    ("cancel_many", cancel_many),
    ("request_abandon", request_abandon(2)),
    ("settle", settle()),
    ("settle", settle(proven=True)),
    ("settle", settle(ended=True)),
)


def other(row: Row) -> str:
    """Return the id of the process for which a blocked row waits."""
    return f"{row.process_id}.other"


def ended_by(*steps: Step) -> Step:
    """Take these steps with the process for which a blocked row waits."""

    async def end(registry: ProcessRegistry, row: Row) -> None:
        for step in steps:
            await step(registry, await row_of(registry, other(row)))

    return end


def told_late(step: Step, outcome: Outcome) -> Step:
    """End the process for which a blocked row waits as if many others came before it, and tell it by the alarm."""

    async def end(registry: ProcessRegistry, row: Row) -> None:
        k = partition_prefix(registry.namespace, 0)
        await sent(registry, "ZREM", f"{k}:then:{other(row)}", row.process_id)
        await ended_by(claim(ADA), complete(outcome))(registry, row)
        await sent(registry, "ZADD", f"{k}:then:{other(row)}", int(row.fields[b"aw"] == b"c"), row.process_id)
        await sent(registry, "ZADD", f"{k}:alarms", 1, f"tell {other(row)}")
        await sent(registry, "HSET", f"{k}:hdr", "due", "1")
        assert (await row_of(registry, row.process_id)).phase is Phase.BLOCKED
        await step(registry, row)

    return end


def in_turn(outcome: Outcome) -> Step:
    """End the process for which a blocked row waits, and claim from the row's lane in the same call."""

    async def end(registry: ProcessRegistry, row: Row) -> None:
        await ended_by(claim(ADA))(registry, row)
        await turn(lease_of, outcome, of=".other")(registry, row)

    return end


def resolve(kind: ResolutionKind) -> Step:
    """Say what was found out."""
    return lambda registry, row: registry.resolve(row.process_id, Resolution(kind, by="ops", at_ms=1))


async def accept(registry: ProcessRegistry, row: Row) -> None:
    """Resolve as accepted all that nobody has resolved, as a prune does first."""
    resolution = Resolution(ResolutionKind.ACCEPTED, by="ops", at_ms=1)
    await registry.sender.send(accept_page(registry.partition_of(row.process_id), 2**52, "", resolution))


async def fail_member(registry: ProcessRegistry, row: Row) -> None:
    """Have a member of a group fail, while the group is held open."""
    await registry.register(work(other(row), member_of=row.process_id))
    await ended_by(claim(ADA), complete(Failure("E")))(registry, row)


# What ends the process for which a blocked row waits, by its disposition.
ENDINGS: dict[RecoveryDisposition | None, tuple[tuple[str, Step], ...]] = {
    RERUNNABLE: (
        *(("terminalize", ended_by(claim(ADA), complete(outcome))) for outcome in (Success(), Failure("E"))),
        *(("turn", ended_by(claim(ADA), turn(lease_of, outcome, lane="0"))) for outcome in (Success(), Failure("E"))),
        *(("turn", in_turn(outcome)) for outcome in (Success(), Failure("E"))),
        ("settle", ended_by(claim(DEAD), request_cancel(1), settle(proven=True))),
        ("request_cancel", ended_by(request_cancel(1))),
        ("cancel_many", ended_by(cancel_many)),
        ("release", ended_by(take(ADA), request_cancel(1), release)),
        ("unstart", ended_by(take(ADA), request_cancel(1), unstart)),
        ("retry", ended_by(take(ADA), try_again(attempts=1))),
        *(("bring_due", told_late(bring_due, outcome)) for outcome in (Success(), Failure("E"))),
        *(("claim_next", told_late(take_nothing, outcome)) for outcome in (Success(), Failure("E"))),
        *(("turn", told_late(turn(none_of(ADA), lane="0"), outcome)) for outcome in (Success(), Failure("E"))),
    ),
    OWNER_BOUND: (
        *(("resolve", ended_by(claim(DEAD), start, settle(proven=True), resolve(kind))) for kind in ResolutionKind),
        ("accept", ended_by(claim(DEAD), start, settle(proven=True), accept)),
    ),
    EXTERNALLY_OWNED: tuple(
        ("complete_unleased", ended_by(complete_outside(outcome))) for outcome in (Success(), Failure("E"))
    ),
    None: (("close_group", close_group),),
}


class Situation(msgspec.Struct, frozen=True):
    """How a row comes to a phase."""

    disposition: RecoveryDisposition
    phase: Phase
    steps: tuple[Step, ...] = ()
    loss_limit: int = 5
    delay_ms: int = 0
    is_due: bool = False
    is_expired: bool = False
    if_failed: IfFailed | None = None
    after: RecoveryDisposition | None = None
    opens_group: bool = False

    @property
    def is_whole(self) -> bool:
        """What does not end the process for which a row waits is tried in one of its situations."""
        waits_for_work = self.after is RERUNNABLE and self.if_failed == "cancel"
        return self.phase is not Phase.BLOCKED or (not self.delay_ms and (waits_for_work or self.opens_group))


BLOCKED = tuple(
    Situation(disposition, Phase.BLOCKED, delay_ms=delay_ms, if_failed=if_failed, after=after)
    for disposition in (RERUNNABLE, OWNER_BOUND)
    for delay_ms, if_failed in WAITS
    for after in (RERUNNABLE, OWNER_BOUND, EXTERNALLY_OWNED)
) + tuple(
    Situation(disposition, Phase.BLOCKED, steps, delay_ms=delay_ms, if_failed="cancel", opens_group=True)
    for disposition in (RERUNNABLE, OWNER_BOUND)
    for delay_ms, steps in ((0, ()), (LONG_MS, ()), (0, (fail_member,)))
)
SITUATIONS = (
    Situation(RERUNNABLE, Phase.QUEUED),
    Situation(RERUNNABLE, Phase.QUEUED, (take(ADA), release)),
    Situation(RERUNNABLE, Phase.QUEUED, (record(ADA),)),
    Situation(RERUNNABLE, Phase.DELAYED, delay_ms=LONG_MS),
    Situation(RERUNNABLE, Phase.DELAYED, delay_ms=LONG_MS, is_due=True),
    Situation(RERUNNABLE, Phase.QUEUED, is_expired=True),
    Situation(RERUNNABLE, Phase.DELAYED, delay_ms=LONG_MS, is_expired=True),
    Situation(RERUNNABLE, Phase.DELAYED, (take(ADA), try_again())),
    Situation(RERUNNABLE, Phase.HELD, (claim(ADA),), is_expired=True),
    *BLOCKED,
    Situation(RERUNNABLE, Phase.HELD, (claim(ADA),)),
    Situation(RERUNNABLE, Phase.HELD, (claim(DEAD),)),
    Situation(RERUNNABLE, Phase.HELD, (take(ADA), release, claim(BOB))),
    Situation(RERUNNABLE, Phase.STARTED, (take(ADA),)),
    Situation(RERUNNABLE, Phase.STARTED, (take(ADA),), loss_limit=1),
    Situation(RERUNNABLE, Phase.STARTED, (take(ADA), release, take(BOB))),
    Situation(RERUNNABLE, Phase.STARTED, (claim(DEAD), start)),
    Situation(OWNER_BOUND, Phase.QUEUED),
    Situation(OWNER_BOUND, Phase.QUEUED, is_expired=True),
    Situation(OWNER_BOUND, Phase.DELAYED, delay_ms=LONG_MS, is_expired=True),
    Situation(OWNER_BOUND, Phase.HELD, (claim(ADA),), is_expired=True),
    Situation(OWNER_BOUND, Phase.DELAYED, delay_ms=LONG_MS),
    Situation(OWNER_BOUND, Phase.DELAYED, delay_ms=LONG_MS, is_due=True),
    Situation(OWNER_BOUND, Phase.HELD, (claim(ADA),)),
    Situation(OWNER_BOUND, Phase.HELD, (claim(DEAD),)),
    Situation(OWNER_BOUND, Phase.HELD, (record(ADA), claim(ADA))),
    Situation(OWNER_BOUND, Phase.HELD, (record(ADA), claim(BOB))),
    Situation(OWNER_BOUND, Phase.HELD, (record(DEAD), claim(BOB))),
    Situation(OWNER_BOUND, Phase.STARTED, (take(ADA),)),
    Situation(OWNER_BOUND, Phase.STARTED, (claim(ADA), start)),
    Situation(OWNER_BOUND, Phase.STARTED, (claim(DEAD), start)),
    Situation(OWNER_BOUND, Phase.STARTED, (take(ADA), release, claim(ADA))),
    Situation(OWNER_BOUND, Phase.UNCERTAIN, (take(ADA), release)),
    Situation(OWNER_BOUND, Phase.UNCERTAIN, (record(ADA),)),
    Situation(OWNER_BOUND, Phase.UNCERTAIN, (claim(DEAD), start, release)),
    Situation(EXTERNALLY_OWNED, Phase.OUTSIDE),
)
REQUESTS: tuple[Step | None, ...] = (None, request_cancel(1), request_abandon(1))


class Stage:
    """Brings rows into situations, tries transitions on them, and keeps the moves that it saw."""

    def __init__(self, registry: ProcessRegistry, client: Any) -> None:
        self.moved: set[Moved] = set()
        self._registry = registry
        self._client = client
        self._numbers = itertools.count()

    async def try_all(self, situation: Situation, request: Step | None, *, lapsed: bool) -> None:
        """Try every transition on a row in one situation; on a new row once one has changed it."""
        row = None
        for script, step in (*ENDINGS[situation.after], *(TRANSITIONS if situation.is_whole else ())):
            row = row or await self._situated(situation, request, lapsed=lapsed)
            if row is None:
                return
            try:
                await step(self._registry, row)
            except LashError:
                continue  # had it changed the row all the same, the next transition would seem to make an unlisted move
            after = await row_of(self._registry, row.process_id)
            self._note(after, row.phase, script)
            if after.fields != row.fields:
                row = None

    async def _situated(self, situation: Situation, request: Step | None, *, lapsed: bool) -> Row | None:
        """Return a new row in a situation, or None if there is none: the request is refused there, or ends the row."""
        process_id = f"p{next(self._numbers)}"
        registration = work(
            process_id,
            situation.disposition,
            task=process_id,
            loss_limit=situation.loss_limit,
            delay_ms=situation.delay_ms,
            expires_in_ms=LONG_MS if situation.is_expired else None,
            after=(f"{process_id}.other",) if situation.after else (),
            if_failed=situation.if_failed,
            opens_group=situation.opens_group,
        )
        if situation.after is EXTERNALLY_OWNED:
            await self._registry.register(outside(f"{process_id}.other"))
        elif situation.after:
            await self._registry.register(work(f"{process_id}.other", situation.after, task=f"{process_id}.other"))
        if situation.disposition is EXTERNALLY_OWNED:
            registration = outside(process_id)
        await self._registry.register_many([registration])
        row = await row_of(self._registry, process_id)
        self._note(row, None, "register")
        if situation.is_due:
            await make_due(self._registry, process_id)  # nobody has brought it yet
        for step in situation.steps:
            row = await row_of(self._registry, process_id)  # which names the lease now
            await step(self._registry, row)
        if request is not None:
            with contextlib.suppress(LashError):
                await request(self._registry, row)
        if situation.is_expired:
            await make_expired(self._registry, process_id)  # nobody has seen it yet
        if lapsed:
            # The lease's key goes, as it does once its time is up.
            await self._client.delete(f"{partition_prefix(self._registry.namespace, 0)}:l:{process_id}")
        row = await row_of(self._registry, process_id)
        stands = row.cancel_request or row.abandon_request
        if request is not None and (row.is_terminal or not stands):
            return None
        assert row.phase is situation.phase
        return row

    def _note(self, row: Row, before: Phase | None, script: str) -> None:
        now = row.phase or row.status
        if now is not before:
            self.moved.add((row.disposition, before, now, script))


@pytest.mark.parametrize("partitions", [1])
@pytest.mark.parametrize("backend", ["valkey", "redis7"], indirect=True)
async def test_every_transition_moves_rows_as_the_table_says(registry: ProcessRegistry, client: Any) -> None:
    """No transition makes a move that the table lacks, and the table lists none that no transition makes.

    It runs thousands of scripts, each of which fakeredis compiles again: it would take ten times as long there, and a
    move does not depend on the server.
    """
    await registry.record_death(DEAD, Death("killed", "somebody"))
    stage = Stage(registry, client)
    for situation, request in itertools.product(SITUATIONS, REQUESTS):
        for lapsed in (False, True) if situation.phase in LEASED.phases else (False,):
            await stage.try_all(situation, request, lapsed=lapsed)

    listed = {
        (disposition, move.source, move.target, script)
        for move in MOVES
        for disposition in move.dispositions
        for script in move.by
    }
    assert stage.moved - listed == set()
    assert listed - stage.moved == set()


def test_every_script_is_tried_or_moves_no_row() -> None:
    """A new transition joins the ones that are tried."""
    tried = {script for tries in (TRANSITIONS, *ENDINGS.values()) for script, _ in tries}

    assert set(names()) == {"register"} | tried | MOVES_NO_ROW

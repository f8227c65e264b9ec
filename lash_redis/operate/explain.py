"""Explain one process: what can be known here of its owners, its verdict, and what a sweep from here would do.

The proofs are those of a sweep on this machine: a recorded death, or what this machine can prove (rules 2.1 and 2.5).
That an owner is alive changes no verdict. It is shown to the operator who is about to abandon the work.
"""

from __future__ import annotations

import enum
from typing import Final, TypedDict

import msgspec

from lash_redis.core.errors import OutcomePruned, UnknownProcess
from lash_redis.core.lanes import lane_parts
from lash_redis.core.liveness import LeaseOwner, LocalProcess
from lash_redis.core.policies import Policy
from lash_redis.core.verdict import Action, Facts, Verdict
from lash_redis.operate.limits import PolicyView, passed_by, policy_view
from lash_redis.operate.row_views import Plain, ProcessView, process_view
from lash_redis.operate.schedules import ScheduleOf, schedule_of
from lash_redis.operate.sequence_state import Ahead, halts_others, what_goes_before
from lash_redis.operate.why_it_waits import NOT_WAITING, Waiting, why_it_waits
from lash_redis.recovery.living_starters import leaves_work_open, this_os_process, why_not_yet
from lash_redis.recovery.proofs_of_death import Proof, reaped
from lash_redis.recovery.verdict_facts import NothingLocal, explained
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row

_SWEEP: Final = {
    Action.LEAVE: "leaves it as it is",
    Action.UNCERTAIN: "leaves it uncertain",
    Action.REQUEUE: "puts it back into its lane",
    Action.CANCEL: "writes cancelled",
    Action.ABANDON: "writes abandoned",
}


class OwnerLife(enum.Enum):
    """Whether an owner lives, as far as that can be proven."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


class OwnerState(msgspec.Struct, frozen=True):
    """Whether one owner lives, a sentence that says why, and the proof if it is dead."""

    life: OwnerLife
    text: str
    proof: Proof | None = None


class Explanation(msgspec.Struct, frozen=True):
    """What a sweep from here would see of a row.

    Attributes:
        row: the row as it was read.
        starter: the state of the owner that started it; None if the row names none, or it ended and that says all.
        holder: the state of the owner that holds it or held it last; None if the row names none or is terminal.
        facts: what the verdict looked at.
        verdict: the line of the verdict's table that the row meets.
        waiting: why the row waits.
        ahead: the process for which it waits in its sequence.
        halts_others: the work behind it in its sequence waits until it is settled, and resolved if it is abandoned.
        policies: the limits and rates that it passes.
        schedule: the schedule of which it is.
        may_still_be_done: it was abandoned, and its starter is provably alive here.
    """

    row: Row
    starter: OwnerState | None
    holder: OwnerState | None
    facts: Facts
    verdict: Verdict
    waiting: Waiting = NOT_WAITING
    ahead: Ahead | None = None
    halts_others: bool = False
    policies: tuple[Policy, ...] = ()
    schedule: ScheduleOf | None = None
    may_still_be_done: bool = False

    @property
    def sweep_does(self) -> str:
        """What a sweep does with the process, in words that follow "a sweep"."""
        return _SWEEP[self.verdict.action]


async def explain(registry: ProcessRegistry, process_id: str) -> Explanation:
    """Read a process and explain it.

    Raises:
        UnknownProcess: no process has this id.
        OutcomePruned: it ended and was forgotten; the error says how it ended.
    """
    row = await registry.row(process_id)
    if row is None:
        (tombstone,) = await registry.tombstones([process_id])
        raise OutcomePruned(process_id, tombstone.status.value) if tombstone else UnknownProcess(process_id)
    me = this_os_process()
    partition = registry.partition_of(process_id)
    owners = {} if row.is_terminal else {row.starter_digest: row.starter, row.holder_digest: row.holder}
    if leaves_work_open(row):
        owners = {row.starter_digest: row.starter}
    states = {
        digest: await _recorded_death(registry, partition, digest) or owner_state(owner, me)
        for digest, owner in owners.items()
        if owner
    }

    def proof_of(digest: str) -> Proof | None:
        return states[digest].proof if digest in states else None

    facts, verdict = explained(row, owner_digest(me), proof_of, NothingLocal())
    waiting = await why_it_waits(registry, row)
    starter, holder = states.get(row.starter_digest), states.get(row.holder_digest)
    ahead = await what_goes_before(registry, row)
    schedule = await schedule_of(registry, process_id, lane_parts(row.lane)[1])
    may_be_done = bool(why_not_yet(row, me))
    policies = () if row.is_terminal else await passed_by(registry, row)
    halted = halts_others(row)
    return Explanation(row, starter, holder, facts, verdict, waiting, ahead, halted, policies, schedule, may_be_done)


async def _recorded_death(registry: ProcessRegistry, partition: int, digest: str) -> OwnerState | None:
    holder = await registry.holder(partition, digest)
    if holder is None or holder.death is None:
        return None
    proof = reaped(holder.death)
    return OwnerState(OwnerLife.DEAD, f"its death was recorded: {proof.detail}", proof)


def owner_state(owner: LeaseOwner, me: LeaseOwner) -> OwnerState:
    """Say whether an owner lives as far as this machine can prove it; ``me`` is this OS process."""
    match owner.proof_of_death(me):
        case "gone":
            return OwnerState(OwnerLife.DEAD, "its pid is gone from this machine", Proof("gone"))
        case "replaced":
            return OwnerState(OwnerLife.DEAD, "its pid has another OS process now", Proof("replaced"))
    mine, theirs = me.liveness, owner.liveness
    if not isinstance(theirs, LocalProcess):
        return OwnerState(OwnerLife.UNKNOWN, "it says nothing of itself by which its death could be proven")
    if not isinstance(mine, LocalProcess):
        return OwnerState(OwnerLife.UNKNOWN, "this machine proves no deaths")
    if (theirs.host_id, theirs.boot_id) != (mine.host_id, mine.boot_id):
        return OwnerState(OwnerLife.UNKNOWN, "it ran on another machine, in another container, or before a reboot")
    if owner.is_definitely_alive_for(me):
        return OwnerState(OwnerLife.ALIVE, f"pid {theirs.pid} of this machine is that very OS process")
    return OwnerState(OwnerLife.UNKNOWN, "this machine does not say enough about its pid")


class OwnerStateView(TypedDict):
    """Whether an owner lives, as seen from here."""

    life: str  # alive, dead or unknown
    text: str
    proof: Plain | None  # kind, detail


class VerdictView(TypedDict):
    """The line of the verdict's table that a process meets."""

    line: int
    action: str
    text: str
    writer: str | None
    facts: Plain


class ExplanationView(TypedDict):
    """A process, its owners and its verdict."""

    process: ProcessView
    starter: OwnerStateView | None
    holder: OwnerStateView | None
    verdict: VerdictView
    ahead: Plain | None  # process_id, state, is_halted, waits: the first of its sequence, for which it waits
    halts_others: bool  # the work behind it in its sequence waits until it is settled
    policies: list[PolicyView]  # the limits and rates that it passes
    schedule: Plain | None  # name, instant_ms (null: run by hand), instant
    may_still_be_done: bool  # it was abandoned, and its starter is alive on this machine


def explanation_view(explanation: Explanation) -> ExplanationView:
    """Return a process, its owners and its verdict."""
    verdict = explanation.verdict
    return {
        "process": process_view(explanation.row, explanation.waiting.text),
        "starter": _owner_state_view(explanation.starter),
        "holder": _owner_state_view(explanation.holder),
        "verdict": {
            "line": verdict.line,
            "action": verdict.action.value,
            "text": verdict.text,
            "writer": verdict.writer.value if verdict.writer else None,
            "facts": msgspec.to_builtins(explanation.facts),
        },
        "ahead": msgspec.to_builtins(explanation.ahead),
        "halts_others": explanation.halts_others,
        "policies": [policy_view(each) for each in explanation.policies],
        "schedule": msgspec.to_builtins(explanation.schedule),
        "may_still_be_done": explanation.may_still_be_done,
    }


def _owner_state_view(state: OwnerState | None) -> OwnerStateView | None:
    if state is None:
        return None
    return {"life": state.life.value, "text": state.text, "proof": msgspec.to_builtins(state.proof)}

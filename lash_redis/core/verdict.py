"""The verdict: what recovery may do with one process, as a pure function of facts (rule 1.4).

Sweep, drain and ``show`` call the same function. It does no I/O: that a starter is proven dead, or that a lease has
lapsed, is a fact that the caller passes. ``TABLE`` is the table of ``docs/states.md``; the first line that holds wins.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

import msgspec

from lash_redis.core.model import RecoveryDisposition
from lash_redis.core.outcomes import AbandonWriter


class Action(enum.Enum):
    """What is done to the row."""

    LEAVE = "leave"
    ABANDON = "abandon"
    CANCEL = "cancel"
    UNCERTAIN = "uncertain"  # the row is left without a result; its place is *uncertain* from now on
    REQUEUE = "requeue"


class EvidenceOwner(enum.Enum):
    """Which owner the evidence of an ``abandoned`` fact names."""

    NOBODY = "nobody"
    STARTER = "starter"
    LAST_HOLDER = "last_holder"


class EvidenceProof(enum.Enum):
    """Which proof the evidence of an ``abandoned`` fact names."""

    REQUEST = "request"  # the abandon request on the row
    DEATH = "death"  # how the starter's death was proven
    ENDED_HERE = "ended_here"
    LOSSES = "losses"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the verdict looks at. No fact has a default, so that a forgotten one cannot pass for false.

    Attributes:
        terminal: the terminal fact is written.
        disposition: what recovery may do, as registered.
        abandon_requested: an abandon request stands on the row.
        cancel_requested: a cancel request stands on the row.
        takeable: the row has no lease; its lease has lapsed; its holder is provably dead; or its holder is this very
            incarnation, which has seen the work end.
        in_this_worker: it runs here, is about to, or has ended here with a result that is not written yet (line 5).
        started: ``first_started`` is on the row.
        starter_dead: the owner in ``first_started`` is proven dead. The death of another holder proves nothing.
        ended_here: this incarnation started it, and saw its work end without a result.
        losses_at_limit: the losses have reached the row's limit, with the loss that this verdict would count.
        expired: the row's expiry has passed.
        waiting: its place is *queued*, *delayed* or *blocked*.
    """

    terminal: bool
    disposition: RecoveryDisposition
    abandon_requested: bool
    cancel_requested: bool
    takeable: bool
    in_this_worker: bool
    started: bool
    starter_dead: bool
    ended_here: bool
    losses_at_limit: bool
    expired: bool
    waiting: bool

    @property
    def rerunnable(self) -> bool:
        """Another owner may run it again."""
        return self.disposition is RecoveryDisposition.RERUNNABLE

    @property
    def outside(self) -> bool:
        """The pool never claims it and never runs it."""
        return self.disposition is RecoveryDisposition.EXTERNALLY_OWNED

    @property
    def bound(self) -> bool:
        """Owner-bound, and started: no owner but its starter may ever run it."""
        return self.disposition is RecoveryDisposition.OWNER_BOUND and self.started


class Verdict(msgspec.Struct, frozen=True):
    """What may be done with a process, and why.

    Attributes:
        line: of the table, 1 to 14.
        action: what to do.
        text: the reason, one sentence for operators.
        writer: of an ``abandoned`` fact, else None.
        owner: whom the evidence of an ``abandoned`` fact names.
        proof: which proof that evidence names, else None.
        reason: of a ``cancelled`` fact where no cancel request gives it, else None.
    """

    line: int
    action: Action
    text: str
    writer: AbandonWriter | None = None
    owner: EvidenceOwner = EvidenceOwner.NOBODY
    proof: EvidenceProof | None = None
    reason: str | None = None


def _leave(line: int, text: str) -> Verdict:
    return Verdict(line, Action.LEAVE, text)


def _abandon(line: int, text: str, writer: AbandonWriter, owner: EvidenceOwner, proof: EvidenceProof) -> Verdict:
    return Verdict(line, Action.ABANDON, text, writer, owner, proof)


TABLE: tuple[tuple[Callable[[Facts], bool], Verdict], ...] = (
    (
        lambda row: row.terminal,
        _leave(1, "it has its terminal fact, which never changes"),
    ),
    (
        lambda row: row.outside and row.abandon_requested,
        _abandon(
            2,
            "it happens outside, and an operator accepted that its result may stay unknown",
            AbandonWriter.RECONCILED_REQUEST,
            EvidenceOwner.NOBODY,
            EvidenceProof.REQUEST,
        ),
    ),
    (
        lambda row: row.outside,
        _leave(3, "it happens outside: its outside actor ends it, or an abandon request"),
    ),
    (
        lambda row: not row.takeable,
        _leave(4, "its lease is live and no proof says that the holder is dead: requests go to the holder"),
    ),
    (
        lambda row: row.in_this_worker,
        _leave(5, "this worker runs it, is about to run it, or has its result and has not written it yet"),
    ),
    (
        lambda row: row.bound and row.starter_dead,
        _abandon(
            6,
            "the owner that started it is proven dead: nobody can know its result",
            AbandonWriter.SWEEP,
            EvidenceOwner.STARTER,
            EvidenceProof.DEATH,
        ),
    ),
    (
        lambda row: row.bound and row.ended_here,
        _abandon(
            7,
            "this owner started it, and saw its work end without a result",
            AbandonWriter.OWNER_DRAIN,
            EvidenceOwner.STARTER,
            EvidenceProof.ENDED_HERE,
        ),
    ),
    (
        lambda row: row.bound and row.abandon_requested,
        _abandon(
            8,
            "it was started, nobody holds it, and an operator accepted that its result may stay unknown",
            AbandonWriter.RECONCILED_REQUEST,
            EvidenceOwner.STARTER,
            EvidenceProof.REQUEST,
        ),
    ),
    (
        lambda row: row.bound,
        Verdict(
            9,
            Action.UNCERTAIN,
            "it was started and its owner is silent: no proof of death, and time alone proves nothing; "
            "an abandon request settles it",
        ),
    ),
    (
        lambda row: row.cancel_requested,
        Verdict(10, Action.CANCEL, "someone asked for a stop, and nobody runs it"),
    ),
    (
        lambda row: row.rerunnable and row.losses_at_limit,
        _abandon(
            11,
            "it has lost as many owners as its loss limit allows",
            AbandonWriter.LOSS_LIMIT,
            EvidenceOwner.LAST_HOLDER,
            EvidenceProof.LOSSES,
        ),
    ),
    (
        lambda row: not row.started and row.expired,
        Verdict(12, Action.CANCEL, "it expired before anybody started it", reason="expired"),
    ),
    (
        lambda row: row.waiting,
        _leave(
            13, "it waits in its lane, where a worker that can read it may claim it, or for its time, or for others"
        ),
    ),
    (
        lambda _: True,
        Verdict(14, Action.REQUEUE, "nobody holds it: back into its lane, to run through the ordinary claim"),
    ),
)


def verdict(facts: Facts) -> Verdict:
    """Return the first line of ``TABLE`` that holds. Total: the last one always does."""
    return next(answer for holds, answer in TABLE if holds(facts))

"""From a row to the facts of a verdict, and from the verdict to what is written. Pure: proofs are handed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from lash_redis.core.model import Abandoned, AbandonEvidence, Phase
from lash_redis.core.verdict import Action, EvidenceOwner, Facts, Verdict, verdict
from lash_redis.registry.answers import Settlement
from lash_redis.registry.rows import Row


class Proof(msgspec.Struct, frozen=True):
    """Why an owner is known to be dead: gone, replaced, or reaped with a status."""

    kind: str
    detail: str | None = None


class LocalKnowledge(Protocol):
    """What this worker alone knows about a row."""

    def is_in_flight(self, row: Row) -> bool:
        """Say whether it runs here, is about to, or has a result not yet written (line 5)."""

    def saw_end(self, row: Row) -> bool:
        """Say whether its work was seen to end here, without a result (line 7)."""


class NothingLocal:
    """For those who run nothing themselves."""

    def is_in_flight(self, row: Row) -> bool:
        """Nothing is in hand."""
        del row
        return False

    def saw_end(self, row: Row) -> bool:
        """Nothing was seen to end."""
        del row
        return False


ProofOf = Callable[[str], Proof | None]


def facts_of(row: Row, me: str, proof_of: ProofOf, local: LocalKnowledge) -> Facts:
    """Return what the verdict looks at.

    Args:
        row: as a script read it.
        me: the digest of the owner that looks.
        proof_of: the proof that an owner (digest) is dead, if there is one.
        local: what is known here alone.
    """
    ended = local.saw_end(row)
    mine = row.holder_digest == me
    holder_dead = bool(row.holder_digest) and not mine and proof_of(row.holder_digest) is not None
    starter = row.starter_digest
    return Facts(
        terminal=row.is_terminal,
        disposition=row.disposition,
        abandon_requested=row.abandon_request is not None,
        cancel_requested=row.cancel_request is not None,
        takeable=not row.is_live or holder_dead or (mine and ended),
        in_this_worker=local.is_in_flight(row),
        started=bool(starter),
        starter_dead=bool(starter) and starter != me and proof_of(starter) is not None,
        ended_here=starter == me and ended,
        losses_at_limit=row.losses + row.counts_a_loss >= row.loss_limit,
        expired=False,
        waiting=row.phase in (Phase.QUEUED, Phase.DELAYED),
    )


def settlement_of(row: Row, facts: Facts, judged: Verdict, proof_of: ProofOf, ended_detail: str) -> Settlement | None:
    """Return what carries a verdict out, or None if the row stays as it is."""
    trusted = row.is_live and facts.takeable
    match judged.action:
        case Action.LEAVE:
            return None
        case Action.UNCERTAIN:
            return None if row.phase is Phase.UNCERTAIN else Settlement(row, "uncertain")
        case Action.REQUEUE:
            return Settlement(row, "queue", trusted=trusted)
        case Action.CANCEL:
            return Settlement(row, "fact", trusted=trusted)
        case Action.ABANDON:
            evidence = _evidence(row, judged, proof_of, ended_detail)
            return Settlement(row, "fact", Abandoned(evidence), trusted=trusted)


def _evidence(row: Row, judged: Verdict, proof_of: ProofOf, ended_detail: str) -> AbandonEvidence:
    owner = {
        EvidenceOwner.NOBODY: None,
        EvidenceOwner.STARTER: row.starter,
        EvidenceOwner.LAST_HOLDER: row.holder,
    }[judged.owner]
    request = row.abandon_request
    requested = f"by {request.requested_by}" + (f": {request.reason}" if request.reason else "") if request else ""
    proof = {
        2: Proof("requested", requested),
        6: proof_of(row.starter_digest) or Proof("unknown"),
        7: Proof("ended_here", ended_detail),
        8: Proof("requested", requested),
        11: Proof("loss_limit", f"{row.losses + row.counts_a_loss} losses, the limit is {row.loss_limit}"),
    }[judged.line]
    if judged.writer is None:
        raise AssertionError("an abandoned fact has a writer")
    return AbandonEvidence(judged.writer, owner, 0, proof.kind, proof.detail)


def explained(row: Row, me: str, proof_of: ProofOf, local: LocalKnowledge) -> tuple[Facts, Verdict]:
    """Return the facts and the line that a row meets now: the same function that the sweep calls."""
    facts = facts_of(row, me, proof_of, local)
    return facts, verdict(facts)

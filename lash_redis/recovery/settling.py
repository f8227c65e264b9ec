"""From rows to verdicts, and from verdicts to settled rows: what a sweep and a drain have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from lash_redis.core.events import ProcessAbandoned, ProcessSettled, ProcessUncertain
from lash_redis.core.model import Phase
from lash_redis.core.outcomes import Abandoned, AbandonEvidence, Cancelled
from lash_redis.core.subscribers import emit
from lash_redis.core.verdict import Action, EvidenceOwner, EvidenceProof, Facts, Verdict
from lash_redis.recovery.proofs_of_death import Proof, ProofOf
from lash_redis.recovery.verdict_facts import LocalKnowledge, explained
from lash_redis.registry.answers import Settlement
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row


class Judge(msgspec.Struct, frozen=True):
    """Whoever judges rows, and what is known to it.

    Attributes:
        me: the digest of the owner that looks.
        proof_of: the proof that an owner (digest) is dead, if there is one.
        local: what is known here alone.
        ended_detail: what the evidence says beside *ended here* (verdict, line 7).
    """

    me: str
    proof_of: ProofOf
    local: LocalKnowledge
    ended_detail: str = ""

    def judged(self, rows: Iterable[Row]) -> list[Judged]:
        """Return each row with its verdict and what carries the verdict out."""
        found = []
        for row in rows:
            facts, verdict = explained(row, self.me, self.proof_of, self.local)
            found.append(Judged(row, verdict, self._settlement(row, facts, verdict)))
        return found

    def _settlement(self, row: Row, facts: Facts, verdict: Verdict) -> Settlement | None:
        even_if_live = row.is_live and facts.takeable
        match verdict.action:
            case Action.LEAVE:
                return None
            case Action.UNCERTAIN:
                return None if row.phase is Phase.UNCERTAIN else Settlement(row, "uncertain")
            case Action.REQUEUE:
                return Settlement(row, "queue", even_if_live=even_if_live)
            case Action.CANCEL:
                outcome = Cancelled(verdict.reason) if verdict.reason else None
                return Settlement(row, "fact", outcome, even_if_live=even_if_live)
            case Action.ABANDON:
                evidence = self._evidence(row, verdict)
                return Settlement(row, "fact", Abandoned(evidence), even_if_live=even_if_live)

    def _evidence(self, row: Row, verdict: Verdict) -> AbandonEvidence:
        owner = {
            EvidenceOwner.NOBODY: None,
            EvidenceOwner.STARTER: row.starter,
            EvidenceOwner.LAST_HOLDER: row.holder,
        }[verdict.owner]
        if verdict.writer is None or verdict.proof is None:
            raise AssertionError("an abandoned fact has a writer and a proof")
        proof = self._proof(row, verdict.proof)
        return AbandonEvidence(verdict.writer, owner, 0, proof.kind, proof.detail)

    def _proof(self, row: Row, named: EvidenceProof) -> Proof:
        match named:
            case EvidenceProof.REQUEST:
                return _requested(row)
            case EvidenceProof.DEATH:
                return self.proof_of(row.starter_digest) or Proof("unknown")
            case EvidenceProof.ENDED_HERE:
                return Proof("ended_here", self.ended_detail)
            case EvidenceProof.LOSSES:
                losses = row.losses + row.counts_a_loss
                return Proof("loss_limit", f"{losses} of {row.options.loss_limit} losses")


class Judged(msgspec.Struct, frozen=True):
    """A row, its verdict, and what carries the verdict out (None if the row stays as it is)."""

    row: Row
    verdict: Verdict
    settlement: Settlement | None


async def carry_out(registry: ProcessRegistry, judged: Sequence[Judged]) -> list[tuple[Judged, bool]]:
    """Settle what is to be settled and report it; return it, and whether each settlement stands.

    A settlement does not stand if the row changed after it was read.

    Raises:
        RegistryUnavailable: no answer; what was settled stands.
    """
    to_settle = [(each, each.settlement) for each in judged if each.settlement is not None]
    if not to_settle:
        return []
    stand = await registry.settle_many([settlement for _, settlement in to_settle])
    for (each, settlement), stands in zip(to_settle, stand, strict=True):
        if stands:
            _report(each, settlement)
    return [(each, stands) for (each, _), stands in zip(to_settle, stand, strict=True)]


def _requested(row: Row) -> Proof:
    request = row.abandon_request
    if request is None:
        return Proof("requested", "")
    return Proof("requested", f"by {request.requested_by}" + (f": {request.reason}" if request.reason else ""))


def _report(judged: Judged, settlement: Settlement) -> None:
    row, verdict = judged.row, judged.verdict
    if isinstance(settlement.outcome, Abandoned):
        evidence = settlement.outcome.evidence
        owner = evidence.owner.owner_id if evidence.owner else None
        writer = evidence.writer.value
        emit(ProcessAbandoned(process_id=row.process_id, writer=writer, owner=owner, proof=evidence.proof))
    elif verdict.action is Action.UNCERTAIN:
        emit(ProcessUncertain(process_id=row.process_id, owner=row.starter.owner_id if row.starter else None))
    else:
        emit(ProcessSettled(process_id=row.process_id, line=verdict.line, action=verdict.action.value))

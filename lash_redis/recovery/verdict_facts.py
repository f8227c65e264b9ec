"""From a row to the facts of a verdict. Pure: proofs and what a worker knows are handed in."""

from __future__ import annotations

from typing import Protocol

from lash_redis.core.model import Phase
from lash_redis.core.verdict import Facts, Verdict, verdict
from lash_redis.recovery.proofs_of_death import ProofOf
from lash_redis.registry.rows import Row


class LocalKnowledge(Protocol):
    """What one worker alone knows about a row."""

    def is_in_flight(self, row: Row) -> bool:
        """Say whether the row runs here, is about to, or has a result not yet written (line 5)."""

    def saw_end(self, row: Row) -> bool:
        """Say whether its work was seen to end here, without a result (line 7)."""


class NothingLocal:
    """The knowledge of whoever runs nothing."""

    def is_in_flight(self, row: Row) -> bool:
        """Say no."""
        del row
        return False

    def saw_end(self, row: Row) -> bool:
        """Say no."""
        del row
        return False


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
        losses_at_limit=row.losses + row.counts_a_loss >= row.options.loss_limit,
        expired=row.expires_at_ms is not None and row.expires_at_ms <= row.now_ms,
        waiting=row.phase in (Phase.QUEUED, Phase.DELAYED, Phase.BLOCKED),
    )


def explained(row: Row, me: str, proof_of: ProofOf, local: LocalKnowledge) -> tuple[Facts, Verdict]:
    """Return the facts and the line of the table that a row meets now: the same that a sweep would see."""
    facts = facts_of(row, me, proof_of, local)
    return facts, verdict(facts)

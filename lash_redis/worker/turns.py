"""Claims that take along what ended meanwhile: one call writes outcomes of a partition and claims there (rule 8.5)."""

from __future__ import annotations

from lash_redis.core.checks import MAX_BATCH_BYTES
from lash_redis.core.events import ProcessCompleted
from lash_redis.core.subscribers import wants
from lash_redis.registry.answers import BatchClaim, ClaimedBatch
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.attempt import Attempt
from lash_redis.worker.outbox import Encoded, Outbox, facts_of
from lash_redis.worker.unsent import Unsent


class Turns:
    """Sends the claims of one worker.

    A call that fails says nothing of either half. The claim is sent again by itself, under its number, and the outbox
    writes the outcomes: a server that is full takes these alone, and one that cannot be written holds up no claim.

    Args:
        registry: where it claims.
        outbox: has the outcomes; None: nothing goes along.
    """

    def __init__(self, registry: ProcessRegistry, outbox: Outbox | None = None) -> None:
        self._registry = registry
        self._outbox = outbox
        self._apart: set[int] = set()  # the partitions in which a call for both failed, and no claim was answered since

    async def claim_next(self, claim: BatchClaim, *, is_first: bool) -> ClaimedBatch:
        """Send a claim, and what may go along if it is sent for the first time.

        Raises:
            LashError: no answer to the claim; send it again.
        """
        partition, outbox = claim.partition, self._outbox
        unsent = outbox.outcomes_in(partition) if outbox and is_first and partition not in self._apart else None
        if outbox is None or unsent is None or not (ends := _going_along(unsent)):
            batch = await self._registry.claim_next(claim)
            self._apart.discard(partition)
            return batch
        self._apart.add(partition)
        try:
            with unsent.sending(ends):
                statuses, batch = await self._registry.turn(claim, facts_of(ends))
                self._apart.discard(partition)
                told = wants(ProcessCompleted)
                for attempt, status in zip(ends, statuses, strict=True):
                    if status == "DONE":
                        outbox.written(attempt, ends[attempt], told=told)
        finally:
            if unsent.waits:  # what is not done is written again: it may be lost, or refused
                outbox.look_again()
        return batch


def _going_along(unsent: Unsent[Attempt, Encoded]) -> dict[Attempt, Encoded]:
    ends = unsent.next_to_go_along()
    return ends if sum(len(data) for _, data in ends.values()) <= MAX_BATCH_BYTES else {}

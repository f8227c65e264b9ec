"""Carrying out verdicts without a lease, by comparing the facts that they rest on. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from lash_redis.core.checks import MAX_SETTLE_BATCH
from lash_redis.core.model import ProcessStatus
from lash_redis.core.outcomes import Cancelled
from lash_redis.registry.answers import Settlement
from lash_redis.registry.calls.batches import batched, checked_batch
from lash_redis.registry.calls.call import ATTEMPTS, Argument, Call, Namespace, Steps
from lash_redis.registry.codec import STATUS_CODES, encode_outcome


def settle_many(
    namespace: Namespace, settlements: Sequence[Settlement], *, attempts: int = ATTEMPTS
) -> Steps[list[bool]]:
    """Carry out verdicts; return which stand (False: the facts had changed, look again) (rule 5.4)."""

    def call(partition: int, batch: Sequence[Settlement]) -> Call[list[bool]]:
        checked_batch("settlements", [settlement.row.process_id for settlement in batch], MAX_SETTLE_BATCH)
        args = [arg for settlement in batch for arg in _args(settlement)]
        return Call("settle", partition, args, lambda reply: [each == b"DONE" for each in reply[1:]], attempts=attempts)

    return batched(namespace, settlements, lambda settlement: settlement.row.process_id, call, size=MAX_SETTLE_BATCH)


def _args(settlement: Settlement) -> list[Argument]:
    # A cancel for the reason that the request on the row has is written without it.
    state, data = STATUS_CODES[ProcessStatus.CANCELLED], b""
    if settlement.outcome is not None and settlement.outcome != Cancelled():
        state, data = encode_outcome(settlement.outcome)
    row, even_if_live = settlement.row, "1" if settlement.even_if_live else "0"
    return [row.process_id, settlement.action, state, data, even_if_live, *row.observed()]

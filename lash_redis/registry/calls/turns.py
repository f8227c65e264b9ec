"""Ending a turn's work and claiming the next rows in one call. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lash_redis.registry.answers import BatchClaim, ClaimedBatch, TerminalFact
from lash_redis.registry.calls.batch_claims import claim_args, claim_next, claimed
from lash_redis.registry.calls.call import Call, Namespace, Steps
from lash_redis.registry.calls.terminal_facts import fact_args


def turn(
    namespace: Namespace, claim: BatchClaim, facts: Sequence[TerminalFact], *, attempts: int = 1
) -> Steps[tuple[list[str], ClaimedBatch]]:
    """Write terminal facts in a partition, and then claim there; return a status word for each fact, and the answer.

    The facts are of the owner that claims: 1 to 500 of the claim's partition, with outcomes of 1 MiB in all.

    Raises:
        RegistryUnavailable: no answer to the one or the other: send the facts again, and the claim under its number.
    """
    queues = claim.queues or claim.served.queues
    args = [*claim_args(claim), len(queues), *queues, *fact_args(facts)]
    statuses, batch = yield from Call("turn", claim.partition, args, _turned, word=b"TURNED", attempts=attempts)
    if batch is None:  # the list of lanes is not known there
        batch = yield from claim_next(namespace, claim)
    return statuses, batch


def _turned(reply: list[Any]) -> tuple[list[str], ClaimedBatch | None]:
    return [status.decode() for status in reply[2:]], claimed(reply[1])

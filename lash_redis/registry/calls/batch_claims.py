"""Numbered claims of many rows at once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lash_redis.core.liveness import LeaseOwner
from lash_redis.registry.answers import BatchClaim, ClaimedBatch, ClaimedRow
from lash_redis.registry.calls.call import Argument, Call, Namespace
from lash_redis.registry.calls.owners import owner_args
from lash_redis.registry.calls.refusals import refusal


def claim_next(namespace: Namespace, claim: BatchClaim, *, attempts: int = 1) -> Call[ClaimedBatch]:
    """Claim and start rows; the same claim sent again hands out the same rows (rule 8.5)."""
    args: list[Argument] = [
        namespace.uuid, *owner_args(claim.owner), claim.number, claim.count, claim.ttl_ms, claim.token_stem,
    ]  # fmt: skip
    for queue, lanes in claim.queues:
        args += (queue, len(lanes), *lanes)
    return Call("claim_next", claim.partition, args, _claimed, attempts=attempts)


def close_claims(
    namespace: Namespace, partition: int, owner: LeaseOwner, number: int, queues: Sequence[str] = ()
) -> Call[None]:
    """Make every batch claim of an owner with a lower number stale (rule 8.5), and list it as idle no more.

    Args:
        namespace: where it claimed.
        partition: where it claimed.
        owner: whose claims they are.
        number: higher than that of every claim that it sent.
        queues: those that it served.
    """

    def decode(reply: list[Any]) -> None:
        if reply[0] not in (b"CLOSED", b"STALE"):
            raise refusal("", reply)

    args: list[Argument] = [namespace.uuid, *owner_args(owner), number, *queues]
    return Call("close_claims", partition, args, decode)


def _claimed(reply: list[Any]) -> ClaimedBatch:
    if reply[0] == b"STALE":
        return ClaimedBatch([], stale=True)
    if reply[0] != b"CLAIMED":
        raise refusal("", reply)
    width = len(ClaimedRow.__struct_fields__)
    rows = [ClaimedRow.read(reply[i : i + width]) for i in range(3, len(reply), width)]
    return ClaimedBatch(rows, int(reply[1]), int(reply[2]))

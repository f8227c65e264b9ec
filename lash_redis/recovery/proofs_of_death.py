"""Proofs that an owner is dead: recorded by whoever saw it end, or found on this machine (rules 2.1 and 2.5)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

import msgspec

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.first_error import FirstError
from lash_redis.core.liveness import LeaseOwner
from lash_redis.registry.answers import Death, Holder
from lash_redis.registry.registry import ProcessRegistry


class Proof(msgspec.Struct, frozen=True):
    """Why an owner is known to be dead.

    Attributes:
        kind: ``gone``, ``replaced`` or ``reaped``.
        detail: in words, None where the kind says all.
    """

    kind: str
    detail: str | None = None


ProofOf = Callable[[str], Proof | None]


def no_proof(_digest: str) -> Proof | None:
    """Return None, whoever is asked about."""
    return None


def reaped(death: Death) -> Proof:
    """Return the proof that a recorded death is."""
    return Proof("reaped", f"{death.status}, reaped by {death.by}")


async def find_dead(
    registry: ProcessRegistry, claimant: LeaseOwner, first_error: FirstError, partitions: Iterable[int]
) -> dict[str, Proof]:
    """Test once each owner with unsettled rows there that ``claimant`` may prove dead; return proofs by owner digest.

    What a partition raises is kept in ``first_error``, and the proofs that the others have count.
    """
    proofs: dict[str, Proof] = {}
    tested: set[str] = set()
    for partition in partitions:
        with first_error.kept():
            async for holder in _holders(registry, partition, claimant):
                if holder.death is not None:
                    proofs[holder.digest] = reaped(holder.death)
                elif holder.digest not in tested:
                    tested.add(holder.digest)
                    kind = holder.owner.proof_of_death(claimant)
                    if kind is not None:
                        proofs.setdefault(holder.digest, Proof(kind))
    return proofs


async def _holders(registry: ProcessRegistry, partition: int, claimant: LeaseOwner) -> AsyncIterator[Holder]:
    after = ""
    while True:
        page = await registry.holders(partition, after, near=claimant)
        for holder in page:
            yield holder
        if len(page) < MAX_BATCH:
            return
        after = page[-1].digest

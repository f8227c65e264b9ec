"""Which nodes of a cluster are known to allow their user what will be needed: each node has an ACL of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from lash_redis.registry.calls.proving import SOURCE, Missing, Proof
from lash_redis.registry.transport.address import Address

Ask: TypeAlias = Callable[..., Awaitable[Any]]  # sends a command to one server


class Rights:
    """What was proven, and of whom."""

    def __init__(self) -> None:
        self._proof: Proof | None = None
        self._proven: set[Address] = set()

    def are_proven(self, node: Address) -> bool:
        """Return whether nothing has to be asked of a node before a script runs there."""
        return node in self._proven or self._proof is None

    async def missing_at(self, node: Address, ask: Ask, proof: Proof | None = None) -> tuple[Proof, Missing] | None:
        """Ask a server what it does not allow, by a new proof or the last one; None if it allows all."""
        if proof is not None and proof is not self._proof:
            self._proof, self._proven = proof, set()
        if self._proof is None:
            return None
        proof = self._proof
        if missing := proof.missing(await ask("EVAL", SOURCE, 0, *proof.lines)):
            return proof, missing
        self._proven.add(node)
        return None

"""What can be seen from here of the owners that a row names: the proofs that a sweep in this place would have.

Proofs are the sweep's: a recorded death, or what this machine can prove (design, section 3). That an owner is alive
changes no line of the verdict; it is for the operator who is about to abandon its work.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from lash_redis.core.liveness import LeaseOwner, LocalProcess
from lash_redis.core.timing import new_incarnation_id
from lash_redis.core.verdict import Action, Facts, Verdict
from lash_redis.recovery.facts import NothingLocal, explained
from lash_redis.recovery.proofs import Proof
from lash_redis.registry.keys import owner_digest, partition_of
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row

_BY_A_SWEEP: Final = {
    Action.LEAVE: "leaves it as it is",
    Action.UNCERTAIN: "leaves it uncertain",
    Action.REQUEUE: "puts it back into its lane",
    Action.CANCEL: "writes cancelled",
    Action.ABANDON: "writes abandoned",
}


class Life(enum.Enum):
    """Whether an owner lives, as far as it can be proven."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


class Standing(msgspec.Struct, frozen=True):
    """One owner's life: the proof if it is dead, and a sentence for the operator."""

    life: Life
    text: str
    proof: Proof | None = None


class Sight:
    """What is known here of a row's owners, and the verdict that follows."""

    def __init__(self, row: Row, me: LeaseOwner, standings: dict[str, Standing]) -> None:
        self._standings = standings
        self.starter = standings.get(row.starter_digest)
        self.holder = standings.get(row.holder_digest)
        self.facts: Facts
        self.verdict: Verdict
        self.facts, self.verdict = explained(row, owner_digest(me), self._proof_of, NothingLocal())

    @property
    def what_a_sweep_does(self) -> str:
        """The verdict's action in words."""
        return _BY_A_SWEEP[self.verdict.action]

    def _proof_of(self, digest: str) -> Proof | None:
        standing = self._standings.get(digest)
        return standing.proof if standing else None


async def look(registry: ProcessRegistry, row: Row) -> Sight:
    """See what a sweep that ran here would see of one row."""
    me = LeaseOwner.local_process("lash-redis", new_incarnation_id())
    owners = {} if row.is_terminal else {row.starter_digest: row.starter, row.holder_digest: row.holder}
    partition = partition_of(row.process_id, registry.partitions)
    standings = {
        digest: await _standing(registry, partition, digest, owner, me) for digest, owner in owners.items() if owner
    }
    return Sight(row, me, standings)


async def _standing(
    registry: ProcessRegistry, partition: int, digest: str, owner: LeaseOwner, me: LeaseOwner
) -> Standing:
    # All digests have one length, so that nothing of theirs lies between this text and the digest itself.
    before = digest[:-1] + chr(ord(digest[-1]) - 1)
    found = await registry.holders(partition, before, limit=1)
    if found and found[0].digest == digest and found[0].death is not None:
        death = found[0].death
        proof = Proof("reaped", f"{death.status}, reaped by {death.by}")
        return Standing(Life.DEAD, f"its death was recorded: {proof.detail}", proof)
    return standing_here(owner, me)


def standing_here(owner: LeaseOwner, me: LeaseOwner) -> Standing:
    """Say what this machine can prove of an owner's life; ``me`` is this OS process."""
    match owner.proof_of_death(me):
        case "gone":
            return Standing(Life.DEAD, "its pid is gone from this machine", Proof("gone"))
        case "replaced":
            return Standing(Life.DEAD, "its pid has another OS process now", Proof("replaced"))
    mine, theirs = me.liveness, owner.liveness
    if not isinstance(theirs, LocalProcess):
        return Standing(Life.UNKNOWN, "it says nothing of itself by which its death could be proven")
    if not isinstance(mine, LocalProcess):
        return Standing(Life.UNKNOWN, "this machine proves no deaths")
    if (theirs.host_id, theirs.boot_id) != (mine.host_id, mine.boot_id):
        return Standing(Life.UNKNOWN, "it ran on another machine, in another container, or before a reboot")
    if _answers_as_itself(owner, theirs, me):
        return Standing(Life.ALIVE, f"pid {theirs.pid} of this machine is that very OS process")
    return Standing(Life.UNKNOWN, "this machine does not say enough about its pid")


def _answers_as_itself(owner: LeaseOwner, liveness: LocalProcess, me: LeaseOwner) -> bool:
    """Say whether its pid's start can be read and is the owner's: any other start would be told as *replaced*."""
    other = msgspec.structs.replace(liveness, process_start=f"not {liveness.process_start}")
    readable = msgspec.structs.replace(owner, liveness=other).proof_of_death(me) == "replaced"
    return readable and owner.proof_of_death(me) is None

"""One pass over what may need recovery: look by index, judge by the verdict's table, settle by compare-and-set.

It never takes a lease in order to look, and costs what needs recovery, never all rows (design, sections 2 and 6).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.events import ProcessAbandoned, ProcessSettled, ProcessUncertain
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Abandoned
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import wall_ms
from lash_redis.core.verdict import Action, Verdict, verdict
from lash_redis.recovery.facts import LocalKnowledge, NothingLocal, Proof, facts_of, settlement_of
from lash_redis.registry.answers import Death, PageStart, Settlement
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row

FORGET_OWNERS_AFTER_MS = 7 * 24 * 3600 * 1000
_UPKEEP_EVERY_MS = 3600 * 1000


class SweepReport(msgspec.Struct):
    """How many rows a pass settled, by what was done."""

    abandoned: int = 0
    cancelled: int = 0
    requeued: int = 0
    uncertain: int = 0

    def count(self, action: Action) -> None:
        """Count one settled row."""
        match action:
            case Action.ABANDON:
                self.abandoned += 1
            case Action.CANCEL:
                self.cancelled += 1
            case Action.REQUEUE:
                self.requeued += 1
            case Action.UNCERTAIN:
                self.uncertain += 1
            case Action.LEAVE:
                pass


class Sweep:
    """Recovery for one owner that looks: which proofs it has depends on where it runs.

    Args:
        registry: where the rows are.
        owner: the claimant whose eyes see, a local process if it is to prove deaths.
        local: what this worker alone knows.
    """

    def __init__(self, registry: ProcessRegistry, owner: LeaseOwner, local: LocalKnowledge | None = None) -> None:
        self._registry = registry
        self._owner = owner
        self._me = owner_digest(owner)
        self._local = local or NothingLocal()
        self._upkeep_at_ms = wall_ms() + _UPKEEP_EVERY_MS
        self._proofs: dict[str, Proof] = {}

    async def run_once(self) -> SweepReport:
        """Make one pass over every partition.

        Raises:
            RegistryUnavailable: no answer; what was settled stands.
        """
        await self._registry.open()
        report = SweepReport()
        self._proofs = {}
        dead = await self._find_dead()
        for partition in range(self._registry.partitions):
            for digest in dead:
                await self._settle_owned(partition, digest, report)
            await self._settle(self._pages(partition, "leases", upto="now"), report)
            await self._settle(self._pages(partition, "asked"), report)
        if wall_ms() >= self._upkeep_at_ms:
            self._upkeep_at_ms = wall_ms() + _UPKEEP_EVERY_MS
            await self._registry.forget_owners(FORGET_OWNERS_AFTER_MS)
        return report

    async def settle_dead(self, owner: LeaseOwner, death: Death) -> SweepReport:
        """Settle all that one owner held whose death was seen and recorded."""
        report = SweepReport()
        digest = owner_digest(owner)
        self._proofs = {digest: Proof("reaped", f"{death.status}, reaped by {death.by}")}
        for partition in range(self._registry.partitions):
            await self._settle_owned(partition, digest, report)
        return report

    async def _find_dead(self) -> list[str]:
        """Test each owner with unsettled rows once: its recorded death, or what this machine can prove."""
        seen: set[str] = set()
        for partition in range(self._registry.partitions):
            after = ""
            while True:
                page = await self._registry.holders(partition, after)
                for holder in page:
                    if holder.death is not None:
                        detail = f"{holder.death.status}, reaped by {holder.death.by}"
                        self._proofs[holder.digest] = Proof("reaped", detail)
                    elif holder.digest not in seen:
                        seen.add(holder.digest)
                        kind = holder.owner.proof_of_death(self._owner)
                        if kind is not None:
                            self._proofs.setdefault(holder.digest, Proof(kind))
                if len(page) < MAX_BATCH:
                    break
                after = page[-1].digest
        return list(self._proofs)

    async def _pages(self, partition: int, index: str, *, upto: str = "+inf") -> AsyncIterator[list[Row]]:
        place: PageStart | None = PageStart()
        while place is not None:
            page = await self._registry.page(partition, index, place, upto=upto)
            yield page.rows
            place = page.next

    async def _settle_owned(self, partition: int, digest: str, report: SweepReport) -> None:
        """Settle all of one dead owner: rows leave its index while the pages are read, so until nothing moves."""
        while await self._settle(self._pages(partition, f"of:{digest}"), report):
            pass

    async def _settle(self, pages: AsyncIterator[list[Row]], report: SweepReport) -> int:
        settled = 0
        async for rows in pages:
            judged: list[tuple[Settlement, Verdict]] = []
            for row in rows:
                facts = facts_of(row, self._me, self._proofs.get, self._local)
                answer = verdict(facts)
                settlement = settlement_of(row, facts, answer, self._proofs.get, "")
                if settlement is not None:
                    judged.append((settlement, answer))
            settled += await self._carry_out(judged, report)
        return settled

    async def _carry_out(self, judged: list[tuple[Settlement, Verdict]], report: SweepReport) -> int:
        if not judged:
            return 0
        # What a worker took in hand while the pages were read is its own again.
        judged = [each for each in judged if not self._local.is_in_flight(each[0].row)]
        stand = await self._registry.settle_many([settlement for settlement, _ in judged])
        for (settlement, answer), stands in zip(judged, stand, strict=True):
            if stands:
                report.count(answer.action)
                tell(settlement, answer)
        return sum(stand)


def tell(settlement: Settlement, answer: Verdict) -> None:
    """Tell of one settled row."""
    row = settlement.row
    if isinstance(settlement.outcome, Abandoned):
        evidence = settlement.outcome.evidence
        owner = evidence.owner.owner_id if evidence.owner else None
        emit(
            ProcessAbandoned(process_id=row.process_id, writer=evidence.writer.value, owner=owner, proof=evidence.proof)
        )
    elif answer.action is Action.UNCERTAIN:
        emit(ProcessUncertain(process_id=row.process_id, owner=row.starter.owner_id if row.starter else None))
    else:
        emit(ProcessSettled(process_id=row.process_id, line=answer.line, action=answer.action.value))

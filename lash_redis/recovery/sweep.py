"""One pass over what may need recovery: find rows by index, judge them by the verdict's table, settle them.

A sweep takes no lease in order to look (rule 3.9). It costs what needs recovery, never all rows (rule 8.7). One call
for each partition says whether there is anything at all.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import msgspec

from lash_redis.core.errors import LashError
from lash_redis.core.first_error import FirstError
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.timing import boottime_ms
from lash_redis.core.verdict import Action
from lash_redis.recovery.proofs_of_death import Proof, find_dead, reaped
from lash_redis.recovery.settling import Judge, carry_out
from lash_redis.recovery.verdict_facts import LocalKnowledge, NothingLocal
from lash_redis.registry.answers import Death, PageStart
from lash_redis.registry.calls.glancing import Glance
from lash_redis.registry.keys import ASKED, LEASES, owned_index, owner_digest
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row
from lash_redis.registry.transport.in_turn import in_turn

FORGET_OWNERS_AFTER_MS = 7 * 24 * 3600 * 1000
_UPKEEP_EVERY_MS = 3600 * 1000


class SweepReport(msgspec.Struct):
    """How many rows a pass settled, by what was done; and how many it could not read (those in two indexes twice)."""

    abandoned: int = 0
    cancelled: int = 0
    requeued: int = 0
    uncertain: int = 0
    unreadable: int = 0

    @property
    def settled(self) -> int:
        """All that was settled."""
        return self.abandoned + self.cancelled + self.requeued + self.uncertain

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
    """Recovery by one owner. Which deaths it can prove depends on where that owner runs.

    Args:
        registry: where the rows are.
        owner: the claimant that looks; a local process if it is to prove deaths.
        local: what this worker alone knows.
        on_glance: called with each partition and what a pass saw there at first.
    """

    def __init__(
        self,
        registry: ProcessRegistry,
        owner: LeaseOwner,
        local: LocalKnowledge | None = None,
        *,
        on_glance: Callable[[int, Glance], object] | None = None,
    ) -> None:
        self._registry = registry
        self._owner = owner
        self._local = local or NothingLocal()
        self._on_glance = on_glance
        self._upkeep_at_ms = 0  # a worker that lives for a moment forgets too: nobody else may live longer

    async def run_once(self) -> SweepReport:
        """Make one pass over every partition; one in which it fails holds up no other.

        Raises:
            Exception: the first that a partition raised; what was settled stands.
        """
        await self._registry.open()
        report, first_error = SweepReport(), FirstError()
        glances = await self._glances(first_error)
        held_in = [partition for partition, glance in glances.items() if glance.holders]
        dead = await find_dead(self._registry, self._owner, first_error, held_in)
        judge = self._judge(dead)
        for partition, glance in glances.items():
            with first_error.kept():
                for digest in dead if glance.holders else ():
                    await self._settle_owned(partition, digest, judge, report)
                if glance.lapsed:
                    await self._settle(partition, LEASES, judge, report, upto="now")
                if glance.asked:
                    await self._settle(partition, ASKED, judge, report)
        with first_error.kept():
            await self._upkeep()
        first_error.raise_it()
        return report

    async def _glances(self, first_error: FirstError) -> dict[int, Glance]:
        """Return what there is in each partition that answers."""
        glances = {}
        for partition in range(self._registry.partitions):
            with first_error.kept():
                glances[partition] = await self._registry.glance(partition)
                if self._on_glance is not None:
                    self._on_glance(partition, glances[partition])
        return glances

    async def settle_dead(self, owner: LeaseOwner, death: Death) -> SweepReport:
        """Settle all that one owner held whose death was seen and recorded, in every partition that lets it.

        Raises:
            Exception: the first that a partition raised; what was settled stands.
        """
        report, first_error = SweepReport(), FirstError()
        digest = owner_digest(owner)
        judge = self._judge({digest: reaped(death)})
        for partition in range(self._registry.partitions):
            with first_error.kept(), in_turn():
                await self._settle_owned(partition, digest, judge, report)
        with suppress(LashError):  # where no worker lives long enough to sweep
            await self._upkeep()
        first_error.raise_it()
        return report

    async def _upkeep(self) -> None:
        """Forget who has not called for a week by the server's clock: in the first pass, and then once an hour."""
        if boottime_ms() >= self._upkeep_at_ms:
            self._upkeep_at_ms = boottime_ms() + _UPKEEP_EVERY_MS
            await self._registry.forget_owners(FORGET_OWNERS_AFTER_MS)

    def _judge(self, dead: dict[str, Proof]) -> Judge:
        return Judge(owner_digest(self._owner), dead.get, self._local)

    async def _settle_owned(self, partition: int, digest: str, judge: Judge, report: SweepReport) -> None:
        """Settle all rows of one dead owner. Rows move within its index while pages are read, so until nothing does."""
        while await self._settle(partition, owned_index(digest), judge, report):
            pass

    async def _settle(
        self, partition: int, index: str, judge: Judge, report: SweepReport, *, upto: str = "+inf"
    ) -> int:
        """Settle what an index lists, page by page; return how many rows were settled.

        What is settled leaves the index, and a page that began behind it would pass over as many rows of that score.
        So a page that is not the last one is read again from where it began until nothing of it is settled.
        """
        settled = 0
        start: PageStart | None = PageStart()
        while start is not None:
            page = await self._registry.page(partition, index, start, upto=upto)
            moved = await self._settle_page(page.rows, judge, report)
            settled += moved
            if not moved or page.next is None:
                report.unreadable += len(page.unreadable)
                start = page.next
        return settled

    async def _settle_page(self, rows: list[Row], judge: Judge, report: SweepReport) -> int:
        settled = 0
        # What this worker took while the page was read is its own again.
        judged = [each for each in judge.judged(rows) if not self._local.is_in_flight(each.row)]
        for each, stands in await carry_out(self._registry, judged):
            if stands:
                report.count(each.verdict.action)
                settled += 1
        return settled

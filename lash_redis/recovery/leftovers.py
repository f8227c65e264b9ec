"""The last phase of a drain: find what is left of one owner by its index, and settle it (rule 7.1).

A worker calls this once its code has ended. The supervisor calls it in the name of a worker process that it ended
(rule 7.3).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection

from lash_redis.core.error_text import text_of
from lash_redis.core.first_error import FirstError
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Acquired, Deferred, DrainReport, ProcessLease, RecoveryDisposition
from lash_redis.core.timing import boottime_ms, sleep, within
from lash_redis.core.trouble import SURVIVED, Trouble
from lash_redis.core.verdict import Action
from lash_redis.recovery.proofs_of_death import no_proof
from lash_redis.recovery.settling import Judge, Judged, carry_out
from lash_redis.registry.answers import PageStart
from lash_redis.registry.keys import owned_index, owner_digest
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row

STILL_RUNNING = "still running: a thread that will not stop"
UNREADABLE = "cannot be read: a newer lash-redis wrote it, or it is damaged"
NOT_WRITTEN = "its result could not be written in time"
NOT_GIVEN_BACK = "it ended without a result, and could not be given back in time"
_NOT_OURS = frozenset({"STALE", "TERMINAL", "UNKNOWN"})  # given back meanwhile by a call of the worker, or ended
_CHANGED = "the row changed meanwhile"
_CLAIM_AGAIN_MS = 10_000  # for the one call that follows
_MOST_PASSES = 1000  # each pass moves a page, so only rows that keep changing could reach this


def whatever_else(owner: LeaseOwner, why: str) -> Deferred:
    """Return what stands in a report for all that an owner may hold and that nobody could ask for."""
    return Deferred("*", f"whatever else {owner.owner_id} may hold: {why}")


class _Ended:
    """The knowledge that all work of this owner has ended here, except what is kept."""

    def __init__(self, kept: Collection[str]) -> None:
        self._kept = kept

    def is_in_flight(self, row: Row) -> bool:
        return row.process_id in self._kept

    def saw_end(self, row: Row) -> bool:
        return row.process_id not in self._kept


class Leftovers:
    """What one owner leaves behind: settled by line 7 of the verdict, or given back.

    Args:
        registry: where the rows are.
        owner: whose drain it is.
        kept: what must be left, by process id, with the reason: it still runs, or its result is not yet written.
        expected: ids that are known to need settling; the report names them if the server does not answer.
        never_begun: what the tokens of starts begin with under which no code was entered, nor will be (rule 4.5).
        detail: what the evidence says beside *ended_here*, e.g. an exit status.

    Attributes:
        released: ids of what was given back.
    """

    def __init__(
        self,
        registry: ProcessRegistry,
        owner: LeaseOwner,
        *,
        kept: dict[str, str] | None = None,
        expected: Collection[str] = (),
        never_begun: tuple[str, ...] = (),
        detail: str = "drained",
    ) -> None:
        self._registry = registry
        self._owner = owner
        self._me = owner_digest(owner)
        self._kept = kept or {}
        self._expected = expected
        self._never_begun = never_begun
        self._judge = Judge(self._me, no_proof, _Ended(self._kept), detail)
        self._abandoned: list[str] = []
        self._unreadable: set[str] = set()
        self._unanswered: dict[str, Judged] = {}  # what was sent to be settled, and may have been
        self.released: set[str] = set()

    async def release_unstarted(self) -> None:
        """Release what is leased and not started, whether this worker knows of it or not."""
        first_error = FirstError()
        for partition in range(self._registry.partitions):
            with first_error.kept():
                async for rows in self._owned(partition):
                    await self._release([row for row in rows if not row.has_begun])
        first_error.raise_it()

    async def settle(self, budget_ms: int) -> DrainReport:
        """Settle all of it, retrying for ``budget_ms`` while the server does not answer; report what was left."""
        trouble, deadline, why = Trouble("settle", 0.05, 0.5), boottime_ms() + budget_ms, ""
        while True:
            try:
                deferred = await within(deadline - boottime_ms(), self._settle_once())
            except TimeoutError as error:
                return self._report(self._kept | self._unknown(why or str(error)))
            except SURVIVED as error:  # the drain goes on, whatever the server says
                why, wait_s = text_of(error), trouble.met(error)
                if boottime_ms() >= deadline:
                    return self._report(self._kept | self._unknown(why))
                await sleep(wait_s)
            else:
                return self._report(self._kept | deferred)

    def _unknown(self, why: str) -> dict[str, str]:
        """Return what is known to be left, and that there may be more, since the server does not answer."""
        known = {process_id: why for process_id in self._expected if process_id not in self._abandoned}
        rest = whatever_else(self._owner, why)
        return known | {rest.process_id: rest.reason}

    def _report(self, deferred: dict[str, str]) -> DrainReport:
        left = [Deferred(process_id, reason) for process_id, reason in deferred.items()]
        return DrainReport(self._abandoned, left, len(self.released))

    async def _settle_once(self) -> dict[str, str]:
        deferred, first_error = dict[str, str](), FirstError()
        if self._unanswered:  # what was settled has left the index, and is told by its own settlement alone
            with first_error.kept():
                await self._settle(list(self._unanswered.values()), {})
        for partition in range(self._registry.partitions):
            with first_error.kept():
                deferred |= await self._settle_in(partition)
        first_error.raise_it()
        return dict.fromkeys(sorted(self._unreadable - self._kept.keys()), UNREADABLE) | deferred

    async def _settle_in(self, partition: int) -> dict[str, str]:
        """Settle what lies in one partition; return why what is left is left, by id."""
        left: dict[str, str] = {}
        for _ in range(_MOST_PASSES):  # rows leave the index while its pages are read
            left.clear()
            moved = 0
            async for rows in self._owned(partition):
                moved += await self._unstart([row for row in rows if self._was_never_begun(row)], left)
                begun = [row for row in rows if not self._was_never_begun(row)]
                back = [row for row in begun if self._goes_back(row)]
                await self._release(back)
                moved += len(back) + await self._abandon([row for row in begun if row not in back], left)
            if not moved:
                break
        return left

    async def _owned(self, partition: int) -> AsyncIterator[list[Row]]:
        start: PageStart | None = PageStart()
        while start is not None:
            page = await self._registry.page(partition, owned_index(self._me), start)
            self._unreadable.update(page.unreadable)
            yield [row for row in page.rows if row.process_id not in self._kept]
            start = page.next

    def _was_never_begun(self, row: Row) -> bool:
        is_mine = self._me in (row.holder_digest, row.starter_digest)
        # What became uncertain has no lease any more, and the token of its start.
        return is_mine and (row.token or row.start_token).startswith(self._never_begun)

    async def _unstart(self, rows: list[Row], deferred: dict[str, str]) -> int:
        """Give back whole what was started and never begun; note what changed, and return how many rows moved."""
        leases = [lease for row in rows if (lease := await self._lease_to_unstart(row)) is not None]
        words = await self._registry.unstart_many(leases) if leases else []
        done = {lease.process_id for lease, word in zip(leases, words, strict=True) if word == "DONE"}
        self.released |= done
        gone = {lease.process_id for lease, word in zip(leases, words, strict=True) if word in _NOT_OURS}
        deferred |= {row.process_id: _CHANGED for row in rows if row.process_id not in done | gone}
        return len(done) + words.count("LOST")  # what lost its lease meanwhile is claimed again by the next pass

    async def _lease_to_unstart(self, row: Row) -> ProcessLease | None:
        if row.is_live or row.disposition is not RecoveryDisposition.OWNER_BOUND:
            return row.lease()
        answer = await self._registry.claim(row.process_id, self._owner, _CLAIM_AGAIN_MS)
        return answer.lease if isinstance(answer, Acquired) else None

    def _goes_back(self, row: Row) -> bool:
        started_here = row.disposition is RecoveryDisposition.OWNER_BOUND and row.starter_digest == self._me
        return row.holder_digest == self._me and not started_here

    async def _release(self, rows: list[Row]) -> None:
        leases = [lease for row in rows if row.holder_digest == self._me and (lease := row.lease()) is not None]
        if leases:
            were_ours = await self._registry.release_many(leases)
            self.released |= {lease.process_id for lease, is_ours in zip(leases, were_ours, strict=True) if is_ours}

    async def _abandon(self, rows: list[Row], deferred: dict[str, str]) -> int:
        """Settle what the table says is abandoned; note why the rest is left, and return how much was settled."""
        judged = self._judge.judged(rows)
        for each in judged:
            if each.verdict.action is not Action.ABANDON and not each.row.is_terminal:
                holder = each.row.holder.owner_id if each.row.holder else "nobody"
                deferred[each.row.process_id] = f"held by {holder}" if each.row.is_live else each.verdict.text
        return await self._settle([each for each in judged if each.verdict.action is Action.ABANDON], deferred)

    async def _settle(self, judged: list[Judged], deferred: dict[str, str]) -> int:
        self._unanswered |= {each.row.process_id: each for each in judged}
        settled = await carry_out(self._registry, judged)
        for each in judged:
            del self._unanswered[each.row.process_id]
        for each, stands in settled:
            if stands:
                self._abandoned.append(each.row.process_id)
            else:
                deferred[each.row.process_id] = _CHANGED
        return len(settled)

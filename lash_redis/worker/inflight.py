"""What runs here: attempts are begun, end, and go to the outbox; leases are judged, requests delivered.

The middle of a worker: above it is what decides when to claim, sweep and drain; below it are the parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.lanes import lane_parts
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Outcome, ProcessLease
from lash_redis.core.timing import boottime_ms
from lash_redis.registry.answers import ClaimedRow, RenewedRow
from lash_redis.registry.keys import owner_digest, partition_of
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row
from lash_redis.tasks.catalogue import Catalogue
from lash_redis.worker.attempt import Attempt, Roster, Stop
from lash_redis.worker.claimer import Claimed, Claimer
from lash_redis.worker.keeper import Keeper, deliver_row
from lash_redis.worker.outbox import Claim, Outbox
from lash_redis.worker.runner import Runner
from lash_redis.worker.settings import WorkerSettings


class InFlight:
    """The processes that one worker has in hand, from claim to written result. It is the sweep's ``Local``."""

    def __init__(
        self,
        registry: ProcessRegistry,
        catalogue: Catalogue,
        owner: LeaseOwner,
        settings: WorkerSettings,
        on_change: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._owner = owner
        self._me = owner_digest(owner)
        self._settings = settings
        self.changed = on_change
        self._successors: dict[str, Attempt] = {}
        self._reclaiming: set[str] = set()
        self._background: set[asyncio.Task[None]] = set()
        self.ended_without_result: list[str] = []
        self.roster = Roster()
        self.runner = Runner(catalogue, self._on_end)
        self.outbox = Outbox(registry, self.roster, settings.lease_ttl_ms, on_change)
        self.keeper = Keeper(
            self.roster,
            settings.lease_ttl_ms,
            lambda process_id: partition_of(process_id, registry.partitions),
            self._on_lost,
            self._on_unknown,
        )
        served = catalogue.lanes(settings.queues)
        self.claimer = Claimer(registry, owner, list(zip(settings.queues, served, strict=True)), settings.lease_ttl_ms)
        self.lanes = frozenset(lane for lanes in served for lane in lanes)

    @property
    def room(self) -> int:
        """How many more may be claimed: each running one has a slot, and many unwritten results stop it too."""
        width = self._settings.concurrency
        return min(width - self.roster.running - len(self._successors), 4 * width - len(self.roster), 500)

    async def claim(self, partition: int) -> int:
        """Claim what there is room for and begin it; return how many.

        Raises:
            RegistryUnavailable: no answer; what it may have handed out comes with the next call.
        """
        claimed = await self.claimer.claim(partition, max(self.room, 1))
        for row in claimed.rows:
            self._take(row, claimed)
        return len(claimed.rows)

    def _take(self, row: ClaimedRow, claimed: Claimed) -> None:
        lease = ProcessLease(
            row.process_id, self._owner, row.token, row.fence, claimed.claimed_at_ms, claimed.expires_at_ms
        )
        here = self.roster.get(row.process_id)
        if here is not None and here.lease.token == row.token:
            return
        if here is not None and here.has_result:
            # Its result is not written yet, and the row is ours again: nothing has to run twice.
            here.claimed_again(lease, claimed.sent_at_ms, self._settings.lease_ttl_ms)
            return
        task = lane_parts(row.lane)[1]
        attempt = Attempt(lease, task, bound=row.disposition == b"o", encoded_input=row.input)
        attempt.trust(claimed.sent_at_ms, self._settings.lease_ttl_ms)
        if here is not None and not here.ended:
            # A worker never runs two attempts of one process at once (design, section 4).
            self._successors[row.process_id] = attempt
        else:
            self._begin(attempt)

    def _begin(self, attempt: Attempt) -> None:
        if not attempt.bound and boottime_ms() >= attempt.trusted_until_ms:
            # A late reply: rerunnable work outside the trust window is not begun (design, section 4).
            self.outbox.give_back(attempt.lease)
            return
        self.roster.add(attempt)
        self.runner.begin(attempt)

    def _on_end(self, attempt: Attempt, outcome: Outcome | None) -> None:
        if attempt.ended:
            return
        self.roster.end(attempt)
        if attempt.stop is Stop.TERMINAL:
            self.roster.forget(attempt)
        elif outcome is None and attempt.bound:
            # Only a drain stops owner-bound work; it settles what it stopped (verdict, line 7).
            self.ended_without_result.append(attempt.process_id)
            self.roster.forget(attempt)
        elif outcome is None:
            self.outbox.give_back(attempt.lease, attempt)
        else:
            attempt.has_result = True
            self.outbox.write(attempt, outcome)
        successor = self._successors.pop(attempt.process_id, None)
        if successor is not None and outcome is None:
            self._begin(successor)
        elif successor is not None:
            attempt.lease = successor.lease  # its result is there: nothing has to run twice
        self.changed()

    def stop_all(self) -> None:
        """Ask all that runs to stop, and begin nothing that waited for its end."""
        for successor in self._successors.values():
            self.outbox.give_back(successor.lease)
        self._successors.clear()
        for attempt in self.roster:
            attempt.ask_to_stop(Stop.DRAIN)

    # ── leases and requests ────────────────────────────────────────────────────────────────────────────────────────

    def _on_lost(self, attempt: Attempt) -> None:
        if attempt.process_id not in self._reclaiming:
            self._reclaiming.add(attempt.process_id)
            self._in_background(self._claim_bound_again(attempt))

    async def _claim_bound_again(self, attempt: Attempt) -> None:
        try:
            if await self.outbox.claim_again(attempt) is Claim.OVER:
                attempt.ask_to_stop(Stop.TERMINAL)
        except RegistryUnavailable:
            pass  # the next renewal that is answered says so again
        finally:
            self._reclaiming.discard(attempt.process_id)

    def _on_unknown(self, row: RenewedRow) -> None:
        """Give back what a late copy of a claim leased: it would be renewed for ever."""
        if self.claimer.unanswered or self.outbox.claiming:
            return
        successor = self._successors.get(row.process_id)
        if successor is None or boottime_ms() >= successor.trusted_until_ms:
            self._successors.pop(row.process_id, None)  # its old run does not end: let others have it
            self.outbox.give_back(ProcessLease(row.process_id, self._owner, row.token, row.fence, 0, 0))

    def look_at_request(self, process_id: str) -> None:
        """Read a request that was made of a process held here, and deliver it."""
        if process_id in self.roster:
            self._in_background(self._deliver(process_id))

    async def _deliver(self, process_id: str) -> None:
        try:
            row = await self._registry.row(process_id)
        except RegistryUnavailable:
            return  # the next renewal brings it
        attempt = self.roster.get(process_id)
        if row is not None and attempt is not None:
            deliver_row(attempt, row)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # ── what only this worker knows ────────────────────────────────────────────────────────────────────────────────

    def has_in_hand(self, row: Row) -> bool:
        """Say whether it runs here, is about to, or has a result not yet written (verdict, line 5)."""
        if row.process_id in self.roster or row.process_id in self._successors:
            return True
        unknown = bool(self.claimer.unanswered) or bool(self.outbox.claiming)
        return unknown and row.holder_digest == self._me

    def saw_end(self, row: Row) -> bool:
        """Outside a drain, what ended here without a result is given back at once."""
        del row
        return False

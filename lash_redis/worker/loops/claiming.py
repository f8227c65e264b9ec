"""Claiming: as long as there is room, ask a partition that may have work."""

from __future__ import annotations

from lash_redis.core.errors import ForkedCopy, LashError, NamespaceMismatch, RecordedDead
from lash_redis.core.events import WorkerRecordedDead, WorkerStoppedClaiming
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import boottime_ms
from lash_redis.core.trouble import SURVIVED, Trouble
from lash_redis.worker.changes import Changes
from lash_redis.worker.inflight import InFlight


class Claiming:
    """Claims whenever something changed, and begins what the claims bring.

    Args:
        in_flight: what runs here, and how many more may.
        changes: says when to look again.

    Attributes:
        refusals: why a partition (None: any) is not claimed from.
    """

    def __init__(self, in_flight: InFlight, changes: Changes) -> None:
        self._in_flight = in_flight
        self._claimer = in_flight.claimer
        self._changes = changes
        self._troubles: dict[int, Trouble] = {}  # by partition, as the next: one that fails holds up no other
        self._due_at_ms: dict[int, int] = {}
        self._is_paused = False
        self.refusals: dict[int | None, str] = {}

    @property
    def may_claim(self) -> bool:
        """There is room, and the server is safe."""
        return self._in_flight.room > 0 and not self._is_paused

    async def run(self) -> None:
        """Claim until the claimer leaves.

        Raises:
            RecordedDead: others take this worker for dead.
            ForkedCopy: this OS process is a copy of the worker's.
        """
        self._claimer.ask_all()
        while not self._claimer.is_leaving:
            await self.step()

    async def step(self) -> None:
        """Claim once from the partition whose turn it is, or wait for a change if there is nothing to ask for.

        Raises:
            RecordedDead: others take this worker for dead.
            ForkedCopy: this OS process is a copy of the worker's.
        """
        if self._in_flight.lanes.renew():
            self._claimer.ask_all()
        asked_at_ms = boottime_ms()
        await self._claimer.ask_due(self.may_claim_from)
        partition = self._claimer.next_partition(self.may_claim_from, self._is_due)
        if partition is None:
            await self._changes.wait(self._until_due_s(asked_at_ms))
            return
        trouble = self._troubles.setdefault(partition, Trouble("claim"))
        try:
            await self._in_flight.claim(partition)
        except (RecordedDead, ForkedCopy) as error:
            if isinstance(error, RecordedDead):
                emit(WorkerRecordedDead(owner=error.owner.owner_id, incarnation=error.owner.incarnation_id))
            raise
        except NamespaceMismatch as error:
            self._refused(partition, error)
        except SURVIVED as error:  # no error but those above ends the claims
            self._due_at_ms[partition] = boottime_ms() + int(1000 * trouble.met(error))
        else:
            trouble.over()
            self.refusals.pop(partition, None)

    def pause(self, error: LashError) -> None:
        """Claim no more until ``resume``."""
        self._is_paused = True
        self._refused(None, error)

    def resume(self) -> None:
        """Claim again."""
        self._is_paused = False
        self.refusals.pop(None, None)
        self._changes.notify()

    def may_claim_from(self, partition: int) -> bool:
        """Say whether it may, and the leases in a partition are renewed (rule 6.5)."""
        return self.may_claim and self._in_flight.keeper.may_claim(partition)

    def _is_due(self, partition: int) -> bool:
        return self._due_at_ms.get(partition, 0) <= boottime_ms()

    def _until_due_s(self, asked_at_ms: int) -> float | None:
        """Return how long until the next partition may be asked again that was not due when all were asked, s.

        One waits that failed, and one in which work was left to others; all wait for a new list of lanes. None if none
        waits.
        """
        waiting = [at_ms for at_ms in (*self._due_at_ms.values(), *self._claimer.left_until_ms) if at_ms > asked_at_ms]
        waiting += self._claimer.due.at_ms
        if (due_ms := self._in_flight.lanes.due_ms) is not None:
            waiting.append(due_ms)
        return max(min(waiting) - boottime_ms(), 1) / 1000 if waiting else None

    def _refused(self, partition: int | None, error: LashError) -> None:
        """Report once that a partition or the server is not what it was; the slow poll looks again."""
        if self.refusals.get(partition) != str(error):
            self.refusals[partition] = str(error)
            emit(WorkerStoppedClaiming(reason=str(error), partition=partition))

"""Claiming: as long as there is room, ask a partition that may have work."""

from __future__ import annotations

from lash_redis.core.errors import LashError, RegistryUnavailable
from lash_redis.core.events import WorkerStoppedClaiming, WorkerUnavailable
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import backoff, jittered
from lash_redis.worker.changes import Changes
from lash_redis.worker.inflight import InFlight


class Claiming:
    """Claims whenever something changed, and begins what the claims bring.

    Args:
        in_flight: what runs here, and how many more may.
        changes: says when to look again.
        retry_ms: how long to wait after a refusal.
    """

    def __init__(self, in_flight: InFlight, changes: Changes, retry_ms: int) -> None:
        self._in_flight = in_flight
        self._claimer = in_flight.claimer
        self._changes = changes
        self._retry_s = retry_ms / 1000
        self._failures = 0
        self._is_paused = False
        self.refusal = ""

    @property
    def may_claim(self) -> bool:
        """There is room, the leases are renewed, and the server is safe."""
        return self._in_flight.room > 0 and self._in_flight.keeper.may_claim and not self._is_paused

    async def run(self) -> None:
        """Claim until the claimer leaves."""
        self._claimer.ask_all()
        while not self._claimer.is_leaving:
            await self.step()

    async def step(self) -> None:
        """Claim once from the partition whose turn it is, or wait for a change if there is nothing to ask for."""
        partition = self._claimer.next_partition() if self.may_claim or self._claimer.unanswered else None
        if partition is None:
            await self._changes.wait()
            return
        try:
            await self._in_flight.claim(partition)
        except RegistryUnavailable as error:
            self._failures += 1
            emit(WorkerUnavailable(operation="claim", reason=str(error)))
            await self._changes.wait(jittered(backoff(self._failures, 0.05, 2.0), 0.2))
        except LashError as error:
            self._refused(error)
            self._claimer.may_have_more.clear()
            await self._changes.wait(self._retry_s)
        else:
            self._failures, self.refusal = 0, ""

    def pause(self, error: LashError) -> None:
        """Claim no more until ``resume``."""
        self._is_paused = True
        self._refused(error)

    def resume(self) -> None:
        """Claim again."""
        self._is_paused = False
        self._changes.notify()

    def _refused(self, error: LashError) -> None:
        """Report once that the namespace or the server is not what it was; the slow poll looks again."""
        if self.refusal != str(error):
            self.refusal = str(error)
            emit(WorkerStoppedClaiming(reason=str(error)))

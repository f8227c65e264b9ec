"""Running until empty: a worker that is to leave once nothing is left to do for it (``burst``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lash_redis.core.events import WorkerBurstWaits
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import boottime_ms
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.inflight import InFlight

TOLD_AFTER_MS: Final = 10_000  # until then others may be at what this worker waits for


class Leaving:
    """Looks whether nothing runs here, and nothing waits that this worker would run; then it drains.

    If it stays although nothing runs here, it says once for which row, and what that waits for.

    Rows of a paused queue or task do not wait for this worker. Delayed ones do only if that was asked for.

    Args:
        registry: where the rows are.
        in_flight: what runs here.
        leave: begins the drain.
        waits_for_delayed: stay while anything is delayed.
    """

    operation = "burst"
    every_s = 0.1
    spread = 0.2

    def __init__(
        self, registry: ProcessRegistry, in_flight: InFlight, leave: Callable[[], object], *, waits_for_delayed: bool
    ) -> None:
        self._registry = registry
        self._in_flight = in_flight
        self._leave = leave
        self._waits_for_delayed = waits_for_delayed
        self._idle_since_ms: int | None = None
        self._is_told = False

    async def step(self) -> None:
        """Look once.

        Raises:
            RegistryUnavailable: no answer; the next step looks again.
        """
        if not self._is_idle:
            self._idle_since_ms = None
            return
        waits = await self._what_waits()
        if not self._is_idle:
            self._idle_since_ms = None
        elif waits is None:
            self._leave()
        else:
            await self._stay_for(waits)

    @property
    def _is_idle(self) -> bool:
        """Nothing runs here or is left to write, and every partition was asked in vain."""
        here = self._in_flight
        if len(here.roster) or here.roster.running or here.waiting:
            return False
        return here.outbox.is_empty and here.claimer.is_quiet

    async def _what_waits(self) -> str | None:
        """Return the id of a row for which this worker stays, empty if it is a delayed one; None if it may leave."""
        served, any_delayed = self._in_flight.lanes.served, False
        for partition in range(self._registry.partitions):
            process_id, delayed = await self._registry.waiting(partition, served)
            if process_id:
                return process_id
            any_delayed = any_delayed or bool(delayed)
        return "" if self._waits_for_delayed and any_delayed else None

    async def _stay_for(self, process_id: str) -> None:
        now_ms = boottime_ms()
        self._idle_since_ms = self._idle_since_ms or now_ms
        if self._is_told or not process_id or now_ms - self._idle_since_ms < TOLD_AFTER_MS:
            return
        reason = await self._registry.waits_for_limit(process_id)
        self._is_told = True
        then = f"lash-redis show {process_id} says what ends that; SIGTERM ends this worker"
        emit(WorkerBurstWaits(process_id=process_id, reason=reason or "it is queued", then=then))

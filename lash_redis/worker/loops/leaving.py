"""Running until empty: a worker that is to leave once nothing is left to do for it (``burst``)."""

from __future__ import annotations

from collections.abc import Callable

from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.inflight import InFlight


class Leaving:
    """Looks whether nothing runs here, and nothing waits that this worker would run; then it drains.

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

    async def step(self) -> None:
        """Look once.

        Raises:
            RegistryUnavailable: no answer; the next step looks again.
        """
        if self._is_idle and not await self._anything_waits() and self._is_idle:
            self._leave()

    @property
    def _is_idle(self) -> bool:
        """Nothing runs here or is left to write, and every partition was asked in vain."""
        here = self._in_flight
        if len(here.roster) or here.roster.running or here.waiting:
            return False
        return here.outbox.is_empty and here.claimer.is_quiet

    async def _anything_waits(self) -> bool:
        served = self._in_flight.lanes.served
        for partition in range(self._registry.partitions):
            waits, delayed = await self._registry.waiting(partition, served)
            if waits or (self._waits_for_delayed and delayed):
                return True
        return False

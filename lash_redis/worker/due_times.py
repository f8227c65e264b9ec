"""When something becomes due in a partition: a delayed row, or what an alarm asks for (rule 9.9)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from lash_redis.core.errors import LashError
from lash_redis.core.timing import boottime_ms
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.scheduling import Scheduling

_AGAIN_MS = 250  # after an outage


class DueTimes:
    """The next due time of each partition, as its last answer said. The server's clock decides what is due.

    Args:
        registry: of the partitions.
        scheduling: ticks the schedules that are due.
    """

    def __init__(self, registry: ProcessRegistry, scheduling: Scheduling) -> None:
        self._registry = registry
        self._scheduling = scheduling
        self._at_ms: dict[int, int] = {}

    def told(self, partition: int, in_ms: int | None) -> None:
        """Note that something becomes due in a partition in so many ms; None: nothing does."""
        self._at_ms.pop(partition, None)
        if in_ms is not None:
            self._at_ms[partition] = boottime_ms() + max(in_ms, 1)

    @property
    def at_ms(self) -> Iterable[int]:
        """When it becomes due, in each partition where something does (boot-time clock, ms)."""
        return self._at_ms.values()

    def passed(self) -> list[int]:
        """Return the partitions in which something has become due, each once."""
        now_ms = boottime_ms()
        passed = [partition for partition, at_ms in self._at_ms.items() if at_ms <= now_ms]
        for partition in passed:
            del self._at_ms[partition]
        return passed

    async def bring(self, partition: int) -> None:
        """Have what is due moved into its lanes, which wakes others."""
        in_ms: int | None = _AGAIN_MS
        with suppress(LashError):
            brought = await self._registry.bring_due(partition)
            in_ms = brought.next_in_ms
            if brought.schedules:
                await self._scheduling.tick(brought.schedules)
        self.told(partition, in_ms)

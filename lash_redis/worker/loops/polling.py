"""The slow poll: look for work in every partition now and then, in case a wake-up was lost (rule 9.3)."""

from __future__ import annotations

from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.changes import Changes
from lash_redis.worker.claimer import Claimer
from lash_redis.worker.stillness import MOST_MS, SPREAD, Stillness


class Polling:
    """Asks every partition again but those in which nothing waits, and asks these often enough to be remembered."""

    operation = "poll"
    spread = SPREAD

    def __init__(
        self, registry: ProcessRegistry, claimer: Claimer, changes: Changes, stillness: Stillness, every_ms: int
    ) -> None:
        self.every_s = min(every_ms, MOST_MS) / 1000
        self._registry = registry
        self._claimer = claimer
        self._changes = changes
        self._stillness = stillness

    async def step(self) -> None:
        """Have the next claims ask."""
        for partition in range(self._registry.partitions):
            if not self._stillness.may_rest(partition):
                self._claimer.ask(partition)
        self._changes.notify()

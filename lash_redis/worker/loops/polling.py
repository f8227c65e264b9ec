"""The slow poll: look for work in every partition now and then, in case a wake-up was lost (rule 9.3)."""

from __future__ import annotations

from lash_redis.registry.service import LIVING_MS
from lash_redis.worker.changes import Changes
from lash_redis.worker.claimer import Claimer

# Also with the spread a worker calls within the time after which it counts as gone (rules 9.4 and 9.8).
MOST_MS = LIVING_MS * 2 // 3


class Polling:
    """Asks every partition again."""

    operation = "poll"
    spread = 0.33

    def __init__(self, claimer: Claimer, changes: Changes, every_ms: int) -> None:
        self.every_s = min(every_ms, MOST_MS) / 1000
        self._claimer = claimer
        self._changes = changes

    async def step(self) -> None:
        """Have the next claims ask every partition."""
        self._claimer.ask_all()
        self._changes.notify()

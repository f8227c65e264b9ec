"""Partitions in which nothing waits, as the sweeps see them: there a worker asks less often (rule 9.3).

A sweep glances at each partition every few seconds, for a fraction of what a claim costs. So a wake-up that was lost is
made up for by the next sweep, and the slow polls can wait until the worker would be forgotten.
"""

from __future__ import annotations

from typing import Final

from lash_redis.core.timing import boottime_ms
from lash_redis.registry.calls.glancing import Glance
from lash_redis.registry.service import LIVING_MS
from lash_redis.worker.changes import Changes
from lash_redis.worker.claimer import Claimer

# Between two slow polls, at most, and by how much that varies: a worker calls within the time after which it counts as
# gone (rules 9.4 and 9.8).
MOST_MS: Final = LIVING_MS * 2 // 3
SPREAD: Final = 0.33
# Where nothing waits, one of so many slow polls is made at least, and one within so long.
POLLS: Final = 6
_REST_MS: Final = LIVING_MS * 3 // 4


class Stillness:
    """Knows where nothing waits.

    Args:
        claimer: asks where something does.
        changes: notified then.
        poll_ms: between two slow polls, ms.
    """

    def __init__(self, claimer: Claimer, changes: Changes, poll_ms: int) -> None:
        self._claimer = claimer
        self._changes = changes
        self._step_ms = int(min(poll_ms, MOST_MS) * (1 + SPREAD))
        self._most_ms = min(POLLS * poll_ms, _REST_MS)
        self._still_at_ms: dict[int, int] = {}
        self._busy: set[int] = set()

    def glanced(self, partition: int, glance: Glance) -> None:
        """Take notice of what a sweep saw. What nobody has told this worker of is asked for at once."""
        if not glance.work:
            self._still_at_ms[partition] = boottime_ms()
            self._busy.discard(partition)
        elif partition not in self._busy:
            self._busy.add(partition)
            self._still_at_ms.pop(partition, None)
            self._claimer.ask(partition)
            self._changes.notify()

    def may_rest(self, partition: int, *, claims_first: bool = False) -> bool:
        """Say whether a slow poll may be left out: nothing waits, and the next one comes early enough.

        With ``claims_first`` what is left out does what a claim does too, and that claim comes before.
        """
        now_ms, told_at_ms = boottime_ms(), self._claimer.remembering.noted_ms(partition)
        still_at_ms = self._still_at_ms.get(partition)
        if told_at_ms is None or still_at_ms is None:
            return False
        until_ms = self._most_ms + self._step_ms * (1 if claims_first else -1)
        return now_ms - still_at_ms < self._step_ms and now_ms - told_at_ms < until_ms

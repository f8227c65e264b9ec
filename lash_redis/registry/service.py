"""Whether a worker that lives serves a lane, and the words for why work in it waits. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from lash_redis.core.errors import SettingsError
from lash_redis.core.lanes import lane_parts

# For so long a worker counts as living after its last call. What it does again and again, it does more often (rules 9.4
# and 9.8).
LIVING_MS: Final = 60_000


class Living(msgspec.Struct, frozen=True):
    """Who called a partition within the last minute.

    Attributes:
        owners: how many owners of leases, which are workers.
        queues: those that workers served, by name.
    """

    owners: int
    queues: tuple[str, ...]


class LaneService(msgspec.Struct, frozen=True):
    """What the workers that called within the last minute say of one lane.

    Attributes:
        lane: which, without the mark of rows that run alone.
        lists: how many lists of lanes were served within the last minute, in its partition.
        is_served: some worker serves the lane.
        is_known: some worker serves its task in its queue, if only with other signatures.
        is_certain: all those lists were looked at; else nothing can be said of a lane that is not served.
        near: a lane of a task like it that is served, if nobody knows this one; empty if none was looked for or found.
    """

    lane: str
    lists: int
    is_served: bool
    is_known: bool
    is_certain: bool = True
    near: str = ""

    @property
    def is_unserved(self) -> bool:
        """Nobody declares its task in its queue, for certain."""
        return self.is_certain and not self.is_served and not self.is_known

    @property
    def why_it_waits(self) -> str:
        """Why work in this lane waits, as words that follow "queued: "; empty if it is served."""
        if self.is_served:
            return ""
        if not self.lists:
            return "no worker seems to run: none has called Redis within the last minute"
        if not self.is_certain:
            return f"unknown whether a worker serves it: workers have {self.lists} lists of lanes, too many to look at"
        if self.is_known:
            return "workers that called within the last minute declared it only with other signatures"
        nobody = "no worker that called within the last minute"
        try:
            queue, task, _ = lane_parts(self.lane)
        except SettingsError:  # of a newer release (rule 8.15)
            return f"{nobody} serves lane {self.lane!r}"
        if not task:
            return f"{nobody} serves queue {queue!r}"
        return f"{nobody} declares it{self._near(queue, task)}"

    def _near(self, queue: str, task: str) -> str:
        if not self.near:
            return f" in queue {queue!r}"
        other_queue, other_task, _ = lane_parts(self.near)
        if other_task == task:
            return f" in queue {queue!r}; some do in queue {other_queue!r}"
        where = "" if other_queue == queue else f" in queue {other_queue!r}"
        return f"; some declare {other_task!r}{where}"

"""Whether a worker that lives serves a lane, and the words for why work in it waits. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from lash_redis.core.lanes import lane_parts

LIVING_MS: Final = 60_000  # a list of lanes is served if a worker that has it called since; each calls every 10 s


class LaneService(msgspec.Struct, frozen=True):
    """What the workers that live say of one lane.

    Attributes:
        lane: which, without the mark of rows that run alone.
        lists: how many lists of lanes are served at all, in its partition.
        is_served: some worker serves the lane.
        is_known: some worker serves its task in its queue, if only with other signatures.
        near: a lane of a task like it that is served, if nobody knows this one; empty if there is none.
    """

    lane: str
    lists: int
    is_served: bool
    is_known: bool
    near: str = ""

    @property
    def why_it_waits(self) -> str:
        """Why work in this lane waits, as words that follow "queued: "; empty if it is served."""
        queue, task, _ = lane_parts(self.lane)
        if self.is_served:
            return ""
        if not self.lists:
            return "no worker lives"
        if self.is_known:
            return "workers that live declare it only with other signatures"
        if not task:
            return f"no worker that lives serves queue {queue!r}"
        return f"no worker that lives declares it{self._near(queue, task)}"

    def _near(self, queue: str, task: str) -> str:
        if not self.near:
            return f" in queue {queue!r}"
        other_queue, other_task, _ = lane_parts(self.near)
        if other_task == task:
            return f" in queue {queue!r}; some do in queue {other_queue!r}"
        where = "" if other_queue == queue else f" in queue {other_queue!r}"
        return f"; some declare {other_task!r}{where}"

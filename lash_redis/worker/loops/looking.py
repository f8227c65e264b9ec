"""Looking for lanes of other releases, now and then and where a wake-up names one (rules 9.3 and 9.7)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from lash_redis.core.first_error import FirstError
from lash_redis.core.lanes import plain_lane
from lash_redis.core.terms import Terms
from lash_redis.core.timing import boottime_ms
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.changes import Changes
from lash_redis.worker.inflight import InFlight
from lash_redis.worker.stillness import MOST_MS, SPREAD, Stillness


class Looking:
    """Looks at the lanes that have rows of this worker's tasks; also while it has no room to claim.

    With each look the partitions note that a worker lives which serves these lanes. So one that leaves does not look.
    """

    operation = "look"
    spread = SPREAD

    def __init__(
        self, registry: ProcessRegistry, in_flight: InFlight, changes: Changes, stillness: Stillness, every_ms: int
    ) -> None:
        self.every_s = min(every_ms, MOST_MS) / 1000
        self._registry = registry
        self._in_flight = in_flight
        self._lanes = in_flight.lanes
        self._claimer = in_flight.claimer
        self._changes = changes
        self._stillness = stillness
        self._under_way = 0

    @property
    def is_under_way(self) -> bool:
        """Whether a look has no answer yet. When it reaches a partition, that notes that this worker lives."""
        return self._under_way > 0

    async def step(self) -> None:
        """Look in every partition but those in which nothing waits and that a claim has told of this worker lately.

        Raises:
            LashError: no answer from a partition; the others were looked at.
        """
        began_ms = boottime_ms()
        claims_first = self._in_flight.room > 0
        rests = partial(self._stillness.may_rest, claims_first=claims_first)
        await self._look_in([each for each in range(self._registry.partitions) if not rests(each)])
        self._lanes.looked(began_ms)

    async def look(self, partition: int | None = None) -> None:
        """Look at all lanes of this worker's tasks in one partition, or in every one (None).

        Raises:
            LashError: no answer from a partition; the others were looked at.
        """
        await self._look_in(range(self._registry.partitions) if partition is None else (partition,))

    async def _look_in(self, partitions: Iterable[int]) -> None:
        first_error = FirstError()
        for each in partitions:
            with first_error.kept():
                await self._look_at(each, self._lanes.beginnings)
        first_error.raise_it()

    async def look_at(self, partition: int, lane: str) -> None:
        """Look at one lane.

        Raises:
            LashError: no answer.
        """
        await self._look_at(partition, [plain_lane(lane)])

    async def _look_at(self, partition: int, beginnings: list[str]) -> None:
        if self._claimer.is_leaving:
            return
        self._under_way += 1
        try:
            await self._registry.terms_stored(Terms(policies=self._lanes.policies), [partition])
            found = await self._registry.filled_lanes(partition, self._lanes.served, beginnings)
            if unnamed := self._lanes.unnamed(found):
                await self._registry.name_signatures(partition, unnamed)
        finally:
            self._under_way -= 1
            if self._claimer.is_leaving:
                self._changes.notify()  # the drain waits for it
        if self._lanes.adopt(found):
            self._claimer.ask_all()
        self._changes.notify()  # also where a new list of lanes is due only later

"""Schedules, as a worker sees to them: its code's are declared at its start, and those that are due are ticked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from lash_redis.core.events import ScheduleMissed, ScheduleRefused, ScheduleTicked, ScheduleUndeclared
from lash_redis.core.schedules import DueSchedule, Schedule, ScheduleDeclaration, Ticked
from lash_redis.core.subscribers import emit
from lash_redis.core.tick_ids import tick_id
from lash_redis.core.timing import boottime_ms, sleep
from lash_redis.core.trouble import SURVIVED, Trouble
from lash_redis.registry.calls.ticks import planned
from lash_redis.registry.registry import ProcessRegistry

# How far a server's clock must have stepped back until all schedules are looked at. What a clock was ahead by less was
# no missed tick (see ``LATE_AFTER_S``), so that none is left out.
_STEP_MS = 60_000
_COMPUTED_AT_ONCE = 100


class Scheduling:
    """The schedules of a namespace. Any worker ticks any of them, whatever its tasks.

    Args:
        registry: where they are.
        declared: by the code of this worker.
        tasks: the names of its tasks.
    """

    def __init__(
        self, registry: ProcessRegistry, declared: Sequence[ScheduleDeclaration], tasks: Collection[str]
    ) -> None:
        self._registry = registry
        self._declared = declared
        self._tasks = tasks
        self._trouble = Trouble("tick")
        self._offset_ms = 0  # of the server's clock from the boot-time clock, at least

    async def reconcile(self) -> None:
        """Store what the code declares, note what it declares no more, and set back what a wrong clock set too late.

        Raises:
            LashError: no answer; to be called again.
        """
        if self._declared:
            await self._registry.declare_schedules(self._declared)
        schedules = await self._registry.all_schedules()
        await self._note_undeclared(schedules)
        await self._set_back(schedules)

    async def _note_undeclared(self, schedules: Iterable[Schedule]) -> None:
        names = {each.name for each in self._declared}
        for each in schedules:
            if each.task in self._tasks and each.name not in names and each.undeclared_at_ms is None:
                await self._registry.undeclare_schedule(each.name)
                emit(ScheduleUndeclared(schedule=each.name, task=each.task))

    async def _set_back(self, schedules: Iterable[Schedule]) -> None:
        """Have each schedule looked at in time whose next tick is earlier than it would be looked at."""
        plans = []
        for number, each in enumerate(schedules):
            if number % _COMPUTED_AT_ONCE == 0:
                await sleep(0)  # others get their turn: thousands of schedules take a second to compute
            if each.paused_at_ms is not None:
                continue
            due = DueSchedule(each.name, each.revision, each.from_ms, each.now_ms, each.rule)
            if (plan := planned(due)) is None or plan.next_ms is None:
                continue
            if each.due_at_ms is None or each.due_at_ms > plan.next_ms:
                plans.append(plan)
        if plans:
            self._tell(await self._registry.submit_ticks(plans))

    async def tick(self, due: Sequence[DueSchedule]) -> bool:
        """Submit what is due; say whether that was done. What cannot be done now is told to another worker soon."""
        try:
            plans = [plan for each in due if (plan := planned(each)) is not None]
            ticked = await self._registry.submit_ticks(plans)
        except SURVIVED as error:
            self._trouble.met(error)
            return False
        self._trouble.over()
        self._tell(ticked)
        return True

    def has_stepped_back(self, server_ms: int, sent_at_ms: int) -> bool:
        """Say whether the server's clock stepped back, by its time in an answer.

        Args:
            server_ms: the server's time; 0: there was no answer.
            sent_at_ms: when the call was sent, by the boot-time clock.
        """
        if not server_ms:
            return False
        answered_at_ms = boottime_ms()
        known, self._offset_ms = self._offset_ms, max(self._offset_ms, server_ms - answered_at_ms)
        if server_ms - sent_at_ms >= known - _STEP_MS:
            return False
        self._offset_ms = server_ms - answered_at_ms
        return True

    async def set_back(self) -> None:
        """Have each schedule looked at in time that a clock which was ahead set too late."""
        try:
            await self._set_back(await self._registry.all_schedules())
        except SURVIVED as error:  # the next worker that starts does the same
            self._trouble.met(error)

    def _tell(self, ticked: Iterable[Ticked]) -> None:
        for each in ticked:
            if each.is_stale:
                continue
            name, plan = each.plan.due.name, each.plan
            for instant in plan.submitted:
                if instant in each.refused:
                    emit(ScheduleRefused(schedule=name, instant_ms=instant))
                else:
                    emit(ScheduleTicked(schedule=name, process_id=tick_id(name, instant)))
            if plan.missed:
                emit(ScheduleMissed(schedule=name, ticks=len(plan.missed), last_ms=plan.missed[-1]))

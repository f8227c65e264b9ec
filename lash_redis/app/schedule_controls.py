"""What a ``Lash`` does with schedules: code declares them, and sees and changes those that are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from lash_redis.app.code_places import caller
from lash_redis.app.process import AppContext
from lash_redis.app.schedule_declarations import add_declaration, declaration_of
from lash_redis.app.schedules import Schedules
from lash_redis.app.task import Task
from lash_redis.core.durations import Duration
from lash_redis.core.schedules import LATE_AFTER_S, Missed, rule_of


class ScheduleControls:
    """The part of ``Lash`` that is about schedules."""

    _context: AppContext

    @property
    def schedules(self) -> Schedules:
        """The schedules that are stored, whoever declared them."""
        return Schedules(self._context)

    def schedule(
        self,
        name: str,
        task: Task[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        cron: str | None = None,
        every: Duration | None = None,
        zone: str | ZoneInfo | None = None,
        missed: Missed = "skip",
        late_after: Duration = LATE_AFTER_S,
        revision: int = 1,
    ) -> None:
        """Declare that a task is submitted again and again. Workers with the task store this when they start.

        Args:
            name: of the schedule. Each tick is a process ``name::<its time in ms>``, submitted once, ever.
            task: the task, or its ``options(...)``, which all ticks have then.
            args: of the call, at most 16 KiB with ``kwargs``.
            kwargs: of the call.
            cron: minute, hour, day of the month, month, day of the week; with six fields the first is the second.
            every: or an interval, seconds or a timedelta, at least 1 s. It ticks at whole multiples since 1970 (UTC).
            zone: the time zone of ``cron``; UTC unless given.
            missed: what becomes of ticks that come late, since no worker ran: ``"skip"``, ``"latest"`` (one for all of
                them), or ``("all", n)``, the newest n.
            late_after: how late a tick may come and not be missed, seconds or a timedelta.
            revision: raise it with each change; a lower one than that which is stored replaces nothing.

        Raises:
            SettingsError: a value is outside what is allowed, or another place in the code declares a
                schedule of that name otherwise.
            PayloadError: the task cannot be called with these arguments, or they are too long.
        """
        rule = rule_of(cron=cron, every=every, zone=zone, missed=missed, late_after=late_after)
        place = caller()
        declared = declaration_of(name, task, args, kwargs, rule=rule, revision=revision, location=place.location)
        add_declaration(self._context, declared, place)

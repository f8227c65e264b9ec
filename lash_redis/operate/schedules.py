"""What operators see of schedules: when each ticks next, in words, and what somebody should look at."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from contextlib import suppress
from typing import TypedDict

import msgspec

from lash_redis.core.error_text import text_of
from lash_redis.core.errors import SettingsError, UnknownSchedule
from lash_redis.core.lanes import plain_lane, unkeyed
from lash_redis.core.schedules import NAME, Schedule, times_of
from lash_redis.core.tick_ids import schedule_in
from lash_redis.operate.pausing import why_paused
from lash_redis.registry.registry import ProcessRegistry


class ScheduleView(TypedDict):
    """One schedule."""

    name: str
    revision: int
    rule: str
    spec: str
    zone: str
    missed: str
    late_after_ms: int
    task: str
    queue: str
    next_ms: int | None
    next: str
    last_tick_ms: int | None
    missed_ticks: int
    last_missed_ms: int | None
    refused_ticks: int
    last_refused_ms: int | None
    paused_at_ms: int | None
    paused_by: str | None
    pause_reason: str | None
    declared_at_ms: int
    undeclared_at_ms: int | None
    differs_at_ms: int | None
    now_ms: int  # the server's
    notes: list[str]


async def schedule_views(registry: ProcessRegistry) -> list[ScheduleView]:
    """Return all schedules, by name."""
    schedules = await registry.all_schedules()
    waits = await _why_ticks_wait(registry, schedules)
    return [_view(each, waits.get(each.name, "")) for each in schedules]


class ScheduleOf(msgspec.Struct, frozen=True):
    """Of which schedule a process is.

    Attributes:
        name: of the schedule.
        instant_ms: its tick of this instant; None: it was run by hand.
        instant: in words, as the clocks of its zone show it; empty for one that was run by hand.
    """

    name: str
    instant_ms: int | None
    instant: str


async def schedule_of(registry: ProcessRegistry, process_id: str, task: str) -> ScheduleOf | None:
    """Return of which schedule a process is; None if it is of none that is stored."""
    if (found := schedule_in(process_id)) is None:
        return None
    name, instant_ms = found
    with suppress(SettingsError):
        NAME.checked("the name of a schedule", name)
        return await _schedule_of(registry, name, instant_ms, task)
    return None


async def _schedule_of(registry: ProcessRegistry, name: str, instant_ms: int | None, task: str) -> ScheduleOf | None:
    schedule = await registry.schedule_named(name)
    if schedule is None or schedule.task != task:
        return None
    if instant_ms is None:
        return ScheduleOf(name, None, "")
    return ScheduleOf(name, instant_ms, _moment(schedule, instant_ms))


class NextTime(TypedDict):
    """One of the times at which a schedule ticks next."""

    ms: int
    text: str


async def next_times(
    registry: ProcessRegistry, name: str, number: int = 5, start: dt.datetime | None = None
) -> list[NextTime]:
    """Return when a schedule ticks next, whether it is paused or not; fewer times if there are no more.

    Args:
        registry: of the schedule.
        name: of the schedule.
        number: at most so many times.
        start: those from then on, as the clocks of the schedule's zone show it unless it has a zone; None: from now on.

    Raises:
        UnknownSchedule: none of that name is stored.
        SettingsError: its times cannot be computed here.
    """
    schedule = await registry.schedule_named(name)
    if schedule is None:
        raise UnknownSchedule(name)
    times, after_ms = times_of(schedule.rule), schedule.now_ms
    if start is not None:
        moment = start if start.tzinfo else start.replace(tzinfo=times.zone)
        after_ms = int(moment.timestamp() * 1000) - 1
    found = itertools.islice(times.after(after_ms), number)
    return [{"ms": at_ms, "text": times.moment_in_words(at_ms)} for at_ms in found]


def _moment(schedule: Schedule, at_ms: int) -> str:
    try:
        return times_of(schedule.rule).moment_in_words(at_ms)
    except (SettingsError, ValueError, OverflowError):  # a zone that is not known here, a number that is no time
        return f"{at_ms} ms since 1970"


async def _why_ticks_wait(registry: ProcessRegistry, schedules: Sequence[Schedule]) -> dict[str, str]:
    """Return by the name of a schedule why its ticks would not run now; those that would are left out."""
    pauses = await registry.pauses() if schedules else []
    in_partition: dict[int, list[Schedule]] = {}
    for each in schedules:
        in_partition.setdefault(registry.partition_of(each.name), []).append(each)
    reasons = {}
    for partition, found in in_partition.items():
        lanes = {each.name: unkeyed(plain_lane(each.lane)) for each in found}
        services = await registry.served(partition, list(lanes.values()))
        for name, lane in lanes.items():
            if why := why_paused(pauses, lane) or services[lane].why_it_waits:
                reasons[name] = why
    return reasons


def _view(schedule: Schedule, why_it_waits: str) -> ScheduleView:
    rule, notes, next_ms = schedule.rule, _notes(schedule), None
    try:
        times, next_ms = times_of(rule), schedule.next_ms
    except SettingsError as error:
        words, following = rule.spec, "cannot be computed here"
        notes.append(text_of(error))
    else:
        words = times.in_words()
        following = "never" if next_ms is None else times.moment_in_words(next_ms)
    if schedule.paused_at_ms is not None:
        following = "paused"
    if why_it_waits:
        notes.append(f"its ticks wait: {why_it_waits}")
    return {
        "name": schedule.name,
        "revision": schedule.revision,
        "rule": words,
        "spec": rule.spec,
        "zone": rule.zone,
        "missed": rule.missed,
        "late_after_ms": rule.late_after_ms,
        "task": schedule.task,
        "queue": schedule.queue,
        "next_ms": next_ms,
        "next": following,
        "last_tick_ms": schedule.last_tick_ms,
        "missed_ticks": schedule.missed,
        "last_missed_ms": schedule.last_missed_ms,
        "refused_ticks": schedule.refused,
        "last_refused_ms": schedule.last_refused_ms,
        "paused_at_ms": schedule.paused_at_ms,
        "paused_by": schedule.pause.requested_by if schedule.pause else None,
        "pause_reason": schedule.pause.reason if schedule.pause else None,
        "declared_at_ms": schedule.declared_at_ms,
        "undeclared_at_ms": schedule.undeclared_at_ms,
        "differs_at_ms": schedule.differs_at_ms,
        "now_ms": schedule.now_ms,
        "notes": notes,
    }


def _notes(schedule: Schedule) -> list[str]:
    notes = []
    if schedule.pause is not None:
        why = f": {schedule.pause.reason}" if schedule.pause.reason else ""
        notes.append(f"paused by {schedule.pause.requested_by}{why}")
    if schedule.undeclared_at_ms is not None:
        notes.append("the code of a worker that has its task does not declare it: remove it, or start the right code")
    if schedule.differs_at_ms is not None:
        notes.append("the code declares other content with the same revision, which does not hold: raise its revision")
    if schedule.missed:
        notes.append(f"{schedule.missed} missed")
    if schedule.refused:
        notes.append(f"{schedule.refused} refused by a full queue")
    return notes

"""The ticks of schedules: read from notes of scripts, planned, and submitted. Pure (rule 12.1).

Lua knows no calendar. So a script answers that a schedule is due, here it is computed which of its ticks are, and
another script submits them if the schedule is still what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from lash_redis.core.error_text import text_of
from lash_redis.core.events import ScheduleNotTicked
from lash_redis.core.schedules import DueSchedule, ScheduleRule, Ticked, TickPlan
from lash_redis.core.subscribers import emit
from lash_redis.registry.calls.call import Argument, Call, Namespace, Steps
from lash_redis.registry.unreadable import readable

_TICK_BATCH: Final = 100  # schedules of one call, and their instants; the instants of one schedule go together


def due_in(note: str) -> DueSchedule:
    """Return the schedule that a note tells of (see ``read_schedule.lua``)."""
    _, now, name, revision, from_ms, zone, late, missed, spec = note.split(" ", 8)
    return DueSchedule(name, int(revision), int(from_ms), int(now), ScheduleRule(spec, zone, missed, int(late)))


def due_schedules(notes: Iterable[str]) -> list[DueSchedule]:
    """Return the schedules that notes of a reply tell of. One that nobody can read is told, and left to others."""
    told = [note for note in notes if note.startswith("tick ")]
    found = [readable("schedule", note.split(" ")[2], lambda note=note: due_in(note)) for note in told]  # type: ignore[misc]
    return [each for each in found if each is not None]


def planned(due: DueSchedule) -> TickPlan | None:
    """Return what is to be done with a schedule; None, after it was told, if that cannot be computed here."""
    try:
        return due.plan()
    except ValueError as error:  # a zone or a rule that is not known here, or what a newer release has written
        emit(ScheduleNotTicked(schedule=due.name, reason=text_of(error)))
        return None


def tick_schedules(namespace: Namespace, due: Iterable[DueSchedule]) -> Steps[list[Ticked]]:
    """Submit what is due of some schedules, and set when each is looked at again.

    Raises:
        SettingsError: of one schedule this machine does not know the time zone, or this release not the rule.
        LashError: no answer; other workers are told of them again.
    """
    return (yield from submit_ticks(namespace, [each.plan() for each in due]))


def submit_ticks(namespace: Namespace, plans: Sequence[TickPlan]) -> Steps[list[Ticked]]:
    """Do what ``tick_schedules`` does, by plans that are made."""
    ticked: dict[str, Ticked] = {}
    batches: dict[int, list[TickPlan]] = {}
    for plan in plans:
        partition = namespace.partition_of(plan.due.name)
        batch = batches.setdefault(partition, [])
        instants = sum(len(each.submitted) for each in (*batch, plan))
        if batch and (len(batch) == _TICK_BATCH or instants > _TICK_BATCH):
            ticked |= yield from _tick(partition, batch)
            batch.clear()
        batch.append(plan)
    for partition, batch in batches.items():
        ticked |= yield from _tick(partition, batch)
    return [ticked[plan.due.name] for plan in plans]


def _tick(partition: int, plans: Sequence[TickPlan]) -> Call[dict[str, Ticked]]:
    args: list[Argument] = []
    for plan in plans:
        due, next_ms = plan.due, "" if plan.next_ms is None else plan.next_ms
        last_missed = plan.missed[-1] if plan.missed else ""
        args += [due.name, due.revision, due.from_ms, due.now_ms, next_ms, len(plan.missed), last_missed]
        args += [len(plan.submitted), *plan.submitted]

    def decode(reply: list[Any]) -> dict[str, Ticked]:
        return {plan.due.name: _ticked(plan, answer.decode()) for plan, answer in zip(plans, reply[1:], strict=True)}

    return Call("tick", partition, args, decode, word=b"TICKED")


def _ticked(plan: TickPlan, answer: str) -> Ticked:
    if answer == "changed":
        return Ticked(plan, is_stale=True)
    refused = [instant for instant, word in zip(plan.submitted, answer[1:], strict=True) if word == "r"]
    return Ticked(plan, refused)

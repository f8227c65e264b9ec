"""Whether the schedules of a partition are sound: what is stored, when it is looked at, which ticks are known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from lash_redis.registry.keys import SCHEDULE_FIELDS

_REQUIRED = {"rv", "sp", "zo", "mi", "la", "dg", "d", "ln", "in", "cd", "fr", "du", "de"}


def bad_schedules(
    rows: dict[str, Any], named: Callable[[str], dict[str, Any]], index: Callable[[str], dict[str, float]]
) -> Iterator[str]:
    """Yield every contradiction: schedules that nothing looks at, instants of none, ticks that would come again."""
    schedules, ticks = named("schedule:"), named("ticks:")
    if schedules.keys() != index("schedules").keys():
        yield f"the schedules {sorted(schedules)} are listed as {sorted(index('schedules'))}"
    if stray := ticks.keys() - schedules.keys():
        yield f"there are instants of no schedule: {sorted(stray)}"
    alarms = {name[5:]: at for name, at in index("alarms").items() if name.startswith("tick ")}
    if stray := alarms.keys() - schedules.keys():
        yield f"there are alarms of no schedule: {sorted(stray)}"
    for name, schedule in schedules.items():
        if unknown := {each for each in schedule if each[0] != "x"} - SCHEDULE_FIELDS.keys():
            yield f"schedule {name} has the fields {sorted(unknown)}"
        if missing := _REQUIRED - schedule.keys():
            yield f"schedule {name} lacks the fields {sorted(missing)}"
            continue
        due = schedule["du"].decode()
        if (name in alarms) != bool(due) or (due and alarms[name] < int(due)):
            yield f"schedule {name} is due at {due!r}, its alarm is at {alarms.get(name)}"
        if "pa" in schedule and due:
            yield f"schedule {name} is paused, and due at {due}"
        kept = ticks.get(name, {})
        if len(kept) > 100 or any(not member.isdecimal() or int(member) != score for member, score in kept.items()):
            yield f"schedule {name} keeps the instants {kept}"
        submitted = {each.rpartition("::")[2] for each in rows if each.startswith(f"{name}::")}
        known_since = min(kept.values(), default=float("inf"))
        if again := {
            each for each in submitted - kept.keys() if re.fullmatch("[0-9]{13}", each) and int(each) > known_since
        }:
            yield f"schedule {name} has submitted {sorted(again)}, and does not know of it"

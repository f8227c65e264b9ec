"""When a schedule ticks: expressions in zones whose clocks change, intervals, and what is late."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lash_redis.core.cron import Times
from lash_redis.core.errors import SettingsError
from lash_redis.core.schedules import DueSchedule, ScheduleRule, rule_of

DAY_MS = 86_400_000


def ms(text: str) -> int:
    """Return a moment that ISO 8601 names."""
    return int(dt.datetime.fromisoformat(text).timestamp() * 1000)


def ticks(cron: str, zone: str, day: str) -> list[str]:
    """Return the wall times of the ticks of one day in a zone."""
    times, here = Times(f"cron {cron}", zone), ZoneInfo(zone)
    begin = dt.datetime.fromisoformat(day).replace(tzinfo=here)
    found: list[str] = []
    for at_ms in times.after(int(begin.timestamp() * 1000) - 1):
        moment = dt.datetime.fromtimestamp(at_ms / 1000, here)
        if moment.date() != begin.date():
            return found
        found.append(f"{moment:%H:%M%z}")
    return found


@pytest.mark.parametrize(
    ("zone", "day", "cron", "expected"),
    [
        # Clocks go forward: what falls into the hour that is left out comes once, right after it.
        ("Europe/Berlin", "2026-03-29", "30 2 * * *", ["03:00+0200"]),
        ("America/New_York", "2026-03-08", "30 2 * * *", ["03:00-0400"]),
        ("Australia/Lord_Howe", "2026-10-04", "15 2 * * *", ["02:30+1100"]),
        # Clocks go back: what falls into the hour that comes twice comes once.
        ("Europe/Berlin", "2026-10-25", "30 2 * * *", ["02:30+0200"]),
        ("America/New_York", "2026-11-01", "30 1 * * *", ["01:30-0400"]),
        ("Australia/Lord_Howe", "2026-04-05", "45 1 * * *", ["01:45+1100"]),
        # The hours around it are as ever.
        ("Europe/Berlin", "2026-10-25", "0 3 * * *", ["03:00+0100"]),
        ("Europe/Berlin", "2026-03-29", "0 4 * * *", ["04:00+0200"]),
    ],
)
def test_a_day_on_which_clocks_change_has_its_ticks(zone: str, day: str, cron: str, expected: list[str]) -> None:
    """Each of them once."""
    assert ticks(cron, zone, day) == expected


@pytest.mark.parametrize(
    ("zone", "day", "hours"), [("Europe/Berlin", "2026-03-29", 23), ("Europe/Berlin", "2026-10-25", 25)]
)
def test_what_ticks_each_hour_ticks_in_each_hour_that_passes(zone: str, day: str, hours: int) -> None:
    """It follows the time that passes, not the clock on the wall."""
    assert len(ticks("0 * * * *", zone, day)) == hours


@settings(max_examples=150, deadline=None)
@given(
    cron=st.sampled_from(["30 2 * * *", "15,45 1,2 * * *", "*/20 * * * *", "0 0 * * *", "0 3 * * 1-5", "0 */2 * * *"]),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    day=st.sampled_from(["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"]),
    offset_s=st.integers(-DAY_MS // 1000, 2 * DAY_MS // 1000),
    later_s=st.integers(0, DAY_MS // 1000),
)
def test_the_next_tick_does_not_depend_on_when_it_is_computed(
    cron: str, zone: str, day: str, offset_s: int, later_s: int
) -> None:
    """From each moment up to the tick it is the same one."""
    times, at_ms = Times(f"cron {cron}", zone), ms(f"{day}T00:00:00+00:00") + 1000 * offset_s
    following = times.next_after(at_ms)
    assert following is not None
    assert following > at_ms
    between = min(at_ms + 1000 * later_s, following - 1)
    assert times.next_after(between) == following


def test_an_interval_ticks_at_its_multiples() -> None:
    """Whoever computes them, and whenever."""
    times = Times("every 30000")
    assert times.next_after(0) == 30_000
    assert times.next_after(30_000) == 60_000
    assert times.due(0, 95_000) == [30_000, 60_000, 90_000]
    assert len(times.due(0, DAY_MS)) == 100
    assert times.due(0, DAY_MS)[-1] == DAY_MS


def test_the_newest_instants_of_a_long_time_are_found_without_the_others() -> None:
    """A year without a worker costs no year of computing."""
    times, now_ms = Times("cron * * * * *", "Europe/Berlin"), ms("2026-10-25T12:00:30+00:00")
    found = times.due(now_ms - 365 * DAY_MS, now_ms)
    assert len(found) == 100
    assert found[-1] == now_ms - 30_000
    assert found == [*range(found[0], now_ms, 60_000)]


@pytest.mark.parametrize(
    ("missed", "passed_s", "submitted", "left_out"),
    [
        ("skip", 25, [10, 20], []),
        ("skip", 125, [70, 80, 90, 100, 110, 120], [10, 20, 30, 40, 50, 60]),
        ("latest", 125, [70, 80, 90, 100, 110, 120], [10, 20, 30, 40, 50, 60]),
        ("all:2", 125, [50, 60, 70, 80, 90, 100, 110, 120], [10, 20, 30, 40]),
    ],
)
def test_only_what_is_late_is_missed(missed: str, passed_s: int, submitted: list[int], left_out: list[int]) -> None:
    """Up to a minute, unless another time is declared."""
    rule = ScheduleRule("every 10000", missed=missed)
    plan = DueSchedule("s", 1, 0, 1000 * passed_s, rule).plan()
    assert plan.submitted == [1000 * each for each in submitted]
    assert plan.missed == [1000 * each for each in left_out]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "expected a schedule to have either cron= or every=, got neither"),
        ({"cron": "0 3 * * *", "every": 5}, "got both"),
        (
            {"cron": "0 3 * *"},
            r"expected cron to be a cron expression: minute.*got '0 3 \* \*': wrong number of fields",
        ),
        ({"cron": "61 3 * * *"}, "bad minute"),
        ({"cron": "@daily"}, "such as '0 3"),
        ({"cron": "0 0 30 2 *"}, "bad day-of-month"),
        ({"cron": 3}, "got 3"),
        ({"cron": "0 3 * * *", "zone": "Europe/Berlim"}, "did you mean 'Europe/Berlin'"),
        ({"cron": "0 3 * * *", "zone": "../x"}, "expected zone to be the name of a time zone"),
        ({"every": 0.5}, "expected every to be at least 1 second, got 0.5: what runs more often is a loop"),
        ({"every": 5, "zone": "UTC"}, "expected zone only with cron="),
        ({"every": 5, "missed": "all"}, r"expected missed to be 'skip', 'latest' or \('all', n\)"),
        ({"every": 5, "missed": ("all", 0)}, "expected n in missed=.* to be an integer from 1 to 100, got 0"),
        ({"every": 5, "late_after": 0}, "expected late_after"),
        ({"every": 5, "late_after": DAY_MS}, "expected late_after to be at most a day"),
    ],
)
def test_a_bad_rule_is_refused_with_what_is_allowed(options: dict[str, Any], message: str) -> None:
    """When it is declared."""
    given = {"cron": None, "every": None, "zone": None, "missed": "skip", "late_after": 60} | options
    with pytest.raises(SettingsError, match=message):
        rule_of(**given)


@pytest.mark.parametrize(
    "rule",
    [
        ScheduleRule("moon 0 3 * * *"),
        ScheduleRule("every 5m"),
        ScheduleRule("every 0"),
        ScheduleRule("cron"),
        ScheduleRule("every 5000", missed="half"),
        ScheduleRule("every 5000", missed="all:half"),
    ],
)
def test_a_rule_of_a_newer_release_is_not_taken_for_another_one(rule: ScheduleRule) -> None:
    """It is left to those that can read it."""
    with pytest.raises(SettingsError):
        DueSchedule("s", 1, 0, 60_000, rule).plan()


def test_a_rule_is_said_in_words() -> None:
    """For people."""
    assert Times("cron 0 3 * * *", "Europe/Berlin").in_words() == "At 03:00 every day (Europe/Berlin)"
    assert Times("every 90000").in_words() == "every 90 s"
    assert Times("every 7200000").in_words() == "every 2 h"
    moment = Times("cron 0 3 * * *", "Europe/Berlin").moment_in_words(ms("2026-07-01T01:00:00+00:00"))
    assert moment == "Wed 2026-07-01 03:00:00 CEST"

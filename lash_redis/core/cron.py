"""When a schedule ticks: a cron expression in a time zone, or an interval. Pure, but for the zones of the machine.

Every *instant* is in ms since the epoch. An interval's instants are its whole multiples since the epoch, so that they
are the same for everybody who computes them, whenever that is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from lash_redis.core.checks import refused
from lash_redis.core.durations import milliseconds
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.near_names import did_you_mean

UTC: Final = "UTC"
LEAST_EVERY_MS: Final = 1_000
NEWER: Final = " (a newer lash-redis wrote it?)"
MOST_INSTANTS: Final = 100  # of those that are due, the newest; as many as the registry remembers

_CRON_WORDS: Final = (
    "a cron expression: minute, hour, day of the month, month and day of the week, such as '0 3 * * *' "
    "(with six fields the first one is the second)"
)
_FIRST_WINDOW_MS: Final = 100_000


class Times:
    """The instants of one schedule.

    Args:
        spec: ``cron EXPRESSION`` or ``every MS``, as the registry keeps it.
        zone: the name of the time zone that the expression is meant in.

    Raises:
        SettingsError: this release cannot read it, or this machine does not know the zone.
    """

    def __init__(self, spec: str, zone: str = UTC) -> None:
        kind, _, detail = spec.partition(" ")
        self._every_ms = int(detail) if kind == "every" and detail.isdecimal() else 0
        if kind != "cron" and not self._every_ms:
            raise refused("the rule of a schedule", "'cron EXPRESSION' or 'every MS'", spec, NEWER)
        self._cron = "" if self._every_ms else checked_cron(detail)
        self.zone = zone_named(zone)

    def after(self, after_ms: int) -> Iterator[int]:
        """Yield the instants after a moment, in their order. An expression may have no more within 50 years."""
        if self._every_ms:
            at_ms = after_ms
            while True:
                at_ms = (at_ms // self._every_ms + 1) * self._every_ms
                yield at_ms
        last_ms = after_ms
        zone = dt.UTC if self.zone.key == UTC else self.zone
        for moment in CronSim(self._cron, dt.datetime.fromtimestamp(after_ms // 1000, zone)):
            at_ms = int(moment.timestamp()) * 1000
            # On a night when clocks are changed, several wall times may be one instant, or an earlier one.
            if at_ms > last_ms:
                last_ms = at_ms
                yield at_ms

    def next_after(self, after_ms: int) -> int | None:
        """Return the first instant after a moment; None: there is none within 50 years."""
        return next(self.after(after_ms), None)

    def due(self, after_ms: int, now_ms: int) -> list[int]:
        """Return the newest instants after one moment and up to another, at most ``MOST_INSTANTS``, in their order."""
        window_ms = _FIRST_WINDOW_MS
        while True:
            from_ms = max(after_ms, now_ms - window_ms)
            found = []
            for at_ms in self.after(from_ms):
                if at_ms > now_ms:
                    break
                found.append(at_ms)
            if from_ms == after_ms or len(found) >= MOST_INSTANTS:
                return found[-MOST_INSTANTS:]
            window_ms *= 2

    def in_words(self) -> str:
        """Return the rule in words."""
        if self._every_ms:
            return f"every {_length_in_words(self._every_ms)}"
        words = CronSim(self._cron, dt.datetime(2000, 1, 1)).explain()  # noqa: DTZ001 - no time is read of it
        return f"{words} ({self.zone.key})"

    def moment_in_words(self, at_ms: int) -> str:
        """Return an instant as the clocks of the zone show it."""
        return f"{dt.datetime.fromtimestamp(at_ms / 1000, self.zone):%a %Y-%m-%d %H:%M:%S %Z}"


def _length_in_words(ms: int) -> str:
    """Return a length of time as a number of the largest unit that is whole: 90 s, 5 min, 24 h."""
    for unit_ms, unit in ((3_600_000, "h"), (60_000, "min")):
        if ms % unit_ms == 0:
            return f"{ms // unit_ms} {unit}"
    return f"{ms / 1000:g} s"


def checked_cron(value: object) -> str:
    """Return a cron expression, its fields parted by one space.

    Raises:
        SettingsError: it is none, or it never ticks.
    """
    if not isinstance(value, str):
        raise refused("cron", _CRON_WORDS, value)
    expression = " ".join(value.split())
    if len(expression) > 200:
        raise refused("cron", "at most 200 characters", value)
    try:
        first = next(CronSim(expression, dt.datetime(2000, 1, 1, tzinfo=dt.UTC)), None)
    except CronSimError as error:
        raise refused("cron", _CRON_WORDS, value, f": {str(error)[:1].lower()}{str(error)[1:]}") from None
    except (ValueError, AssertionError, TypeError):
        raise refused("cron", _CRON_WORDS, value) from None
    if first is None:
        raise refused("cron", "an expression that some day fits", value, ": no day of the next 50 years does")
    return expression


def checked_every(value: object) -> int:
    """Return an interval, ms.

    Raises:
        SettingsError: it is no length of time, or shorter than a second.
    """
    length_ms = milliseconds("every", value, at_least_ms=0)
    if length_ms < LEAST_EVERY_MS:
        raise refused(
            "every", "at least 1 second", value, ": what runs more often is a loop inside one process of a task"
        )
    return length_ms


def zone_named(name: object) -> ZoneInfo:
    """Return a time zone.

    Raises:
        SettingsError: this machine knows none of that name.
    """
    key = name.key if isinstance(name, ZoneInfo) else name
    if not isinstance(key, str):
        raise refused("zone", "the name of a time zone, such as 'Europe/Berlin'", name)
    try:
        return ZoneInfo(key)
    except (KeyError, ValueError, OSError):  # unknown, a path, a folder of zones
        pass
    known = available_timezones()
    if not known:
        raise SettingsError(
            f"expected zone to be the name of a time zone, got {shown(key)}, and this machine has no data of time "
            "zones: install the package tzdata"
        )
    hint = did_you_mean(key, known)
    raise refused("zone", "the name of a time zone that this machine knows, such as 'Europe/Berlin'", key, hint)

"""Lengths of time and moments as people give them: seconds or a timedelta, and a datetime with a zone. Pure."""

from __future__ import annotations

import datetime as dt
import math
from typing import Final

from lash_redis.core.checks import refused

Duration = float | dt.timedelta

MAX_MS: Final = 100 * 366 * 24 * 3600 * 1000  # a century

_WORDS: Final = "a number of seconds or a timedelta"
_MOMENT_WORDS: Final = "a datetime with a zone (datetime.now(UTC), or one in a ZoneInfo), of the years 1970 to 2399"
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LAST_YEAR: Final = 2400


def milliseconds(what: str, value: object, *, at_least_ms: int = 0) -> int:
    """Return a length of time, ms, rounded up, so that nothing comes early.

    Args:
        what: what the value is called.
        value: seconds or a timedelta.
        at_least_ms: the shortest that is allowed, ms.

    Raises:
        SettingsError: it is neither, not finite, or outside what is allowed.
    """
    if isinstance(value, dt.timedelta):
        length = -((-value) // dt.timedelta(milliseconds=1))
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= MAX_MS / 1000:
        length = math.ceil(round(value * 1000, 6))
    else:
        length = -1
    if not at_least_ms <= length <= MAX_MS:
        raise refused(what, f"{_WORDS}, from {at_least_ms / 1000:g} s to 100 years", value)
    return length


def instant_ms(what: str, value: object) -> int:
    """Return a moment, ms since the epoch, rounded up.

    Raises:
        SettingsError: it is no datetime, has no zone, or lies too far away.
    """
    if not isinstance(value, dt.datetime) or value.utcoffset() is None or not 1970 <= value.year < _LAST_YEAR:
        raise refused(what, _MOMENT_WORDS, value)
    return max(-((_EPOCH - value) // dt.timedelta(milliseconds=1)), 0)

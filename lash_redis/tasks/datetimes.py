"""Datetimes and times that would come back as something else: text gives an offset in whole minutes. Pure."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from lash_redis.core.error_text import shown
from lash_redis.tasks.payload import InvalidValue, shown_key

MOMENTS: Final = (dt.datetime, dt.time)


def check_moments(value: Any, where: str = "") -> None:
    """Check all datetimes and times in builtins, keys of dicts included.

    Raises:
        InvalidValue: the offset of one has seconds, or it is a time of day in a zone whose offset depends on the date.
    """
    if isinstance(value, MOMENTS):
        _check_offset(value, where)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_moments(key, where)
            check_moments(item, f"{where}[{shown_key(key)}]")
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            check_moments(item, f"{where}[{number}]")


def _check_offset(moment: dt.datetime | dt.time, where: str) -> None:
    offset = moment.utcoffset()
    kind = type(moment).__name__
    if offset is None and moment.tzinfo is not None:
        raise InvalidValue(
            f"expected a {kind} without a zone or with a fixed offset, got one in {shown(moment.tzinfo)}, whose offset "
            "depends on the date: carry a datetime",
            where,
        )
    if offset is not None and offset % dt.timedelta(minutes=1):
        raise InvalidValue(
            f"expected a {kind} whose offset is in whole minutes, got {offset} "
            "(text cannot hold the seconds; carry it in UTC: .astimezone(datetime.UTC))",
            where,
        )

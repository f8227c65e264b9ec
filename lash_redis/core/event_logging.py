"""The subscriber that logs: one line of ``name key=value`` an event, through ``logging.getLogger("lash_redis")``.

A value that could forge a line or a field stands in quotes, escaped (rule 11.7). The log record carries the same as
attributes ``event`` and ``fields``, for those who want JSON; there the values are raw.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

import msgspec

from lash_redis.core.events import Event
from lash_redis.core.timing import boottime_ms

_LOG: Final = logging.getLogger("lash_redis")
_REPEATED_EVERY_MS: Final = 10_000
_NEEDS_QUOTES: Final = frozenset('"\\ =')


def shown(value: object) -> str:
    """Return a value as it stands in a line: bare, or in double quotes if it is empty or could be read otherwise."""
    text = _plain(value)
    if text and text.isprintable() and not _NEEDS_QUOTES.intersection(text):
        return text
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped(inner)}"'


def line(name: str, fields: Mapping[str, object]) -> str:
    """Return the line of an event: its name and its fields, without those that are None."""
    return " ".join([name, *(f"{each}={shown(value)}" for each, value in fields.items() if value is not None)])


def _plain(value: object) -> str:
    """Return a value as people write it: the items of a list with commas between, a struct as ``id: reason``."""
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    if isinstance(value, msgspec.Struct):
        return ": ".join(map(_plain, msgspec.structs.astuple(value)))
    return str(value)


def escaped(text: str) -> str:
    """Return text with what is not printable escaped."""
    return text if text.isprintable() else "".join(each if each.isprintable() else _code(each) for each in text)


def _code(character: str) -> str:
    return character.encode("unicode_escape").decode()


def is_logged(kind: type[Event]) -> bool:
    """Say whether the log shows events of this kind."""
    # ``logging.config`` disables every logger that a configuration does not name, unless told otherwise. Who wants
    # silence sets a level.
    _LOG.disabled = False
    return _LOG.isEnabledFor(kind.level)


class EventLog:
    """Logs events. Of one that repeats itself it logs one each 10 s, and counts the others as ``repeated``."""

    def __init__(self) -> None:
        self._logged_at_ms: dict[tuple[str, object], int] = {}
        self._skipped: dict[tuple[str, object], int] = {}

    def __call__(self, event: Event) -> None:
        """Log one event."""
        if not is_logged(type(event)):
            return
        fields = msgspec.structs.asdict(event)
        if event.repeats_by:
            what = (event.name, fields[event.repeats_by])
            if not self._is_due(what):
                return
            if repeated := self._skipped.pop(what, 0):
                fields["repeated"] = repeated
        text = line(event.name, fields)
        _LOG.log(event.level, "%s", text, extra={"event": event.name, "fields": fields})

    def _is_due(self, what: tuple[str, object]) -> bool:
        now_ms = boottime_ms()
        if now_ms - self._logged_at_ms.get(what, -_REPEATED_EVERY_MS) < _REPEATED_EVERY_MS:
            self._skipped[what] = self._skipped.get(what, 0) + 1
            return False
        self._logged_at_ms[what] = now_ms
        return True

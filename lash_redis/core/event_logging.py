"""The subscriber that logs: one line of ``name key=value`` an event, through ``logging.getLogger("lash_redis")``.

The log record carries the same as attributes ``event`` and ``fields``, for those who want JSON.
"""

from __future__ import annotations

import logging
from typing import Final

import msgspec

from lash_redis.core.events import Event
from lash_redis.core.timing import boottime_ms

_LOG: Final = logging.getLogger("lash_redis")
_REPEATED_EVERY_MS: Final = 10_000


class EventLog:
    """Logs events. Of one that repeats itself it logs one each 10 s, and counts the others as ``repeated``."""

    def __init__(self) -> None:
        self._logged_at_ms: dict[tuple[str, object], int] = {}
        self._skipped: dict[tuple[str, object], int] = {}

    def __call__(self, event: Event) -> None:
        """Log one event."""
        if not _LOG.isEnabledFor(event.level):
            return
        fields = msgspec.structs.asdict(event)
        if event.repeats_by:
            what = (event.name, fields[event.repeats_by])
            if not self._is_due(what):
                return
            if repeated := self._skipped.pop(what, 0):
                fields["repeated"] = repeated
        text = " ".join(f"{name}={value}" for name, value in fields.items())
        _LOG.log(event.level, "%s %s", event.name, text, extra={"event": event.name, "fields": fields})

    def _is_due(self, what: tuple[str, object]) -> bool:
        now_ms = boottime_ms()
        if now_ms - self._logged_at_ms.get(what, -_REPEATED_EVERY_MS) < _REPEATED_EVERY_MS:
            self._skipped[what] = self._skipped.get(what, 0) + 1
            return False
        self._logged_at_ms[what] = now_ms
        return True

"""What values are allowed, and the one wording in which a bad one is refused.

Every message says what was expected and what came: "expected lease_ttl_ms to be an integer from 1 to …, got 0".
"""

from __future__ import annotations

import re

from lash_redis.core.errors import SettingsError

MAX_PAYLOAD_BYTES = 1 << 20
MAX_BATCH = 500
MAX_SETTLE_BATCH = 100
MAX_TTL_MS = 7 * 24 * 3600 * 1000
DEFAULT_LOSS_LIMIT = 5
DEFAULT_LEASE_TTL_MS = 30_000

_ID = re.compile(r"[A-Za-z0-9._:/@+-]{1,256}\Z")
_NAMESPACE = re.compile(r"[a-z0-9-]{1,64}\Z")
_QUEUE = re.compile(r"[A-Za-z0-9._:/@+-]{1,64}\Z")
_TASK = re.compile(r"[A-Za-z0-9._:/@+<>-]{1,200}\Z")


def _matched(what: str, value: object, pattern: re.Pattern[str], allowed: str) -> str:
    if not isinstance(value, str) or not pattern.match(value):
        shown = repr(value)
        if len(shown) > 100:
            shown = shown[:100] + "…"
        raise SettingsError(f"expected {what} to be {allowed}, got {shown}")
    return value


def checked_id(what: str, value: object) -> str:
    """Return ``value`` if it may be an id (design, section 10)."""
    return _matched(what, value, _ID, "1 to 256 characters of [A-Za-z0-9._:/@+-]")


def checked_namespace(value: object) -> str:
    """Return ``value`` if it may be a namespace (design, section 6)."""
    return _matched("namespace", value, _NAMESPACE, "1 to 64 characters of [a-z0-9-]")


def checked_queue(value: object) -> str:
    """Return ``value`` if it may be a queue's name."""
    return _matched("queue", value, _QUEUE, "1 to 64 characters of [A-Za-z0-9._:/@+-]")


def checked_task_name(value: object) -> str:
    """Return ``value`` if it may be a task's name."""
    return _matched("task name", value, _TASK, "1 to 200 characters of [A-Za-z0-9._:/@+<>-]")


def checked_text(what: str, value: object, at_most: int, *, at_least: int = 1) -> str:
    """Return ``value`` if it is text of ``at_least`` to ``at_most`` bytes."""
    if not isinstance(value, str) or not at_least <= len(value.encode("utf-8", "surrogatepass")) <= at_most:
        shown = repr(value)
        if len(shown) > 100:
            shown = shown[:100] + "…"
        raise SettingsError(f"expected {what} to be text of {at_least} to {at_most} bytes, got {shown}")
    return value


def checked_int(what: str, value: object, *, at_least: int, at_most: int) -> int:
    """Return ``value`` if it is an integer within the bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not at_least <= value <= at_most:
        raise SettingsError(f"expected {what} to be an integer from {at_least} to {at_most}, got {value!r}")
    return value


def checked_ttl(value: object) -> int:
    """Return ``value`` if it may be a lease's TTL, ms."""
    return checked_int("ttl_ms", value, at_least=1, at_most=MAX_TTL_MS)


def checked_partitions(value: object) -> int:
    """Return ``value`` if it may be a partition count."""
    return checked_int("partitions", value, at_least=1, at_most=1024)

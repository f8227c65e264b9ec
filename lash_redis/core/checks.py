"""What values are allowed, and the one wording in which a bad one is refused.

Every message says what was expected and what came: "expected lease_ttl_ms to be an integer from 1 to …, got 0".
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from lash_redis.core.error_text import bounded, shown
from lash_redis.core.errors import SettingsError

MAX_PAYLOAD_BYTES = 1 << 20
MAX_BATCH = 500
MAX_BATCH_BYTES = 1 << 20  # of payload in one call or answer; one longer payload goes alone
MAX_SETTLE_BATCH = 100
MAX_KEY_BYTES = 256
MAX_TTL_MS = 7 * 24 * 3600 * 1000

_ASCII_ONLY = " (only ASCII stands in keys and on command lines: spell it out, or take text.encode().hex())"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Check(Generic[T]):
    """A check of one value.

    Attributes:
        allowed: what the value may be, in words.
        checked: takes what the value is called and the value; returns the value or raises ``SettingsError``.
        bounds: of an integer, the least and the greatest that is allowed.
    """

    allowed: str
    checked: Callable[[str, object], T]
    bounds: tuple[int, int] | None = None


def matching(pattern: str, allowed: str) -> Check[str]:
    """Return a check for text that matches the whole pattern."""
    compiled = re.compile(pattern)

    def checked(what: str, value: object) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise refused(what, allowed, value, _ASCII_ONLY if isinstance(value, str) and not value.isascii() else "")
        return value

    return Check(allowed, checked)


def integer(at_least: int, at_most: int) -> Check[int]:
    """Return a check for an integer within the bounds."""
    checked = partial(checked_int, at_least=at_least, at_most=at_most)
    return Check(f"an integer from {at_least} to {at_most}", checked, (at_least, at_most))


def or_none(check: Check[T]) -> Check[T | None]:
    """Return a check that also lets None pass."""

    def checked(what: str, value: object) -> T | None:
        return None if value is None else check.checked(what, value)

    return Check(f"{check.allowed}, or None", checked)


def one_of(*words: str) -> Check[str]:
    """Return a check for one of some words."""
    allowed = " or ".join(map(repr, words))

    def checked(what: str, value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise refused(what, allowed, value)
        return value

    return Check(allowed, checked)


def several(check: Check[T], at_most: int, of: str) -> Check[tuple[T, ...]]:
    """Return a check for a tuple of distinct values that each pass a check; ``of`` says what they are."""
    allowed = f"at most {at_most} distinct {of}"

    def checked(what: str, value: object) -> tuple[T, ...]:
        if not isinstance(value, tuple) or len(value) > at_most:
            raise refused(what, f"a tuple of {allowed}", value)
        found = tuple(check.checked(f"each of {what}", each) for each in value)
        if len(set(found)) != len(found):
            raise refused(what, f"a tuple of {allowed}", value)
        return found

    return Check(allowed, checked)


ID = matching(r"[A-Za-z0-9._:/@+-]{1,256}", "1 to 256 characters of [A-Za-z0-9._:/@+-]")
NAMESPACE = matching(r"[a-z0-9-]{1,64}", "1 to 64 characters of [a-z0-9-]")
QUEUE = matching(r"[A-Za-z0-9._:/@+-]{1,64}", "1 to 64 characters of [A-Za-z0-9._:/@+-]")
LIMIT_NAME = matching(r"[A-Za-z0-9._:/@+-]{1,64}", "1 to 64 characters of [A-Za-z0-9._:/@+-]")
TASK_NAME = matching(r"[A-Za-z0-9._:/@+<>-]{1,200}", "1 to 200 characters of [A-Za-z0-9._:/@+<>-]")
SCOPES = matching(
    r"([A-Za-z0-9._:/@+<>=!~-]*,[A-Za-z0-9._:/@+<>=-]*)?", "two names with a comma between them, or empty"
)
SIGNATURE = matching(r"([0-9a-f]{16})?", "16 hex digits, or empty")


KEY = Check(
    f"text of at most {MAX_KEY_BYTES} bytes, or None",
    lambda what, value: None if value is None else checked_text(what, value, MAX_KEY_BYTES, at_least=0),
)


def checked_id(what: str, value: object) -> str:
    """Return ``value`` if it may be an id, which goes into keys and owner lists as it is."""
    return ID.checked(what, value)


def checked_namespace(value: object) -> str:
    """Return ``value`` if it may be a namespace: an ACL pattern for one namespace must open no other."""
    return NAMESPACE.checked("namespace", value)


def checked_queue(value: object) -> str:
    """Return ``value`` if it may be a queue's name."""
    return QUEUE.checked("queue", value)


def checked_task_name(value: object) -> str:
    """Return ``value`` if it may be a task's name."""
    return TASK_NAME.checked("task name", value)


def checked_iterable(what: str, of: str, value: object) -> Iterable[Any]:
    """Return ``value`` if it can be iterated and is no text; ``of`` says what should be in it."""
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes)):
        hint = ": collect it first, [each async for each in …]" if isinstance(value, AsyncIterable) else ""
        raise refused(what, f"an iterable of {of}", value, hint)
    return value


def checked_names(what: str, value: object, each: Callable[[object], str]) -> tuple[str, ...]:
    """Return the distinct names in ``value``, each as ``each`` returns it.

    Raises:
        SettingsError: it is no sequence, a name is refused, or one comes twice.
    """
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise refused(what, "a sequence of names", value)
    names = tuple(map(each, value))
    check_distinct(what, names)
    return names


def check_distinct(what: str, names: Collection[str]) -> None:
    """Refuse names of which one comes twice."""
    if len(set(names)) != len(names):
        raise SettingsError(f"expected {what} to be distinct, got {bounded(','.join(names))}")


def checked_bool(what: str, value: object) -> bool:
    """Return ``value`` if it is True or False."""
    if not isinstance(value, bool):
        raise refused(what, "True or False", value)
    return value


def checked_text(what: str, value: object, at_most: int, *, at_least: int = 1) -> str:
    """Return ``value`` if it is text of ``at_least`` to ``at_most`` bytes that UTF-8 can hold."""
    if not isinstance(value, str) or not at_least <= len(value.encode("utf-8", "surrogatepass")) <= at_most:
        length = f"{at_least} to {at_most}" if at_least else f"at most {at_most}"
        raise refused(what, f"text of {length} bytes", value)
    if problem := utf8_problem(value):
        raise refused(what, problem, value)
    return value


def utf8_problem(text: str) -> str:
    """Return what a text must be if UTF-8 cannot hold it, in words for ``refused``; empty if it can."""
    if text.isascii():
        return ""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"text that UTF-8 can hold (there is a surrogate at character {error.start})"
    return ""


def checked_int(what: str, value: object, *, at_least: int, at_most: int) -> int:
    """Return ``value`` if it is an integer within the bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not at_least <= value <= at_most:
        raise refused(what, f"an integer from {at_least} to {at_most}", value)
    return value


def checked_ttl(value: object) -> int:
    """Return ``value`` if it may be a lease's TTL, ms."""
    return checked_int("ttl_ms", value, at_least=1, at_most=MAX_TTL_MS)


def checked_partitions(value: object) -> int:
    """Return ``value`` if it may be a partition count."""
    return checked_int("partitions", value, at_least=1, at_most=1024)


def refused(what: str, allowed: str, value: object, advice: str = "") -> SettingsError:
    """Return the error for a value that is not allowed, with the value as ``shown`` shows it."""
    return SettingsError(f"expected {what} to be {allowed}, got {shown(value)}{advice}")

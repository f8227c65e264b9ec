"""What msgspec says of a value that does not fit, in Python's words. Pure."""

from __future__ import annotations

import re
from typing import Final

from lash_redis.tasks.payload import InvalidValue

_MSGSPEC_ERROR: Final = re.compile(r"(?P<why>.*?)(?: - at `(?P<key>key` in `)?\$(?P<where>[^`]*)`)?\Z", re.DOTALL)
_TYPES: Final = re.compile(r"`([a-z0-9]+(?: \| [a-z0-9]+)*)`")
_IN_PYTHON: Final = {
    "array": "list",
    "object": "dict",
    "null": "None",
    "uuid": "UUID",
    "decimal": "Decimal",
    "duration": "timedelta",
}
_SENTENCES: Final = (
    (re.compile(r"Object missing required field (`.*`)"), r"the field \1 is missing"),
    (re.compile(r"Object contains unknown field (`.*`)"), r"there is no field \1"),
    (re.compile(r"Invalid enum value (.*)"), r"expected one of the declared values, got \1"),
    (re.compile(r"Invalid RFC3339 encoded (\w+)"), r"expected a \1, got a text that is none (as RFC 3339 writes it)"),
    (re.compile(r"Invalid ISO8601 duration"), "expected a timedelta, got a text that is none (as ISO 8601 writes it)"),
    (re.compile(r"Invalid UUID"), "expected a UUID, got a text that is none"),
    (re.compile(r"Invalid decimal string"), "expected a Decimal, got a text that is none"),
    (re.compile(r"Invalid base64 encoded string"), "expected `bytes`, got `str`"),
    (re.compile(r"Expected"), "expected"),
)


def invalid_value(msgspec_error: str) -> InvalidValue:
    """Return the error that stands for one of msgspec's, with the path that it names."""
    found = _MSGSPEC_ERROR.match(msgspec_error)
    assert found is not None  # noqa: S101 - every part of the pattern is optional
    why = _TYPES.sub(_python_types, found["why"])
    for pattern, words in _SENTENCES:
        why, replaced = pattern.subn(words, why, count=1) if pattern.match(why) else (why, 0)
        if replaced:
            break
    return InvalidValue(f"{why} as a key" if found["key"] else why, found["where"] or "")


def _python_types(found: re.Match[str]) -> str:
    names = (_IN_PYTHON.get(name, name) for name in found[1].split(" | "))
    return f"`{' | '.join(names)}`"

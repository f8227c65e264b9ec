"""What an exception says, bounded. Nothing here runs code of its class unguarded, so it never raises (rule 11.7)."""

from __future__ import annotations

from typing import Any, Final

MAX_TEXT: Final = 16_384 // 4  # characters: at most 16 KiB of UTF-8
_OUR_ERRORS: Final = "lash_redis.core.errors"

# Read from the class itself: a metaclass may answer for its attributes, and raise.
_MODULE: Final[Any] = type.__dict__["__module__"]
_QUALNAME: Final[Any] = type.__dict__["__qualname__"]


def text_of(error: BaseException) -> str:
    """Return the message of an exception, bounded; never raises."""
    try:
        return bounded(str(error))
    except BaseException as broken:  # noqa: BLE001 - an exception whose text cannot be made is still a failure
        return bounded(f"<no text: {name_of(type(broken))}>")


def name_of(kind: type) -> str:
    """Return the name of a class as its users write it: builtins bare, our own errors as they are imported."""
    found, name = _MODULE.__get__(kind), str.__str__(_QUALNAME.__get__(kind))
    module = str.__str__(found) if issubclass(type(found), str) else "builtins"
    if module == "builtins":
        return name
    return f"{'lash_redis' if module == _OUR_ERRORS else module}.{name}"


def bounded(text: str, *, keep_end: bool = False) -> str:
    """Return text that UTF-8 can hold, of at most ``MAX_TEXT`` characters and a mark where it was cut."""
    text = str.encode(text, "utf-8", "replace").decode()  # also of a subclass of str, whose own methods may raise
    if len(text) <= MAX_TEXT:
        return text
    return f"… {text[-MAX_TEXT:]}" if keep_end else f"{text[:MAX_TEXT]} …"

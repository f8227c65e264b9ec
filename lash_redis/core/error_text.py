"""What an exception says, and what a value looks like, bounded. No code of its class runs unguarded (rule 11.7)."""

from __future__ import annotations

from typing import Any, Final

MAX_TEXT: Final = 16_384 // 4  # characters: at most 16 KiB of UTF-8
MAX_SHOWN: Final = 100  # characters of a value
_OUR_ERRORS: Final = ("lash_redis.core.errors", "lash_redis.core.retrying")

# Read from the class itself: a metaclass may answer for its attributes, and raise.
_MODULE: Final[Any] = type.__dict__["__module__"]
_QUALNAME: Final[Any] = type.__dict__["__qualname__"]


def text_of(error: BaseException) -> str:
    """Return the message of an exception, bounded; never raises."""
    try:
        return bounded(str(error))
    except BaseException as broken:  # noqa: BLE001 - an exception whose text cannot be made is still a failure
        return bounded(f"<no text: {name_of(type(broken))}>")


def shown(value: object) -> str:
    """Return a value as an error shows it: what ``repr`` says, at most 100 characters of it; never raises."""
    try:
        # Of a long text no more than is shown: its repr may be four times as long.
        text = str.__str__(repr(value[: MAX_SHOWN + 1] if type(value) in (str, bytes) else value))  # type: ignore[index]
    except BaseException as broken:  # noqa: BLE001 - it is refused all the same, and that is what its giver must know
        return f"a {name_of(type(value))} that cannot be shown ({name_of(type(broken))})"
    return bounded(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…")


def name_of(kind: type) -> str:
    """Return the name of a class as its users write it: builtins bare, our own errors as they are imported."""
    found, name = _MODULE.__get__(kind), str.__str__(_QUALNAME.__get__(kind))
    module = str.__str__(found) if issubclass(type(found), str) else "builtins"
    if module == "builtins":
        return name
    return f"{'lash_redis' if module in _OUR_ERRORS else module}.{name}"


def bounded(text: str, *, keep_end: bool = False) -> str:
    """Return text that UTF-8 can hold, of at most ``MAX_TEXT`` characters and a mark where it was cut."""
    text = str.encode(text, "utf-8", "replace").decode()  # also of a subclass of str, whose own methods may raise
    if len(text) <= MAX_TEXT:
        return text
    return f"… {text[-MAX_TEXT:]}" if keep_end else f"{text[:MAX_TEXT]} …"

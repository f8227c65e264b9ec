"""From an exception to a ``Failure``: its qualified name, its message and its traceback, each bounded.

Nothing here runs code of the exception's class unguarded, so that a run always has an end (rule 11.7).
"""

from __future__ import annotations

import traceback
from typing import Any, Final

from lash_redis.core.errors import PayloadError
from lash_redis.core.model import Failure

MAX_TEXT: Final = 16_384 // 4  # characters: at most 16 KiB of UTF-8
_FRAMES: Final = 50
_OUR_ERRORS: Final = "lash_redis.core.errors"
_UNFIT_RESULT: Final = "lash_redis.PayloadError"

# Read from the class itself: a metaclass may answer for its attributes, and raise.
_MODULE: Final[Any] = type.__dict__["__module__"]
_QUALNAME: Final[Any] = type.__dict__["__qualname__"]


def failure_of(error: BaseException) -> Failure:
    """Return what an exception means as an outcome; never raises, whatever the exception's own methods do."""
    return Failure(bounded(_name_of(type(error))), text_of(error), _traceback_of(error))


def unfit_result(error: BaseException) -> Failure:
    """Return the failure of work that is done and whose result cannot be carried: too long, or of a wrong type."""
    text = text_of(error)
    return Failure(_UNFIT_RESULT, text if type(error) is PayloadError else bounded(f"{_name_of(type(error))}: {text}"))


def text_of(error: BaseException) -> str:
    """Return the message of an exception, bounded; never raises."""
    try:
        return bounded(str(error))
    except BaseException as broken:  # noqa: BLE001 - an exception whose text cannot be made is still a failure
        return bounded(f"<no text: {_name_of(type(broken))}>")


def bounded(text: str, *, keep_end: bool = False) -> str:
    """Return text that UTF-8 can hold, of at most ``MAX_TEXT`` characters and a mark where it was cut."""
    text = str.encode(text, "utf-8", "replace").decode()  # also of a subclass of str, whose own methods may raise
    if len(text) <= MAX_TEXT:
        return text
    return f"… {text[-MAX_TEXT:]}" if keep_end else f"{text[:MAX_TEXT]} …"


def _name_of(kind: type) -> str:
    """Return the name of a class as its users write it: builtins bare, our own errors as they are imported."""
    found, name = _MODULE.__get__(kind), str.__str__(_QUALNAME.__get__(kind))
    module = str.__str__(found) if issubclass(type(found), str) else "builtins"
    if module == "builtins":
        return name
    return f"{'lash_redis' if module == _OUR_ERRORS else module}.{name}"


def _traceback_of(error: BaseException) -> str:
    try:
        # The first frame is ours.
        frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
        lines = traceback.format_exception(type(error), error, frames, limit=-_FRAMES)
        return bounded("".join(lines), keep_end=True)
    except BaseException as broken:  # noqa: BLE001 - as above
        return bounded(f"<no traceback: {_name_of(type(broken))}>")

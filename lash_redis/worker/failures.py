"""From an exception to a ``Failure``: its qualified name, its message and its traceback, each bounded."""

from __future__ import annotations

import traceback
from typing import Final

from lash_redis.core.model import Failure

MAX_TEXT: Final = 16_384 // 4  # characters: at most 16 KiB of UTF-8
_FRAMES: Final = 50


def failure_of(error: BaseException) -> Failure:
    """Return what an exception means as an outcome; never raises, whatever the exception's own methods do."""
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return Failure(f"{module}{kind.__qualname__}", bounded(_text_of(error)), _traceback_of(error))


def bounded(text: str, *, keep_end: bool = False) -> str:
    """Return text that UTF-8 can hold, of at most ``MAX_TEXT`` characters and a mark where it was cut."""
    text = text.encode("utf-8", "replace").decode()
    if len(text) <= MAX_TEXT:
        return text
    return f"… {text[-MAX_TEXT:]}" if keep_end else f"{text[:MAX_TEXT]} …"


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as broken:  # noqa: BLE001 - an exception whose text cannot be made is still a failure
        return f"<no text: {type(broken).__name__}>"


def _traceback_of(error: BaseException) -> str:
    try:
        # The first frame is ours.
        frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
        lines = traceback.format_exception(type(error), error, frames, limit=-_FRAMES)
    except BaseException as broken:  # noqa: BLE001 - as above
        return f"<no traceback: {type(broken).__name__}>"
    return bounded("".join(lines), keep_end=True)

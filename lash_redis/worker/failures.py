"""From an exception to a ``Failure``: its qualified name, its message and its traceback, each bounded.

Nothing here runs code of the exception's class unguarded, so that a run always has an end (rule 11.7).
"""

from __future__ import annotations

import traceback
from typing import Final

from lash_redis.core.error_text import bounded, name_of, text_of
from lash_redis.core.errors import PayloadError
from lash_redis.core.outcomes import Failure

_FRAMES: Final = 50
_UNFIT_RESULT: Final = "lash_redis.PayloadError"


def failure_of(error: BaseException) -> Failure:
    """Return what an exception means as an outcome; never raises, whatever the exception's own methods do."""
    return Failure(bounded(name_of(type(error))), text_of(error), _traceback_of(error))


def unfit_result(error: BaseException) -> Failure:
    """Return the failure of work that is done and whose result cannot be carried: too long, or of a wrong type."""
    text = text_of(error)
    return Failure(_UNFIT_RESULT, text if type(error) is PayloadError else bounded(f"{name_of(type(error))}: {text}"))


def _traceback_of(error: BaseException) -> str:
    try:
        # The first frame is ours.
        frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
        lines = traceback.format_exception(type(error), error, frames, limit=-_FRAMES)
        return bounded("".join(lines), keep_end=True)
    except BaseException as broken:  # noqa: BLE001 - what cannot be told is left out
        return bounded(f"<no traceback: {name_of(type(broken))}>")

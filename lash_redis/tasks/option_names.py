"""The names of options where people give them: those of a declaration, and those of a submit. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.near_names import did_you_mean
from lash_redis.core.options import ChosenSubmitOptions
from lash_redis.tasks.limits import ChosenTaskOptions

DECLARED: Final = ("recovery", "name", "aliases", "unique", *ChosenTaskOptions.__annotations__)
SUBMITTED: Final = ("process_id", "key", *ChosenSubmitOptions.__annotations__)


def check_declared(given: Iterable[str]) -> None:
    """Check the names of what a declaration says.

    Raises:
        SettingsError: one is none of these; where it is an option of a submit, the message says so.
    """
    _check("an option of a task", given, DECLARED, SUBMITTED, "a submit says it: task.options({}=...)")


def checked_submitted(given: Mapping[str, object]) -> dict[str, object]:
    """Return what a submit says, without what is None.

    Raises:
        SettingsError: one is none of these; where it is declared with a task, the message says so.
    """
    _check("an option of a submit", given, SUBMITTED, DECLARED, "the task declares it: @lash.task({}=...)")
    return {name: value for name, value in given.items() if value is not None}


def _check(what: str, given: Iterable[str], allowed: tuple[str, ...], others: tuple[str, ...], advice: str) -> None:
    for name in given:
        if name not in allowed:
            hint = f": {advice.format(name)}" if name in others else did_you_mean(name, allowed)
            raise SettingsError(f"expected {what} to be one of {', '.join(allowed)}, got {shown(name)}{hint}")

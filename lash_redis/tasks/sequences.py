"""What a task declares of a sequence: the work of each key runs one at a time, in order (rule 9.13). No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lash_redis.core.checks import ID, checked_id
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.policies import scope_of_task
from lash_redis.core.sequences import AFTER_LOSS, sequence_scope

_MEANINGS: Final = {
    "halt": "nothing of its key starts behind it until somebody has said what became of it",
    "continue": "the next one starts, although nobody knows whether this one was done",
}
_CHOICES: Final = "".join(f"\n  after_loss={each!r}: {_MEANINGS[each]}" for each in AFTER_LOSS)
_REFUSED: Final = {
    "limit": "a key runs one at a time",
    "rate": "a key runs one at a time, and what limits all keys together is within= a limit that they share",
    "cost": "a key runs one at a time",
    "fair": "each key has one row that may run",
    "priority": "the order is that of the submits",
}
_ROUTE_END: Final = "::"
MOST_ROUTE: Final = 200  # an id has at most 256 characters, and a random token follows


def declared_sequence(task: str, options: Mapping[str, Any]) -> str:
    """Return the scope of the sequence that a declaration asks for; empty if it asks for none.

    Raises:
        SettingsError: ``after_loss`` is missing or alone, or an option is given that a sequence leaves no room for.
    """
    sequence, after_loss = options.get("sequence") or False, options.get("after_loss")
    if sequence is False:
        if after_loss is not None:
            raise SettingsError(
                f"expected task {task!r} to have sequence=True, got after_loss={shown(after_loss)} alone"
            )
        return ""
    name = scope_of_task(task) if sequence is True else checked_id("sequence", sequence)
    if after_loss not in AFTER_LOSS:
        got = "none" if after_loss is None else shown(after_loss)
        raise SettingsError(
            f"task {task!r} does not say what its sequence does after a process is lost and nobody knows its result; "
            f"there is no default, got {got}, choose one:{_CHOICES}"
        )
    for option, why in _REFUSED.items():
        if options.get(option) not in (None, False, 1 if option == "cost" else 0):
            raise SettingsError(
                f"expected task {task!r} to have no {option} beside its sequence, got {shown(options[option])}: {why}"
            )
    return sequence_scope(name, after_loss)


def route_of_key(key: str) -> str:
    """Return what a new id begins with, so that all work of a key lies in one partition; empty if that cannot be."""
    is_route = 0 < len(key) <= MOST_ROUTE and _ROUTE_END not in key and _is_id(key)
    return f"{key}{_ROUTE_END}" if is_route else ""


def _is_id(text: str) -> bool:
    try:
        ID.checked("key", text)
    except SettingsError:
        return False
    return True

"""The order in which a claim takes from the queues: as they are listed, or by chance, as often as their weights say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lash_redis.core.checks import check_distinct, checked_int, checked_names, checked_queue, refused
from lash_redis.core.error_text import bounded
from lash_redis.core.errors import SettingsError
from lash_redis.core.timing import random_fraction

MOST_WEIGHT: Final = 1000


def checked_queues(what: str, value: object) -> tuple[str, ...]:
    """Return queues as a setting holds them: ``name``, or ``name=weight``.

    Args:
        what: what the value is called.
        value: a sequence of such texts, or names with their weights.

    Raises:
        SettingsError: it is neither, none or twice the same is named, or some have a weight and others have none.
    """
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise refused(
            what, 'a sequence of names, such as ("high", "low"), or weights, such as {"high": 5, "low": 1}', value
        )
    if isinstance(value, Mapping):
        value = [f"{checked_queue(name)}={_weight(weight)}" for name, weight in value.items()]
    queues = checked_names(what, value, _checked_queue)
    check_distinct(what, names_of(queues))
    if not queues:
        raise SettingsError(f"expected {what} to name at least one queue, got none")
    if len({"=" in each for each in queues}) > 1:
        raise SettingsError(
            f"expected {what} to have a weight each or none at all, got {bounded(','.join(queues))}: "
            "without weights they are served in their order"
        )
    return queues


def names_of(queues: Iterable[str]) -> tuple[str, ...]:
    """Return the names of queues as a setting holds them."""
    return tuple(each.partition("=")[0] for each in queues)


class QueueOrder:
    """The order of the next claim.

    Args:
        queues: as a setting holds them.
    """

    def __init__(self, queues: Sequence[str]) -> None:
        self._weights = {name: int(weight) for name, _, weight in (each.partition("=") for each in queues) if weight}

    def next(self) -> tuple[str, ...]:
        """Return the order of the next claim; empty: as the queues are listed.

        A queue is first as often as its weight says, and so is each that follows among the rest. So none is starved.
        """
        drawn = {name: random_fraction() ** (1 / weight) for name, weight in self._weights.items()}
        return tuple(sorted(drawn, key=lambda name: -drawn[name]))


def _checked_queue(value: object) -> str:
    name, has_weight, weight = value.partition("=") if isinstance(value, str) else (value, "", "")
    checked_queue(name)
    return f"{name}={_weight(int(weight) if weight.isdecimal() else weight)}" if has_weight else str(name)


def _weight(value: object) -> int:
    return checked_int("the weight of a queue", value, at_least=1, at_most=MOST_WEIGHT)

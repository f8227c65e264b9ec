"""Sequences: the work of one key runs one at a time and in order, across the tasks that share the sequence. Pure.

In the scopes of a keyed lane (``core/lanes.py``) a sequence stands where a policy by key would: ``!name`` if it halts
after a loss, ``~name`` if it goes on (rule 9.13). The set of its rows is that of the name, so that tasks which differ
in this share it too.
"""

from __future__ import annotations

from typing import Final, Literal

from lash_redis.core.errors import SettingsError

AfterLoss = Literal["halt", "continue"]
AFTER_LOSS: Final = ("halt", "continue")

_HALTS: Final = "!"
_GOES_ON: Final = "~"


def sequence_scope(name: str, after_loss: AfterLoss) -> str:
    """Return how a sequence stands in the scopes of a lane."""
    return f"{_HALTS if after_loss == 'halt' else _GOES_ON}{name}"


def sequence_in(scopes: str) -> str:
    """Return the name of the sequence that the scopes of a lane have; empty if they have none."""
    by_key = scopes.partition(",")[0]
    return by_key[1:] if by_key.startswith((_HALTS, _GOES_ON)) else ""


def halts(scopes: str) -> bool:
    """Say whether the scopes have a sequence that halts after a loss."""
    return scopes.startswith(_HALTS)


def check_in_sequence(scopes: str, priority: int, cost: int) -> None:
    """Check that work in a sequence has no options that would break its order, or mean nothing.

    Raises:
        SettingsError: it has.
    """
    for what, value, allowed in (("priority", priority, 0), ("cost", cost, 1)):
        if value != allowed and sequence_in(scopes):
            raise SettingsError(
                f"expected {what} to be {allowed} of work in a sequence, which runs one at a time in order, got {value}"
            )

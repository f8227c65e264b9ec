"""What stands beside the type of a setting, of a worker or of a pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lash_redis.core.checks import Check


@dataclass(frozen=True, slots=True)
class Setting:
    """What one setting means, what it may be, and how the command line has it.

    Attributes:
        meaning: for the command line's help and the reference, docs/settings.md. For a time the unit stands before it:
            *seconds* a lease lasts.
        check: what its values may be.
        flag: what sets it on the command line of ``lash-redis worker``; empty: only a program sets it.
        metavar: what the help shows in place of the value.
        is_time: milliseconds in a program, seconds on the command line.
        default: in words, what an empty value stands for.
    """

    meaning: str
    check: Check[Any]
    flag: str = ""
    metavar: str = ""
    is_time: bool = False
    default: str = ""

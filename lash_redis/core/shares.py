"""What is declared once and stands in every partition: its revision, and how a number is divided. Pure."""

from __future__ import annotations

from typing import Final

from lash_redis.core.checks import integer
from lash_redis.core.errors import SettingsError

REVISION: Final = integer(1, 1_000_000_000)  # a higher one replaces what stands


def part_of(what: str, number: int, partition: int, partitions: int) -> int:
    """Return the part that one partition has of a number; all parts together are the number. 0 is any number.

    Args:
        what: what the number is called.
        number: how many in all.
        partition: which.
        partitions: how many there are.

    Raises:
        SettingsError: it is less than one for each partition.
    """
    if 0 < number < partitions:
        raise SettingsError(
            f"expected {what} to be at least {partitions}, one for each partition of the namespace, got {number}"
        )
    return number // partitions + (partition < number % partitions)

"""Bounded queues: how many processes that nobody has claimed yet may wait in one. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from lash_redis.core.checks import checked_int, checked_queue
from lash_redis.core.shares import REVISION, part_of

MOST_BOUNDED: Final = 100


class QueueBound(msgspec.Struct, frozen=True):
    """How many processes that no worker has claimed yet may wait in a queue; a submit over it is refused.

    Attributes:
        queue: the queue's name.
        most_waiting: 1 to a billion; None: any number.
        revision: a higher one replaces what stands in the registry, a lower one replaces nothing.

    Raises:
        SettingsError: a value is outside what is allowed.
    """

    queue: str
    most_waiting: int | None
    revision: int = 1

    def __post_init__(self) -> None:
        checked_queue(self.queue)
        if self.most_waiting is not None:
            checked_int("most_waiting", self.most_waiting, at_least=1, at_most=1_000_000_000)
        REVISION.checked("revision", self.revision)

    def part_of(self, partition: int, partitions: int) -> int | None:
        """Return how many may wait in one partition: all parts together are ``most_waiting``.

        Raises:
            SettingsError: it is less than one for each partition.
        """
        if self.most_waiting is None:
            return None
        return part_of(f"most_waiting of queue {self.queue!r}", self.most_waiting, partition, partitions)


class BoundedQueue(msgspec.Struct, frozen=True):
    """A bounded queue as it stands in the registry.

    Attributes:
        bound: what holds.
        waiting: how many processes wait that no worker has claimed yet.
        declared_otherwise: a bound of the same revision that was declared too, and does not hold: raise its revision.
    """

    bound: QueueBound
    waiting: int
    declared_otherwise: str = ""

"""The lanes that a worker serves, and the name under which a partition stores the list of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from lash_redis.core.errors import SettingsError

# What a stored list has for each lane (see name_lanes.lua). A release that stores something else takes another number:
# under one name two releases would each find the other's list incomplete.
_FORMAT: Final = "1"


class ServedLanes:
    """The lanes of one worker, queue by queue. Workers with the same lanes share one stored list (rule 9.1).

    Args:
        queues: the queues' names, each with the lanes that the worker serves; in their order.

    Attributes:
        queues: the queues' names.
        lanes: all lanes, sorted.
        name: digest of the lanes and of how a list is stored, a point, and how many lanes they are.

    Raises:
        SettingsError: a queue is named twice.
    """

    def __init__(self, queues: Sequence[tuple[str, Sequence[str]]]) -> None:
        self.queues = tuple(queue for queue, _ in queues)
        if len(set(self.queues)) != len(self.queues):
            raise SettingsError(f"expected the queues of a claim to be distinct, got {list(self.queues)}")
        self.lanes = tuple(sorted({lane for _, lanes in queues for lane in lanes}))
        content = chr(0).join((_FORMAT, *self.lanes)).encode()
        self.name = f"{sha256(content).hexdigest()[:32]}.{len(self.lanes)}"

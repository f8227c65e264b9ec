"""Counting, bringing what is due, and passing a wake-up on. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.places import PARTITION_INDEXES
from lash_redis.registry.answers import Brought, Counts
from lash_redis.registry.calls.call import Call, Namespace, Steps
from lash_redis.registry.calls.ticks import due_schedules
from lash_redis.registry.codec import STATUSES
from lash_redis.registry.unreadable import readable


def counts(_: Namespace, partition: int) -> Steps[Counts]:
    """Count the places and terminal facts of one partition, and the rows of each lane."""
    first = yield from counts_page(partition)
    lanes, page = dict(first.lanes), first.lanes
    while len(page) == MAX_BATCH:
        page = (yield from counts_page(partition, max(page))).lanes
        lanes |= page
    return msgspec.structs.replace(first, lanes=lanes)


def counts_page(partition: int, after_lane: str = "", lanes: int = MAX_BATCH) -> Call[Counts]:
    """Count one partition, and the rows of one page of lanes: those after ``after_lane``, by name."""
    return Call("counts", partition, [after_lane, lanes], _counted)


def lanes_page(partition: int, after_lane: str = "", limit: int = MAX_BATCH) -> Call[list[str]]:
    """Return one page of the lanes of a partition that are not empty: those after ``after_lane``, by name."""
    return Call("lanes", partition, [after_lane, limit], lambda reply: [_name(lane) for lane in reply[1:]])


def _name(found: bytes) -> str:
    """Return a name as text; of one that is no text every byte that is none is shown."""
    return found.decode("utf-8", "backslashreplace")


def _counted(reply: list[Any]) -> Counts:
    *sizes, asked, unresolved, schedules, ended, lanes = reply[1:]
    terminal = {}
    for field, number in zip(ended[::2], ended[1::2], strict=True):
        task, _, state = _name(field).rpartition("|")
        status = readable("count", _name(field), lambda state=state: STATUSES[state.encode()].value)  # type: ignore[misc]
        if status is not None:
            terminal[task, status] = int(number)
    queued = {_name(name): int(size) for name, size in zip(lanes[::2], lanes[1::2], strict=True)}
    by_index = dict(zip(PARTITION_INDEXES, map(int, sizes), strict=True))
    return Counts(by_index, int(asked), terminal, queued, int(unresolved), int(schedules))


def wake(_: Namespace, partition: int, lane: str) -> Call[None]:
    """Pass a wake-up for a lane on to the next idle worker."""
    return Call("wake", partition, [lane], lambda _reply: None)


def bring_due(_: Namespace, partition: int, most: int = MAX_BATCH) -> Call[Brought]:
    """Move up to so many due rows into their lanes, and do what alarms ask for."""

    def decode(reply: list[Any]) -> Brought:
        return Brought(int(reply[1]) if reply[1] else None, due_schedules(note.decode() for note in reply[2]))

    return Call("bring_due", partition, [most], decode, word=b"BROUGHT")

"""Which node of a Redis Cluster serves a key, as the cluster says. Pure."""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

Place: TypeAlias = tuple[str, int]  # host and port

SLOTS: Final = 16_384
_UNKNOWN: Final = ("", "?")  # a node that does not know its own host: the one that was asked is meant


class SlotMap:
    """Which primary serves each slot.

    Args:
        ranges: first slot, last slot and primary, in any order; what none of them has is served by nobody.
        patches: slots that have moved since.
    """

    def __init__(self, ranges: Sequence[tuple[int, int, Place]], patches: Mapping[int, Place] | None = None) -> None:
        self._ranges = sorted(ranges)
        self._firsts = [first for first, _, _ in self._ranges]
        self._patches = dict(patches or {})

    def place_of(self, slot: int) -> Place | None:
        """Return the primary that serves a slot; None if nobody does."""
        if (patched := self._patches.get(slot)) is not None:
            return patched
        at = bisect_right(self._firsts, slot) - 1
        if at < 0:
            return None
        _, last, place = self._ranges[at]
        return place if slot <= last else None

    def moved(self, slot: int, to: Place) -> SlotMap:
        """Return the map in which one slot has another primary."""
        return SlotMap(self._ranges, self._patches | {slot: to})

    def places(self) -> set[Place]:
        """Return every primary that serves a slot."""
        return {place for _, _, place in self._ranges} | set(self._patches.values())

    def __bool__(self) -> bool:
        """Whether anybody serves anything: a node that was just started does not know."""
        return bool(self._ranges)

    def __eq__(self, other: object) -> bool:
        """Whether every slot has the same primary."""
        if not isinstance(other, SlotMap):
            return NotImplemented
        return all(self.place_of(slot) == other.place_of(slot) for slot in self._edges() | other._edges())

    __hash__ = None  # type: ignore[assignment]

    def _edges(self) -> set[int]:
        """Return the slots at which the primary may change."""
        after = {last + 1 for _, last, _ in self._ranges} | {slot + 1 for slot in self._patches}
        return {slot for slot in {*self._firsts, *self._patches, *after} if slot < SLOTS}


def slot_map_in(answer: Any, asked_host: str) -> SlotMap:
    """Return what ``CLUSTER SLOTS`` says, asked of a node on ``asked_host``."""
    return SlotMap([(int(first), int(last), _place(node, asked_host)) for first, last, node, *_ in answer])


def place_in_moved(reply: str, asked_host: str) -> tuple[int, Place]:
    """Return the slot and its primary from what follows ``MOVED`` in an error reply.

    Raises:
        ValueError: it is no such reply.
    """
    slot, place = reply.split()
    host, _, port = place.rpartition(":")
    return int(slot), (asked_host if host in _UNKNOWN else host.strip("[]"), int(port))


def slot_in_moved(reply: str) -> int:
    """Return the slot in what follows ``MOVED`` in an error reply."""
    return int(reply.split(maxsplit=1)[0])


@functools.lru_cache(maxsize=4096)  # each call asks for that of its partition's header
def slot_of(key: str) -> int:
    """Return the slot of a key, which its hash tag decides."""
    from redis.crc import key_slot

    return key_slot(key.encode())


def _place(node: Sequence[Any], asked_host: str) -> Place:
    host = node[0].decode() if isinstance(node[0], bytes) else node[0] or ""
    return asked_host if host in _UNKNOWN else host, int(node[1])

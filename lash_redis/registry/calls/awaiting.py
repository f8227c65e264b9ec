"""Processes that wait for others: what is refused, what they wait for, and groups. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from lash_redis.core.checks import MAX_BATCH, checked_id
from lash_redis.core.errors import CannotAwait, CannotJoinGroup, OutcomePruned, UnknownProcess
from lash_redis.core.model import ProcessRecord, ProcessRegistration
from lash_redis.registry.calls.call import Call, Namespace, Steps, about
from lash_redis.registry.calls.forgetting import tombstones
from lash_redis.registry.calls.reads import rows
from lash_redis.registry.keys import route_of
from lash_redis.registry.rows import Row

# What an awaited id counts as among the bytes of a batch, so that a batch names about 1,000 of them at most.
AWAITED_BYTES: Final = 1024
HELD_OPEN: Final = "*"


class Awaited(msgspec.Struct, frozen=True):
    """What a blocked process waits for.

    Attributes:
        number: how many processes.
        rows: some of them, as they stand.
        is_held_open: it continues a group that further members may join.
    """

    number: int
    rows: list[Row]
    is_held_open: bool = False


class Members(msgspec.Struct, frozen=True):
    """One page of the members of a group, in the order in which they joined; a row is None once it was pruned."""

    ids: list[str]
    rows: list[Row | None]


def check_awaited_routes(registrations: Sequence[ProcessRegistration]) -> None:
    """Check that what waits lies in one partition with what it waits for, where the namespace has several.

    Raises:
        CannotAwait: a process has another route than one that it waits for.
        CannotJoinGroup: a member has another route than its group.
    """
    for each in registrations:
        for other in each.after:
            if route_of(other) != route_of(each.id):
                raise CannotAwait(each.id, other, _one_route(other))
        if each.member_of and route_of(each.member_of) != route_of(each.id):
            raise CannotJoinGroup(each.id, each.member_of, _one_route(each.member_of))


def _one_route(other: str) -> str:
    return (
        "the namespace has several partitions, a process lies in that of what stands before '::' in its id, and what "
        "waits lies in one with what it waits for: submit them with a process_id that begins alike, such as "
        f"{f'{route_of(other)}::…'!r}, or as members of one group, whose ids do"
    )


def close_group(namespace: Namespace, process_id: str) -> Call[ProcessRecord]:
    """Let a group's continuation go, which no further member will join, once its members have ended.

    Raises:
        UnknownProcess: no process has this id.
        CannotJoinGroup: it continues no group.
    """
    return about(namespace, "close_group", process_id)


def awaited(namespace: Namespace, process_id: str, limit: int = 10) -> Steps[Awaited]:
    """Return what a blocked process waits for: how many, and some of them as they stand."""
    number, ids = yield from _listed(namespace, process_id, "awaits", 0, limit)
    found = yield from rows(namespace, [each for each in ids if each != HELD_OPEN])
    is_held_open = HELD_OPEN in ids  # it sorts before every id
    return Awaited(number - is_held_open, [row for row in found if row is not None], is_held_open)


def members(namespace: Namespace, process_id: str, first: int = 0, limit: int = MAX_BATCH) -> Steps[Members]:
    """Return one page of the members of the group that a process continues, without the ``first`` ones.

    The members of a replay's group are those of the process that it replays.

    Raises:
        UnknownProcess: no process has this id.
        OutcomePruned: it ended and was forgotten, and so was who its members were; ``status`` says how it ended.
    """
    number, ids = yield from _listed(namespace, process_id, "members", first, limit)
    seen = {process_id}  # what a registration replays is its caller's word: it may be itself
    while number == 0:
        (row,) = yield from rows(namespace, [process_id])
        replayed = row and row.record().replay_of
        if replayed and replayed not in seen:
            process_id = replayed
            seen.add(process_id)
            number, ids = yield from _listed(namespace, process_id, "members", first, limit)
            continue
        if row is not None:
            break
        (tombstone,) = yield from tombstones(namespace, [process_id])
        raise OutcomePruned(process_id, tombstone.status.value) if tombstone else UnknownProcess(process_id)
    found = yield from rows(namespace, ids)
    return Members(ids, found)


def _listed(namespace: Namespace, process_id: str, kind: str, first: int, limit: int) -> Call[tuple[int, list[str]]]:
    def decode(reply: list[Any]) -> tuple[int, list[str]]:
        return int(reply[1]), [each.decode() for each in reply[2:]]

    partition = namespace.partition_of(checked_id("process id", process_id))
    return Call("awaited", partition, [process_id, kind, first, limit], decode, word=b"AWAITED")

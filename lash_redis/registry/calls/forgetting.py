"""Forgetting what has ended: by an operator's word, and by retention; and what is kept of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from lash_redis.core.checks import MAX_BATCH, checked_id, checked_int, refused
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.events import RowsAccepted
from lash_redis.core.model import ProcessStatus
from lash_redis.core.outcomes import Resolution, ResolutionKind
from lash_redis.core.struct_checks import checked_kind
from lash_redis.core.subscribers import emit
from lash_redis.registry.answers import PageStart, PruneReport
from lash_redis.registry.calls.batches import batched
from lash_redis.registry.calls.call import Argument, Call, Namespace, Steps
from lash_redis.registry.codec import STATUSES, encode_resolution
from lash_redis.registry.unreadable import readable


class Retention(msgspec.Struct, frozen=True):
    """How long what has ended is kept.

    Attributes:
        keep_ms: a row, ms.
        keep_rows: rows of one task, over all partitions.
        keep_ids_ms: the id of a forgotten row, if its caller chose it, ms.
    """

    keep_ms: int
    keep_rows: int
    keep_ids_ms: int


class Retained(msgspec.Struct, frozen=True):
    """How many rows and results one step of retention forgot."""

    rows: int
    results: int

    def __bool__(self) -> bool:
        return bool(self.rows or self.results)


class Tombstone(msgspec.Struct, frozen=True):
    """What is kept of a row that retention forgot and whose id its caller had chosen."""

    status: ProcessStatus
    ended_at_ms: int


def prune(
    namespace: Namespace,
    before_ms: int | None = None,
    *,
    older_than_ms: int | None = None,
    accepting: Resolution | None = None,
) -> Steps[PruneReport]:
    """Forget terminal processes that ended before a time, by the server's clock; return how many.

    What was abandoned and nobody has resolved stays, unless it is resolved here, with ``accepting``. What retention has
    kept of the ids of such processes is forgotten too: whoever registers one again makes a new process.

    Args:
        namespace: whose.
        before_ms: the time, ms since the epoch.
        older_than_ms: or how long ago it is, ms.
        accepting: a resolution of the kind ``accepted``, for what was abandoned and nobody has resolved. It is recorded
            first: what may not be forgotten yet keeps it.

    Raises:
        SettingsError: not one of the two times is given, or an argument is outside what is allowed.
    """
    time_ms, is_age = _checked_time(before_ms, older_than_ms)
    _check_accepts(accepting)
    processes = tombstones = accepted = unresolved = 0
    for partition in range(namespace.partitions):
        if accepting is not None:
            accepted += yield from _accept(partition, time_ms, is_age, accepting)
        pruned, stay = MAX_BATCH, 0
        while pruned == MAX_BATCH:
            pruned, stay = yield from prune_page(partition, time_ms, is_age)
            processes += pruned
        unresolved += stay
        at: PageStart | None = PageStart()
        while at is not None:
            forgotten, at = yield from forget_tombstones(namespace, partition, time_ms, is_age, at)
            tombstones += forgotten
    return PruneReport(processes, tombstones, accepted, unresolved)


def _check_accepts(accepting: object) -> None:
    if accepting is None:
        return
    if checked_kind("accepting", accepting, Resolution).kind is not ResolutionKind.ACCEPTED:
        raise refused(
            "accepting", "a resolution of the kind 'accepted'", accepting, ": what is known is said of one process"
        )


def _accept(partition: int, time_ms: int, is_age: str, resolution: Resolution) -> Steps[int]:
    accepted, looked = 0, MAX_BATCH
    while looked == MAX_BATCH:
        looked, ids = yield from accept_page(partition, time_ms, is_age, resolution)
        accepted += len(ids)
        if ids:
            emit(RowsAccepted(processes=ids, by=resolution.by, reason=resolution.reason))
    return accepted


def accept_page(partition: int, time_ms: int, is_age: str, resolution: Resolution) -> Call[tuple[int, list[str]]]:
    """Resolve one page of what was abandoned; return at how many it looked, and which it resolved."""
    args: list[Argument] = [time_ms, is_age, MAX_BATCH, encode_resolution(resolution), resolution.kind.value[0]]

    def decode(reply: list[Any]) -> tuple[int, list[str]]:
        return int(reply[1]), [each.decode() for each in reply[2:]]

    return Call("accept", partition, args, decode, word=b"ACCEPTED")


def prunable(
    namespace: Namespace, before_ms: int | None = None, *, older_than_ms: int | None = None
) -> Steps[PruneReport]:
    """Return how many processes ``prune`` would forget now; nothing is changed.

    The arguments are those of ``prune``, and so is the error.
    """
    time_ms, is_age = _checked_time(before_ms, older_than_ms)
    processes = unresolved = 0
    for partition in range(namespace.partitions):
        found, stay = yield from _count_prunable(partition, time_ms, is_age)
        processes, unresolved = processes + found, unresolved + stay
    return PruneReport(processes, unresolved=unresolved)


def retain(
    namespace: Namespace, partition: int, retention: Retention, *, memory_is_short: bool = False
) -> Call[Retained]:
    """Forget a page of what need not be kept in one partition.

    Each partition keeps its part of the rows of a task. ``memory_is_short``: the oldest rows go, whatever their age.
    """
    keep_rows = -(-retention.keep_rows // namespace.partitions)
    args = [MAX_BATCH, retention.keep_ms, keep_rows, retention.keep_ids_ms, "1" if memory_is_short else ""]
    return Call("retain", partition, args, lambda reply: Retained(int(reply[1]), int(reply[2])), word=b"RETAINED")


def tombstones(namespace: Namespace, process_ids: Sequence[str]) -> Steps[list[Tombstone | None]]:
    """Return what is kept of forgotten processes, in the order of the ids; None where nothing is."""
    return batched(namespace, process_ids, str, _read_tombstones)


def _read_tombstones(partition: int, process_ids: Sequence[str]) -> Call[list[Tombstone | None]]:
    def decode(reply: list[Any]) -> list[Tombstone | None]:
        found = zip(process_ids, reply[1::2], reply[2::2], strict=True)
        return [
            readable("tombstone", each, lambda state=state, ended=ended: Tombstone(STATUSES[state], int(ended)))  # type: ignore[misc]
            if state
            else None
            for each, state, ended in found
        ]

    ids = [checked_id("process id", each) for each in process_ids]
    return Call("tombstones", partition, ids, decode, word=b"TOMBSTONES")


def forget_tombstones(
    _: Namespace, partition: int, time_ms: int, is_age: str, start: PageStart
) -> Call[tuple[int, PageStart | None]]:
    """Forget what is kept of one page of ids; return of how many, and where the next page begins.

    ``time_ms`` is when they ended at the latest, exclusive; ``is_age``: "1" if it is so long before now.
    """

    def decode(reply: list[Any]) -> tuple[int, PageStart | None]:
        return int(reply[1]), PageStart(reply[2].decode(), int(reply[3])) if reply[2] else None

    args: list[Argument] = [time_ms, is_age, start.score, start.skip, MAX_BATCH]
    return Call("forget_tombstones", partition, args, decode, word=b"FORGOTTEN")


def _checked_time(before_ms: int | None, older_than_ms: int | None) -> tuple[int, str]:
    if (before_ms is None) == (older_than_ms is None):
        raise SettingsError(f"expected before_ms or older_than_ms, got {shown(before_ms)} and {shown(older_than_ms)}")
    if older_than_ms is None:
        return checked_int("before_ms", before_ms, at_least=0, at_most=2**53), ""
    return checked_int("older_than_ms", older_than_ms, at_least=0, at_most=2**53), "1"


def prune_page(partition: int, time_ms: int, is_age: str) -> Call[tuple[int, int]]:
    """Forget one page of a partition's terminal rows; the answer is how many, and how many are not resolved."""
    return Call("prune", partition, [time_ms, MAX_BATCH, is_age], _two_numbers)


def _count_prunable(partition: int, time_ms: int, is_age: str) -> Call[tuple[int, int]]:
    """Count what could be forgotten in one partition, and what is not resolved."""
    return Call("prunable", partition, [time_ms, is_age], _two_numbers)


def _two_numbers(reply: list[Any]) -> tuple[int, int]:
    return int(reply[1]), int(reply[2])

"""Say why work waits: for other processes, a pause, a worker that serves its lane, or a limit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from lash_redis.core.lanes import plain_lane
from lash_redis.core.model import Phase, ProcessStatus
from lash_redis.core.options import MAX_AFTER
from lash_redis.operate.pausing import why_paused
from lash_redis.registry.calls.awaiting import Awaited
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row


class Waiting(msgspec.Struct, frozen=True):
    """Why a row waits.

    Attributes:
        reason: other processes, a paused queue or task, a worker that serves its lane, or a limit; empty: nothing.
        text: in words.
        helps: what a person can do about it, each a sentence; none if time does it.
    """

    reason: Literal["", "others", "pause", "worker", "limit"] = ""
    text: str = ""
    helps: tuple[str, ...] = ()


NOT_WAITING: Final = Waiting()
_MOST_NAMED: Final = 10
_HELD_OPEN: Final = "its group is held open"


async def why_they_wait(registry: ProcessRegistry, rows: Iterable[Row]) -> dict[str, str]:
    """Return why rows wait, by process id: those whose lane is not served or paused, and groups that are held open."""
    queued = defaultdict[int, list[Row]](list)
    reasons = {}
    for row in rows:
        is_group = row.phase is Phase.BLOCKED and row.continues_group
        if is_group and (await registry.awaited(row.process_id, 1)).is_held_open:
            reasons[row.process_id] = _HELD_OPEN
        if row.phase is Phase.QUEUED:
            queued[registry.partition_of(row.process_id)].append(row)
    pauses = await registry.pauses() if queued else []
    for partition, waiting in queued.items():
        services = await registry.served(partition, [row.lane for row in waiting])
        for row in waiting:
            if why := why_paused(pauses, row.lane) or services[plain_lane(row.lane)].why_it_waits:
                reasons[row.process_id] = why
    return reasons


async def why_it_waits(registry: ProcessRegistry, row: Row) -> Waiting:
    """Return why a row waits, if it does and something more than its turn is known."""
    if row.phase is Phase.BLOCKED:
        return what_it_awaits(row, await registry.awaited(row.process_id, MAX_AFTER))
    if row.phase is not Phase.QUEUED:
        return NOT_WAITING
    if paused := why_paused(await registry.pauses(), row.lane):
        return Waiting("pause", paused)
    if unserved := (await registry.service_of(row.process_id, row.lane)).why_it_waits:
        return Waiting("worker", unserved)
    if row.key is None or row.is_in_sequence:
        return NOT_WAITING
    limit = await registry.waits_for_limit(row.process_id)
    return Waiting("limit", limit) if limit else NOT_WAITING


def what_it_awaits(blocked: Row, awaited: Awaited, most_named: int = _MOST_NAMED) -> Waiting:
    """Say for what a blocked process waits, first what no time ends, and what helps against that."""
    rows = sorted(awaited.rows, key=lambda row: not _is_for_people(row))
    named = [f"{row.process_id} ({_state(row)})" for row in rows[:most_named]]
    more = ", …" if awaited.number > len(named) else ""
    what = f"{awaited.number} to end: {', '.join(named)}{more}" if awaited.number else "no member"
    text = f"{_HELD_OPEN}; it waits for {what}" if awaited.is_held_open else f"it waits for {what}"
    helps = [_help(row) for row in rows if _is_for_people(row)][:_MOST_NAMED]
    if awaited.is_held_open:
        cancel = f"lash-redis cancel {blocked.process_id} --by … --reason … gives it up"
        again = "the program that opened it closes it, or the same block run again; "
        helps.insert(
            0, f"{again if b'ch' in blocked.fields else 'only the program that opened it closes it; '}{cancel}"
        )
    return Waiting("others", text, tuple(helps))


def _is_for_people(row: Row) -> bool:
    """Say whether no time ends a process, or settles how it ended."""
    return row.phase is Phase.UNCERTAIN or (row.status is ProcessStatus.ABANDONED and not row.is_resolved)


def _state(row: Row) -> str:
    if row.phase:
        return row.phase.value
    return f"{row.status.value}, unresolved" if _is_for_people(row) else row.status.value


def _help(row: Row) -> str:
    if row.phase is Phase.UNCERTAIN:
        return f"nobody knows whether {row.process_id} runs: lash-redis abandon {row.process_id} --by … --reason …"
    kinds = "happened|did_not_happen|accepted"
    return f"say what became of it: lash-redis resolve {row.process_id} --as {kinds} --by … --reason …"

"""Say why work waits: for other processes, a pause, a worker that serves its lane, or a limit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from lash_redis.core.lanes import plain_lane
from lash_redis.core.model import Phase
from lash_redis.operate.pausing import why_paused
from lash_redis.registry.calls.awaiting import Awaited
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row


class Waiting(msgspec.Struct, frozen=True):
    """Why a row waits.

    Attributes:
        reason: other processes, a paused queue or task, a worker that serves its lane, or a limit; empty: nothing.
        text: in words.
    """

    reason: Literal["", "others", "pause", "worker", "limit"] = ""
    text: str = ""


NOT_WAITING: Final = Waiting()


async def why_they_wait(registry: ProcessRegistry, rows: Iterable[Row]) -> dict[str, str]:
    """Return why queued rows wait, by process id: those whose lane is served and not paused are left out."""
    queued = defaultdict[int, list[Row]](list)
    for row in rows:
        if row.phase is Phase.QUEUED:
            queued[registry.partition_of(row.process_id)].append(row)
    pauses = await registry.pauses() if queued else []
    reasons = {}
    for partition, waiting in queued.items():
        services = await registry.served(partition, [row.lane for row in waiting])
        for row in waiting:
            if why := why_paused(pauses, row.lane) or services[plain_lane(row.lane)].why_it_waits:
                reasons[row.process_id] = why
    return reasons


async def why_it_waits(registry: ProcessRegistry, row: Row) -> Waiting:
    """Return why a row waits, if it does and something more than its turn is known."""
    if row.phase is Phase.BLOCKED:
        return Waiting("others", _awaited_in_words(await registry.awaited(row.process_id)))
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


def _awaited_in_words(awaited: Awaited) -> str:
    """Say for what a blocked process waits, and in which state it is."""
    named = [f"{row.process_id} ({row.phase.value if row.phase else row.status.value})" for row in awaited.rows]
    more = ", …" if awaited.number > len(named) else ""
    what = f"{awaited.number} to end: {', '.join(named)}{more}" if awaited.number else "no member"
    return f"its group is held open; it waits for {what}" if awaited.is_held_open else f"it waits for {what}"

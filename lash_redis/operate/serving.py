"""Say why queued work waits, where no worker is known that lives and serves its lane."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from lash_redis.core.lanes import plain_lane
from lash_redis.core.model import Phase
from lash_redis.operate.pausing import why_paused
from lash_redis.registry.calls.awaiting import Awaited
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row


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


async def why_it_waits(registry: ProcessRegistry, row: Row) -> str:
    """Return why a row waits; empty if it does not, or its lane is served.

    A blocked one waits for others. A queued one waits since nobody serves its lane, or for a limit.
    """
    if row.phase is Phase.BLOCKED:
        return _awaited_in_words(await registry.awaited(row.process_id))
    if row.phase is not Phase.QUEUED:
        return ""
    why = (await registry.service_of(row.process_id, row.lane)).why_it_waits
    if why or row.key is None or row.is_in_sequence:
        return why
    return await registry.waits_for_limit(row.process_id)


def _awaited_in_words(awaited: Awaited) -> str:
    """Say for what a blocked process waits, and in which state it is."""
    named = [f"{row.process_id} ({row.phase.value if row.phase else row.status.value})" for row in awaited.rows]
    more = ", …" if awaited.number > len(named) else ""
    what = f"{awaited.number} to end: {', '.join(named)}{more}" if awaited.number else "no member"
    return f"its group is held open; it waits for {what}" if awaited.is_held_open else f"it waits for {what}"

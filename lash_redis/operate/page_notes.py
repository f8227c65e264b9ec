"""Say of the rows of a page why they wait: what is asked is bounded by their number.

It is what ``show`` says of one process, in a few words: a pause or the lack of a worker, the halted sequence or the
limit, and the processes that a blocked one waits for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lash_redis.core.lanes import scopes_of
from lash_redis.core.model import Phase
from lash_redis.core.places import QUEUED
from lash_redis.operate.sequence_state import halts_others
from lash_redis.operate.why_it_waits import what_it_awaits, why_they_wait
from lash_redis.registry.calls.refusals import waits_for
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row

_ITS_TURN: Final = waits_for(QUEUED, "head")


async def notes_of(registry: ProcessRegistry, rows: Sequence[Row]) -> dict[str, str]:
    """Return why rows wait, by process id; those of which nothing is known but their turn are left out."""
    notes = await why_they_wait(registry, rows)
    firsts: dict[tuple[str, str | None], Row | None] = {}
    for row in rows:
        if row.process_id in notes:
            continue
        if row.phase is Phase.BLOCKED:
            why = what_it_awaits(row, await registry.awaited(row.process_id), most_named=1).text
        elif row.phase is Phase.QUEUED and row.is_in_sequence:
            sequence = (scopes_of(row.lane), row.key)
            if sequence not in firsts:
                firsts[sequence] = await _first(registry, row.process_id)
            why = _behind(row, firsts[sequence])
        elif row.phase is Phase.QUEUED and row.key is not None:
            limit = await registry.waits_for_limit(row.process_id)
            why = "" if limit == _ITS_TURN else limit
        else:
            why = ""
        if why:
            notes[row.process_id] = why
    return notes


async def _first(registry: ProcessRegistry, process_id: str) -> Row | None:
    first = await registry.first_of_sequence(process_id)
    return await registry.row(first) if first else None


def _behind(row: Row, first: Row | None) -> str:
    if first is None or first.process_id == row.process_id:
        return ""
    if halts_others(first):
        return f"halted: {first.process_id} is {(first.phase or first.status).value}"
    return f"behind {first.process_id}"

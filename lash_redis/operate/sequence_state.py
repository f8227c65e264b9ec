"""Say which process goes before one that stands in a sequence."""

from __future__ import annotations

import msgspec

from lash_redis.core.lanes import scopes_of
from lash_redis.core.model import Phase, ProcessStatus
from lash_redis.core.sequences import halts
from lash_redis.operate.why_it_waits import why_it_waits
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row


class Ahead(msgspec.Struct, frozen=True):
    """The first process of a sequence, for which all others of it wait.

    Attributes:
        process_id: its id.
        state: its phase, or its status if it has ended.
        is_halted: it is uncertain, or was abandoned and is not resolved: the sequence halts until that is settled.
        waits: why it waits itself, if it is paused, or not known to be served by a worker that lives; else empty.
    """

    process_id: str
    state: str
    is_halted: bool
    waits: str = ""


async def what_goes_before(registry: ProcessRegistry, row: Row) -> Ahead | None:
    """Return the first process of the sequence in which a queued row waits; None if it is the first, or in none."""
    if row.phase is not Phase.QUEUED or not row.is_in_sequence:
        return None
    first = await registry.first_of_sequence(row.process_id)
    ahead = await registry.row(first) if first and first != row.process_id else None
    if ahead is None:
        return None
    state = ahead.phase or ahead.status
    waiting = await why_it_waits(registry, ahead)
    return Ahead(ahead.process_id, state.value, halts_others(ahead), waiting.text)


def halts_others(row: Row) -> bool:
    """Say whether a row halts the sequence in which it stands, if it is the first there."""
    is_lost = row.phase is Phase.UNCERTAIN or (row.status is ProcessStatus.ABANDONED and not row.is_resolved)
    return is_lost and halts(scopes_of(row.lane))

"""Count the processes of a namespace: by phase, by terminal status, and what needs attention."""

from __future__ import annotations

from collections import Counter

import msgspec

from lash_redis.core.model import Phase, ProcessStatus
from lash_redis.core.places import BY_URGENCY, LEASED
from lash_redis.registry.registry import ProcessRegistry


class Totals(msgspec.Struct, frozen=True):
    """The counts of all partitions together.

    Attributes:
        phases: rows that are not terminal, by phase, the most urgent phase first.
        statuses: terminal rows by status.
        abandon_requested: rows with an abandon request that no sweep has carried out.
        lapsed: rows with a lapsed lease that no sweep has seen, 500 at most of each partition.
    """

    phases: dict[Phase, int]
    statuses: dict[ProcessStatus, int]
    abandon_requested: int
    lapsed: int


async def count(registry: ProcessRegistry) -> Totals:
    """Count the rows of all partitions."""
    phases: Counter[Phase] = Counter()
    statuses: Counter[str] = Counter()
    abandon_requested = lapsed = 0
    for partition in range(registry.partitions):
        counts = await registry.counts(partition)
        phases.update(counts.phases())
        for (_task, status), number in counts.terminal.items():
            statuses[status] += number
        abandon_requested += counts.asked
        lapsed += len((await registry.page(partition, LEASED.index, upto="now")).rows)
    return Totals(
        {phase: phases[phase] for phase in BY_URGENCY},
        {status: statuses[status.value] for status in ProcessStatus if status is not ProcessStatus.RUNNING},
        abandon_requested,
        lapsed,
    )

"""Count the processes of a namespace: by phase, by terminal status, and what needs attention. Show the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TypedDict

import msgspec

from lash_redis.core.bounds import BoundedQueue
from lash_redis.core.model import Phase, ProcessStatus
from lash_redis.core.pausing import Paused
from lash_redis.core.places import BY_URGENCY, LEASED
from lash_redis.operate.pausing import paused_view
from lash_redis.operate.row_views import Plain, RowView, row_view
from lash_redis.registry.calls.listing import ListedRows
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.server import ServerInfo


class Totals(msgspec.Struct, frozen=True):
    """The counts of all partitions together.

    Attributes:
        phases: rows that are not terminal, by phase, the most urgent phase first.
        statuses: terminal rows by status.
        abandon_requested: rows with an abandon request that no sweep has carried out.
        lapsed: rows with a lapsed lease that no sweep has seen, 500 at most of each partition.
        workers: those that called within the last minute.
        queues: that these served, by name; those of 16 kinds of workers at most.
        unresolved: abandoned rows without a resolution.
        schedules: that are stored.
        paused: the queues and tasks of which nothing begins.
        bounded: the queues in which only so many may wait.
        queued: how many wait in each queue in which any does.
    """

    phases: dict[Phase, int]
    statuses: dict[ProcessStatus, int]
    abandon_requested: int
    lapsed: int
    workers: int
    queues: list[str]
    unresolved: int = 0
    schedules: int = 0
    paused: list[Paused] = []
    bounded: list[BoundedQueue] = []
    queued: dict[str, int] = {}


async def count(registry: ProcessRegistry) -> Totals:
    """Count the rows of all partitions."""
    phases: Counter[Phase] = Counter()
    statuses: Counter[str] = Counter()
    abandon_requested = lapsed = workers = unresolved = schedules = 0
    queues = set[str]()
    queued: Counter[str] = Counter()
    for partition in range(registry.partitions):
        counts = await registry.counts(partition)
        phases.update(counts.phases())
        for (_task, status), number in counts.terminal.items():
            statuses[status] += number
        for lane, number in counts.lanes.items():
            queued[lane.split("|", 1)[0]] += number  # also of a name that is no lane
        abandon_requested += counts.asked
        unresolved += counts.unresolved
        schedules += counts.schedules
        lapsed += len((await registry.page(partition, LEASED.index, upto="now")).rows)
        living = await registry.living(partition)
        workers = max(workers, living.owners)  # each calls every partition
        queues.update(living.queues)
    return Totals(
        {phase: phases[phase] for phase in BY_URGENCY},
        {status: statuses[status.value] for status in ProcessStatus if status is not ProcessStatus.RUNNING},
        abandon_requested,
        lapsed,
        workers,
        sorted(queues),
        unresolved,
        schedules,
        await registry.pauses(),
        await registry.bounds(),
        dict(queued),
    )


class NamespaceView(TypedDict):
    """A namespace: its counts, and a page of its processes."""

    namespace: str
    address: str  # of the server, without user and password
    partitions: int
    server: Plain | None  # version, durability, maxmemory_policy
    phases: dict[str, int]
    states: dict[str, int]
    abandon_requested: int
    processes: list[RowView]
    cursor: str | None  # of the next page
    lapsed: int
    workers: int  # that called within the last minute
    queues: list[str]  # that these served
    unresolved: int  # abandoned, and nobody has said what became of it
    schedules: int  # that are stored
    queued: dict[str, int]  # how many wait in each queue in which any does
    bounded: list[Plain]  # queue, waiting, most_waiting (null: any number), revision, declared_otherwise
    paused: list[Plain]  # queues and tasks of which nothing begins: queue, task, by, at_ms, reason, partitions, of


def namespace_view(
    registry: ProcessRegistry, totals: Totals, page: ListedRows, waits: Mapping[str, str]
) -> NamespaceView:
    """Return the counts of a namespace, and a page of its processes; ``waits`` says why some wait, by process id."""
    server = registry.server
    return {
        "namespace": registry.namespace,
        "address": registry.address.shown,
        "partitions": registry.partitions,
        "server": _server_view(server) if server else None,
        "phases": {phase.value: number for phase, number in totals.phases.items()},
        "states": {status.value: number for status, number in totals.statuses.items()},
        "abandon_requested": totals.abandon_requested,
        "processes": [row_view(row, waits.get(row.process_id, "")) for row in page.rows],
        "cursor": page.cursor,
        "lapsed": totals.lapsed,
        "workers": totals.workers,
        "queues": totals.queues,
        "unresolved": totals.unresolved,
        "schedules": totals.schedules,
        "queued": totals.queued,
        "bounded": [_bounded_view(each) for each in totals.bounded],
        "paused": [paused_view(each) for each in totals.paused],
    }


def _server_view(server: ServerInfo) -> Plain:
    names = ("version", "durability", "maxmemory_policy")
    return {name: getattr(server, name) for name in names}


def _bounded_view(bounded: BoundedQueue) -> Plain:
    bound = bounded.bound
    return {
        "queue": bound.queue,
        "waiting": bounded.waiting,
        "most_waiting": bound.most_waiting,
        "revision": bound.revision,
        "declared_otherwise": bounded.declared_otherwise or None,
    }

"""Say why queued work waits, where no worker that lives serves its lane."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from lash_redis.core.model import Phase
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row


async def why_they_wait(registry: ProcessRegistry, rows: Iterable[Row]) -> dict[str, str]:
    """Return why queued rows wait, by process id: those for which a worker lives are left out."""
    queued = defaultdict[int, list[Row]](list)
    for row in rows:
        if row.phase is Phase.QUEUED:
            queued[registry.partition_of(row.process_id)].append(row)
    reasons = {}
    for partition, waiting in queued.items():
        services = await registry.served(partition, [row.lane for row in waiting])
        for row in waiting:
            service = services.get(row.lane)
            if service is not None and service.why_it_waits:
                reasons[row.process_id] = service.why_it_waits
    return reasons

"""What tests of every kind read from a registry: what must be there, and what they wait for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lash_redis.core.model import Phase, ProcessLease, ProcessRecord
from lash_redis.core.outcomes import Abandoned, AbandonEvidence
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row
from tests.support import PATIENCE_S, wait_until


async def record_of(registry: ProcessRegistry, process_id: str) -> ProcessRecord:
    """Return the record of a process that must be there."""
    record = await registry.get(process_id)
    assert record is not None, process_id
    return record


async def row_of(registry: ProcessRegistry, process_id: str) -> Row:
    """Return the row of a process that must be there, as a sweep would read it."""
    row = await registry.row(process_id)
    assert row is not None, process_id
    return row


async def lease_of(registry: ProcessRegistry, process_id: str) -> ProcessLease:
    """Return the live lease on a process that must be held."""
    lease = await registry.lease(process_id)
    assert lease is not None, process_id
    return lease


async def ended(registry: ProcessRegistry, process_id: str, at_most_s: float = PATIENCE_S) -> ProcessRecord:
    """Wait for the terminal fact and return the record."""
    return await _record_once(registry, process_id, lambda record: record.is_terminal, "has ended", at_most_s)


async def outcomes(registry: ProcessRegistry, *process_ids: str) -> list[Any]:
    """Wait until all have ended and return their outcomes."""
    return [(await ended(registry, process_id)).outcome for process_id in process_ids]


async def is_in(registry: ProcessRegistry, process_id: str, phase: Phase) -> ProcessRecord:
    """Wait until a process stands in a place, and return the record that said so: a second look may find another."""
    return await _record_once(registry, process_id, lambda record: record.phase is phase, f"is {phase.value}")


async def _record_once(
    registry: ProcessRegistry,
    process_id: str,
    is_so: Callable[[ProcessRecord], bool],
    what: str,
    at_most_s: float = PATIENCE_S,
) -> ProcessRecord:
    seen: list[ProcessRecord] = []

    async def look() -> bool:
        seen[:] = [await record_of(registry, process_id)]
        return is_so(seen[0])

    await wait_until(look, f"{process_id} {what}", at_most_s)
    return seen[0]


def evidence(record: ProcessRecord) -> AbandonEvidence:
    """Return the evidence of an abandoned process."""
    assert isinstance(record.outcome, Abandoned), record
    return record.outcome.evidence


async def sent(registry: ProcessRegistry, *command: Any) -> Any:
    """Send one command, whose first argument is a key, to the server that has the key; return the reply."""
    connections = registry.connections
    if (cluster := registry.address.cluster) is not None:
        node = await cluster.node_of(command[1], registry.sender.transport.slots)
        assert node is not None
        connections = connections.at(node)
    return await connections.execute("calls", *command)

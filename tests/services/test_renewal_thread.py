"""Renewal by a thread, for a ``Worker`` in somebody's program (rule 6.3)."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from lash_redis.core.model import Success
from lash_redis.registry.keys import partition_of, partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.declaration import declare
from tests.conformance.actors import RERUNNABLE, work
from tests.look import ended
from tests.services.conftest import Crew
from tests.support import block_until


async def test_leases_are_renewed_while_the_event_loop_is_blocked(
    registry: ProcessRegistry, crew: Crew, backend: Any
) -> None:
    """``async`` work that does not yield keeps its lease."""
    if backend.is_fake:
        pytest.skip("the time of a fake server stands still")
    row = f"{partition_prefix(registry.namespace, partition_of('p', registry.partitions))}:p:p"

    async def blocks(_piece: str) -> None:
        with redis.Redis.from_url(backend.url) as client:
            first = client.hget(row, "ex")
            block_until(lambda: client.hget(row, "ex") != first, "the lease is renewed", 30)

    await registry.register(work("p", RERUNNABLE, "p"))
    worker = crew.worker(declare(blocks, recovery="rerunnable", name="work"), lease_ttl_ms=6_000)
    async with crew.running(worker):
        assert (await ended(registry, "p", 40)).outcome == Success(None)

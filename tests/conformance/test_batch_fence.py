"""The fence under batch claims: it grows as under a claim of one process (rule 3.2)."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, BOB, begun, work


async def test_a_batch_claim_grants_a_fence_of_at_least_the_servers_time(registry: ProcessRegistry) -> None:
    """So that it is above every fence that a failover may have lost."""
    await registry.register(work())

    lease = await begun(registry, "p", ADA)

    assert lease.fencing_token >= lease.claimed_at_ms


async def test_a_batch_claim_raises_the_fence_by_one_when_the_clock_stands(
    registry: ProcessRegistry, backend: Any
) -> None:
    """It never depends on the clock alone."""
    if not backend.is_fake:
        pytest.skip("only a fake server's clock can be stopped")
    await registry.register(work())
    first = await begun(registry, "p", ADA)
    await registry.release(first)
    backend.clock.advance(-10_000)

    assert (await begun(registry, "p", BOB)).fencing_token == first.fencing_token + 1

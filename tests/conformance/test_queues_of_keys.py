"""Paused, bounded and unique work with keys: what is replaced leaves its key, and a first claim counts as one."""

from __future__ import annotations

import pytest

from lash_redis.core.bounds import QueueBound
from lash_redis.core.errors import QueueFull
from lash_redis.core.model import PauseRequest
from lash_redis.core.outcomes import Success
from lash_redis.core.unique import Unique
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.test_keyed_lanes import claimed, ids, policy, row

REPLACE = Unique(key="u", on_duplicate="replace")


@pytest.fixture
def partitions() -> int:
    """Return one: the keys of a lane take turns within a partition."""
    return 1


async def test_what_is_replaced_leaves_its_key_and_the_next_of_that_key_goes(registry: ProcessRegistry) -> None:
    """Also where it was the head for which its key was parked."""
    await policy(registry, limit=1)
    await registry.submit_many([row("x0", "x", "a,"), row("x1", "x", "a,", unique=REPLACE), row("x2", "x", "a,")])
    (lease,) = await claimed(registry, 9)

    assert await registry.submit_many([row("y0", "y", "a,", unique=REPLACE)]) == ["y0"]
    await registry.complete(lease, Success())

    assert await ids(registry, 9) == ["y0", "x2"]


async def test_a_row_with_a_key_counts_against_its_queue_until_its_first_claim(registry: ProcessRegistry) -> None:
    """As one without a key."""
    await registry.bound_queue(QueueBound("default", 2))
    await registry.register_many([row("x0", "x"), row("x1", "x")])
    with pytest.raises(QueueFull):
        await registry.register(row("x2", "x"))

    assert await ids(registry, 1) == ["x0"]

    assert [each.waiting for each in await registry.bounds()] == [1]
    await registry.register(row("x2", "x"))


async def test_a_paused_lane_of_keys_hands_out_nothing(registry: ProcessRegistry) -> None:
    """Whatever its keys may do, and what ends meanwhile."""
    await policy(registry, limit=1)
    await registry.register_many([row(f"x{n}", "x", "a,") for n in range(2)] + [row("t", "t")])
    leases = await claimed(registry, 9)
    assert sorted(lease.process_id for lease in leases) == ["t", "x0"]
    await registry.pause(PauseRequest("ada", 1), task="work")

    await registry.complete(next(lease for lease in leases if lease.process_id == "x0"), Success())
    assert await ids(registry, 9) == []

    await registry.resume(task="work")
    assert await ids(registry, 9) == ["x1"]

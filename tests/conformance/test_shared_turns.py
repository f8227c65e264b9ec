"""Lanes that share slots take turns: which of them is waited for, and who is told (rule 9.12)."""

from __future__ import annotations

import pytest

from lash_redis.core.lanes import lane
from lash_redis.core.outcomes import Success
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, OWNER_BOUND, cancel
from tests.conformance.subscriber import Subscriber
from tests.conformance.test_keyed_lanes import LIMITED, OTHER, SHARED, claimed, ids, policy, row, shared
from tests.conftest import ServerTime

BIG = lane("default", "big", "", ",all")


@pytest.fixture
def partitions() -> int:
    """Return one: the turns of lanes are each partition's own."""
    return 1


async def test_a_lane_that_did_not_come_is_waited_for_again_once_a_claim_has_named_it(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """Sentence 7: until then the other lane takes every slot at once, and afterwards they take turns again."""
    lease = await shared(registry)
    await registry.register_many([row(f"o{n}", "x", "a,", task="other") for n in range(1, 5)])
    await registry.complete(lease, Success(1))
    await server.pass_until(await server.now_ms() + 1100)
    (lease,) = await claimed(registry, 1, OTHER)
    await registry.complete(lease, Success(1))
    (lease,) = await claimed(registry, 1, OTHER)

    assert await ids(registry, 1, LIMITED) == []
    await registry.complete(lease, Success(1))
    (lease,) = await claimed(registry, 1, OTHER)
    await registry.complete(lease, Success(1))

    assert await ids(registry, 1, OTHER) == []
    assert await ids(registry, 1, LIMITED) == ["x1"]


async def test_somebody_is_told_when_an_uncertain_row_ends_the_wait_for_another_lane(
    registry: ProcessRegistry, subscriber: Subscriber
) -> None:
    """Sentence 7: it leaves that lane no room, so that the others may go."""
    await policy(registry, "all", limit=2)
    await registry.register(row("u", "x", ",all", disposition=OWNER_BOUND))
    (lease,) = await claimed(registry, 1, SHARED)
    await registry.register_many([row("big", "x", ",all", task="big", cost=2), row("small", "x", ",all")])
    assert await ids(registry, 9, BIG) == []
    await subscriber.subscribe(owner_digest(ADA))
    assert await ids(registry, 9, SHARED) == []

    await registry.release(lease)

    told = [message for _, message in await subscriber.received()]
    assert set(told) & {f"lane {SHARED}", f"lane {BIG}"}
    assert await ids(registry, 9, SHARED) == ["small"]


@pytest.mark.parametrize("scopes", ["a,", ",all"])
async def test_a_lane_that_was_emptied_is_not_waited_for(
    registry: ProcessRegistry, server: ServerTime, scopes: str
) -> None:
    """It needs no slots any more, whoever counts them."""
    await policy(registry, limit=2)
    await policy(registry, "all", limit=2)
    big, small = lane("default", "big", "", scopes), lane("default", "work", "", scopes)
    await registry.register_many([row("big", "x", scopes, task="big", cost=2)])
    await registry.register_many([row(f"x{n}", "x", scopes) for n in range(2)])
    assert await ids(registry, 1, small) == ["x0"]
    await registry.register(row("third", "x", scopes, task="third"))
    assert await ids(registry, 1, big) == []
    assert await ids(registry, 9, small) == []

    await registry.request_cancel("big", cancel())
    await server.pass_until(await server.now_ms() + 1)
    assert await ids(registry, 9, small) == ["x1"]

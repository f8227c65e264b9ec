"""Keyed lanes: turns, limits, and who may start (rule 9.12)."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import NotItsTurn
from lash_redis.core.lanes import lane
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import ProcessLease, ProcessRegistration, ProcessStarted
from lash_redis.core.outcomes import Success
from lash_redis.core.policies import Policy
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, BOB, LONG_MS, OWNER_BOUND, RERUNNABLE, batch_claim, held, settled, work

TURNS = lane("default", "work", "", ",")
LIMITED = lane("default", "work", "", "a,")
SHARED = lane("default", "work", "", ",all")

pytestmark = pytest.mark.usefixtures("one_partition")


@pytest.fixture
def one_partition(partitions: int) -> None:
    """Skip what happens within one partition in a namespace that has several."""
    if partitions != 1:
        pytest.skip("within one partition")


def row(process_id: str, key: str, scopes: str = ",", **options: Any) -> ProcessRegistration:
    """Return the registration of work for a key."""
    return work(process_id, options.pop("disposition", RERUNNABLE), key=key, scopes=scopes, **options)


async def policy(registry: ProcessRegistry, scope: str = "a", **values: Any) -> None:
    """Store a policy."""
    await registry.name_policies(0, [Policy(scope, scope != "all", **values)])


async def claimed(registry: ProcessRegistry, count: int, *lanes: str, owner: LeaseOwner = ADA) -> list[ProcessLease]:
    """Claim from lanes; return the leases."""
    served = (("default", lanes or (TURNS, LIMITED, SHARED)),)
    batch = await registry.claim_next(batch_claim(registry, owner, count=count, served=served))
    return [
        ProcessLease(each.process_id, owner, each.token, each.fence, batch.claimed_at_ms, batch.expires_at_ms)
        for each in batch.rows
    ]


async def ids(registry: ProcessRegistry, count: int, *lanes: str) -> list[str]:
    """Claim from lanes; return the ids."""
    return [lease.process_id for lease in await claimed(registry, count, *lanes)]


async def test_keys_take_turns(registry: ProcessRegistry) -> None:
    """One row of each, round after round; a key that comes later waits for one turn of each of the others."""
    await registry.register_many([row(f"loud{n}", "loud") for n in range(5)] + [row("quiet", "quiet")])
    await registry.register(row("late", "late"))

    assert await ids(registry, 4) == ["loud0", "quiet", "late", "loud1"]
    await registry.register(row("again", "quiet"))
    assert await ids(registry, 9) == ["loud2", "again", "loud3", "loud4"]


async def test_a_claim_goes_on_where_the_last_one_ended(registry: ProcessRegistry) -> None:
    """Also if it took one row."""
    await registry.register_many([row(f"{key}{n}", key) for key in "ab" for n in range(2)])

    assert [await ids(registry, 1) for _ in range(5)] == [["a0"], ["b0"], ["a1"], ["b1"], []]


async def test_at_most_so_many_of_a_key_are_claimed_at_once(registry: ProcessRegistry) -> None:
    """The key is parked then, and what ends lets its next row go."""
    await policy(registry, limit=2)
    await registry.register_many([row(f"x{n}", "x", "a,") for n in range(4)] + [row("y", "y", "a,")])

    first = await claimed(registry, 9)
    assert [lease.process_id for lease in first] == ["x0", "y", "x1"]
    assert await ids(registry, 9) == []
    await registry.complete(first[0], Success(1))
    assert await ids(registry, 9) == ["x2"]


@pytest.mark.parametrize("how", ["release", "unstart", "settle"])
async def test_whatever_ends_a_lease_frees_its_slot(registry: ProcessRegistry, how: str) -> None:
    """A release, work that was not begun, an owner that was lost."""
    await policy(registry, limit=1)
    await registry.register_many([row("x0", "x", "a,"), row("x1", "x", "a,")])
    (lease,) = await claimed(registry, 9)

    match how:
        case "release":
            await registry.release(lease)
        case "unstart":
            await registry.unstart_many([lease])
        case "settle":
            assert await settled(registry, "x0", "queue", even_if_live=True)
    assert await ids(registry, 9) == ["x0"]


async def test_an_uncertain_row_keeps_its_slot(registry: ProcessRegistry) -> None:
    """Nobody knows whether it still runs."""
    await policy(registry, limit=1)
    await registry.register_many([row("x0", "x", "a,", disposition=OWNER_BOUND), row("x1", "x", "a,")])
    (lease,) = await claimed(registry, 9)

    await registry.release(lease)
    assert await ids(registry, 9) == []
    (again,) = [await registry.claim("x0", ADA, LONG_MS)]
    await registry.complete(again.lease, Success(1))
    assert await ids(registry, 9) == ["x1"]


async def test_a_start_that_was_recorded_without_a_lease_takes_its_slot(registry: ProcessRegistry) -> None:
    """Sentence 8 of keyed lanes: even if none is free."""
    await policy(registry, limit=1)
    await registry.register_many([row(f"x{n}", "x", "a,", disposition=OWNER_BOUND) for n in range(3)])
    (lease,) = await claimed(registry, 1)
    await registry.record_first_started("x2", ProcessStarted(BOB, 1))

    await registry.complete(lease, Success(1))
    assert await ids(registry, 9) == []


async def test_a_row_that_is_not_next_of_its_key_is_refused_by_id(registry: ProcessRegistry) -> None:
    """And one whose key may not run; the refusal says what it waits for."""
    await policy(registry, limit=1)
    await registry.register_many([row("x0", "x", "a,"), row("x1", "x", "a,")])

    with pytest.raises(NotItsTurn, match="another of its key goes first"):
        await registry.claim("x1", ADA, LONG_MS)
    await held(registry, "x0", ADA)
    with pytest.raises(NotItsTurn, match="limit 'a'"):
        await registry.claim("x1", ADA, LONG_MS)


async def test_a_limit_that_all_keys_share_shuts_the_lane(registry: ProcessRegistry) -> None:
    """Sentence 6: the next key keeps its turn."""
    await policy(registry, "all", limit=1)
    await registry.register_many([row("x0", "x", ",all"), row("x1", "x", ",all"), row("y0", "y", ",all")])

    (lease,) = await claimed(registry, 9)
    assert lease.process_id == "x0"
    assert await ids(registry, 9) == []
    await registry.complete(lease, Success(1))
    assert await ids(registry, 9) == ["y0"]

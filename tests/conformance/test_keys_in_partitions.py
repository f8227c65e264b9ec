"""Keyed lanes in eight partitions: each hands out its share of a limit and of a rate, and keys take turns in each."""

from __future__ import annotations

import pytest

from lash_redis.core.model import ProcessLease
from lash_redis.core.outcomes import Success
from lash_redis.core.policies import Policy
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, LONG_MS, batch_claim, ids_of, leases_of
from tests.conformance.test_keyed_lanes import LIMITED, SHARED, TURNS, row

SHARES = (3, 3, 3, 2, 2, 2, 2, 2)


@pytest.fixture
def partitions() -> int:
    """Return eight."""
    return 8


async def claimed(registry: ProcessRegistry, partition: int) -> list[ProcessLease]:
    """Claim what one partition hands out."""
    served = (("default", (TURNS, LIMITED, SHARED)),)
    return leases_of(
        await registry.claim_next(batch_claim(registry, ADA, count=99, served=served, partition=partition)), ADA
    )


@pytest.mark.parametrize(
    "policy",
    [
        Policy("a", keyed=True, limit=19),
        Policy("all", keyed=False, limit=19),
        Policy("a", keyed=True, starts=19, window_ms=LONG_MS),
        Policy("all", keyed=False, starts=19, window_ms=LONG_MS),
    ],
    ids=["limit", "limit-all", "rate", "rate-all"],
)
async def test_each_partition_hands_out_its_share(registry: ProcessRegistry, policy: Policy) -> None:
    """Of each key, or of all keys together; what ends in one partition lets the next of that partition go."""
    scopes, keys = ("a,", "xy") if policy.keyed else (",all", "x")
    for partition in range(8):
        await registry.name_policies(partition, [policy])
        ids = ids_of(5 * len(keys), partition, 8, stem=f"{partition}-")
        await registry.register_many([row(id_, keys[at % len(keys)], scopes) for at, id_ in enumerate(ids)])

    leases = [await claimed(registry, partition) for partition in range(8)]

    assert [len(each) for each in leases] == [share * len(keys) for share in SHARES]
    await registry.complete(leases[7][0], Success(1))
    assert [len(await claimed(registry, partition)) for partition in range(8)] == [0] * 7 + [1 if policy.limit else 0]


async def test_keys_take_turns_in_each_partition(registry: ProcessRegistry) -> None:
    """One loud key delays another by one turn in each of them."""
    for partition in range(8):
        loud, quiet = ids_of(9, partition, 8, stem="loud"), ids_of(1, partition, 8, stem="quiet")
        await registry.register_many([*[row(id_, "loud") for id_ in loud], row(quiet[0], "quiet")])

    for partition in range(8):
        order = [lease.process_id for lease in await claimed(registry, partition)]
        assert order[1].startswith("quiet")
        assert len(order) == 10


async def test_a_key_of_several_partitions_is_one_of_the_keys_that_wait(registry: ProcessRegistry) -> None:
    """It is read in each of them; one that is not read may be another one in each."""
    for partition in range(8):
        await registry.name_policies(partition, [Policy("a", keyed=True, limit=19)])
        ids = ids_of(2, partition, 8, stem=f"{partition}-")
        await registry.register_many([row(id_, key, "a,") for id_, key in zip(ids, "xy", strict=True)])

    found = await registry.keys_of_limit("a")
    assert ([each.key for each in found.keys], found.number) == (["x", "y"], 2)
    found = await registry.keys_of_limit("a", 1)
    assert ([each.key for each in found.keys], found.number) == (["x"], 9)

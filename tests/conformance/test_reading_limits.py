"""What stands of limits, what was declared otherwise, and which keys have slots or wait (rule 9.12)."""

from __future__ import annotations

import pytest

from lash_redis.core.lanes import lane
from lash_redis.core.policies import Policy
from lash_redis.registry.policy_states import KeyState
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import LONG_MS, OWNER_BOUND, cancel
from tests.conformance.test_keyed_lanes import LIMITED, claimed, ids, policy, row


@pytest.fixture
def partitions() -> int:
    """Return one: each partition has its own keys."""
    return 1


async def states(registry: ProcessRegistry, most: int = 100) -> list[KeyState]:
    """Return the keys of the limit, as they are read."""
    return (await registry.keys_of_limit("a", most)).keys


async def test_the_keys_with_the_most_slots_come_first_and_say_why_they_are_parked(registry: ProcessRegistry) -> None:
    """Slots that are taken, those of uncertain rows, and a key that may run."""
    await policy(registry, limit=2)
    await registry.register_many([row(f"x{n}", "x", "a,", disposition=OWNER_BOUND) for n in range(3)])
    await registry.register_many([row(f"y{n}", "y", "a,") for n in range(2)])
    first = await claimed(registry, 3)
    assert [lease.process_id for lease in first] == ["x0", "y0", "x1"]
    await registry.release(first[0])
    await registry.register(row("z0", "z", "a,"))

    assert await states(registry) == [KeyState("x", 2, 1, 0, "slots"), KeyState("y", 1, 0, 0), KeyState("z", 0, 0, 0)]


async def test_a_key_that_waits_for_its_window_says_for_how_long(registry: ProcessRegistry) -> None:
    """And how many have started in it."""
    await policy(registry, starts=1, window_ms=LONG_MS)
    await registry.register_many([row(f"x{n}", "x", "a,") for n in range(2)])
    assert await ids(registry, 9) == ["x0"]

    (state,) = await states(registry)
    assert (state.starts, state.why) == (1, "window")
    assert 0 < int(state.detail) <= LONG_MS


async def test_a_key_that_waits_behind_another_lane_names_it(registry: ProcessRegistry) -> None:
    """It has room for a row of one slot, but the other lane was refused first."""
    await policy(registry, limit=2)
    await registry.register_many([row("big", "x", "a,", task="z", cost=2), row("x0", "x", "a,")])
    await registry.register(row("x1", "x", "a,"))
    assert await ids(registry, 1, LIMITED) == ["x0"]
    assert await ids(registry, 9, LIMITED) == []

    assert await states(registry) == [KeyState("x", 1, 0, 0, "turn", lane("default", "z", "", "a,"))]
    await registry.request_cancel("x1", cancel())
    assert [(each.why, each.detail) for each in await states(registry)] == [("slots", "")]


async def test_of_more_keys_than_are_read_the_number_is_known(registry: ProcessRegistry) -> None:
    """Those that are parked are read first."""
    await policy(registry, limit=1)
    await registry.register_many([row(f"{key}{n}", key, "a,") for key in "xyz" for n in range(2)])
    assert await ids(registry, 1) == ["x0"]

    found = await registry.keys_of_limit("a", 2)
    assert found.number == 3
    assert [each.key for each in found.keys] == ["x", "y"]


async def test_what_was_declared_and_does_not_hold_is_kept_beside_what_stands(registry: ProcessRegistry) -> None:
    """Of the same revision or of a lower one; a higher one holds, and nothing is beside it."""
    await policy(registry, limit=2, revision=2)
    assert [each.otherwise for each in await registry.limits()] == [None]
    for revision in (2, 1):
        await policy(registry, limit=3, revision=revision)
        (state,) = await registry.limits("a")
        assert state.policy.limit == 2
        assert state.otherwise is not None
        assert state.otherwise.policy == Policy("a", keyed=True, limit=3, revision=revision)
    await policy(registry, limit=2, revision=2)
    assert (await registry.limits())[0].otherwise is not None

    await policy(registry, limit=3, revision=3)
    (state,) = await registry.limits()
    assert (state.policy.limit, state.otherwise) == (3, None)


async def test_as_many_policies_as_there_are_are_read_by_pages(registry: ProcessRegistry) -> None:
    """Each of them once, and by name only those that were asked for."""
    names = [f"limit-{number:04}" for number in range(1200)]
    for at in range(0, len(names), 400):
        await registry.name_policies(0, [Policy(name, keyed=False, limit=1) for name in names[at : at + 400]])

    assert [each.policy.scope for each in await registry.limits()] == names
    assert [each.policy.scope for each in await registry.limits(names[7], "nobody", names[3])] == [names[3], names[7]]

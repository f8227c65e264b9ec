"""Keyed lanes: turns, limits, and who may start (rule 9.12)."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import NotItsTurn, SettingsError
from lash_redis.core.lanes import lane
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Acquired, ProcessLease, ProcessRegistration, ProcessStarted
from lash_redis.core.outcomes import Success
from lash_redis.core.policies import Policy
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    batch_claim,
    cancel,
    dead_owner,
    held,
    leases_of,
    local_owner,
    settled,
    work,
)
from tests.conftest import ServerTime
from tests.soundness import assert_sound, keyspace

TURNS = lane("default", "work", "", ",")
LIMITED = lane("default", "work", "", "a,")
SHARED = lane("default", "work", "", ",all")


@pytest.fixture
def partitions() -> int:
    """Return one: the turns, limits and slots of keys are each partition's own."""
    return 1


def row(process_id: str, key: str, scopes: str = ",", **options: Any) -> ProcessRegistration:
    """Return the registration of work for a key."""
    return work(process_id, options.pop("disposition", RERUNNABLE), key=key, scopes=scopes, **options)


async def policy(registry: ProcessRegistry, scope: str = "a", **values: Any) -> None:
    """Store a policy."""
    await registry.name_policies(0, [Policy(scope, scope != "all", **values)])


async def claimed(registry: ProcessRegistry, count: int, *lanes: str, owner: LeaseOwner = ADA) -> list[ProcessLease]:
    """Claim from lanes; return the leases."""
    served = (("default", lanes or (TURNS, LIMITED, SHARED)),)
    return leases_of(await registry.claim_next(batch_claim(registry, owner, count=count, served=served)), owner)


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
    again = await registry.claim("x0", ADA, LONG_MS)
    assert isinstance(again, Acquired)
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

    with pytest.raises(NotItsTurn, match="another one, of the same key or limit, goes first"):
        await registry.claim("x1", ADA, LONG_MS)
    await held(registry, "x0", ADA)
    with pytest.raises(NotItsTurn, match="limit 'a'"):
        await registry.claim("x1", ADA, LONG_MS)


async def test_work_without_keys_waits_for_its_limit_in_words_too(registry: ProcessRegistry) -> None:
    """Nothing is said of a key: it has none."""
    await policy(registry, "all", limit=1)
    await registry.register_many([row(f"x{n}", "", ",all") for n in range(3)])

    with pytest.raises(NotItsTurn, match="another one, of the same key or limit, goes first"):
        await registry.claim("x1", ADA, LONG_MS)
    await held(registry, "x0", ADA)
    for waiting in ("x1", "x2"):
        with pytest.raises(NotItsTurn, match="limit 'all'"):
            await registry.claim(waiting, ADA, LONG_MS)


async def test_a_limit_that_all_keys_share_shuts_the_lane(registry: ProcessRegistry) -> None:
    """Sentence 6: the next key keeps its turn."""
    await policy(registry, "all", limit=1)
    await registry.register_many([row("x0", "x", ",all"), row("x1", "x", ",all"), row("y0", "y", ",all")])

    (lease,) = await claimed(registry, 9)
    assert lease.process_id == "x0"
    assert await ids(registry, 9) == []
    await registry.complete(lease, Success(1))
    assert await ids(registry, 9) == ["y0"]


async def test_what_frees_a_slot_lets_the_key_go_in_every_lane_of_the_scope(registry: ProcessRegistry) -> None:
    """Sentence 2: two tasks share the limit of a key."""
    other = lane("default", "other", "", "a,")
    await policy(registry, limit=1)
    await registry.register_many([row("x0", "x", "a,"), row("x1", "x", "a,", task="other")])

    (lease,) = await claimed(registry, 9, LIMITED, other)
    assert await ids(registry, 9, LIMITED, other) == []
    await registry.complete(lease, Success(1))
    assert await ids(registry, 9, other) == ["x1"]


async def test_more_lanes_than_one_step_looks_at_are_looked_at_in_steps(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """Sentence 2: where a scope has more than a hundred lanes an alarm goes on."""
    await policy(registry, limit=150)
    tasks = [f"t{n:03}" for n in range(150)]
    lanes = [lane("default", task, "", "a,") for task in tasks]
    await registry.register(row("all", "x", "a,", cost=150))
    await registry.register_many([row(task, "x", "a,", task=task) for task in tasks])
    (lease,) = await claimed(registry, 1, LIMITED)
    await registry.bring_due(0, 9)
    assert await ids(registry, 200, *lanes) == []

    await registry.complete(lease, Success(1))
    await assert_sound(client, namespace)
    await registry.bring_due(0, 9)
    await assert_sound(client, namespace)
    assert sorted(await ids(registry, 200, *lanes)) == tasks


async def test_a_process_takes_as_many_slots_as_it_costs(registry: ProcessRegistry) -> None:
    """Its key waits for all of them; above the limit it counts as the whole limit."""
    await policy(registry, limit=3)
    await registry.register_many([row("x0", "x", "a,"), row("x1", "x", "a,", cost=3), row("x2", "x", "a,")])
    await registry.register_many([row("y0", "y", "a,", cost=9)])

    first = await claimed(registry, 9)
    assert [lease.process_id for lease in first] == ["x0", "y0"]
    await registry.complete(first[0], Success(1))
    assert await ids(registry, 9) == ["x1"]


async def test_so_many_of_a_key_start_in_a_window(registry: ProcessRegistry) -> None:
    """What was not begun gives nothing back."""
    await policy(registry, starts=2, window_ms=LONG_MS)
    await registry.register_many([row(f"x{n}", "x", "a,") for n in range(4)] + [row("y0", "y", "a,")])

    first = await claimed(registry, 9)
    assert [lease.process_id for lease in first] == ["x0", "y0", "x1"]
    await registry.unstart_many(first[:1])
    assert await ids(registry, 9) == []


async def test_a_lease_that_is_taken_over_counts_as_a_start(registry: ProcessRegistry) -> None:
    """Whoever reclaims from a dead owner runs the work again."""
    await policy(registry, starts=2, window_ms=LONG_MS)
    await registry.register_many([row(f"x{n}", "x", "a,") for n in range(2)])
    (lease,) = await claimed(registry, 1, owner=dead_owner())

    assert isinstance(await registry.reclaim("x0", local_owner(), lease, LONG_MS), Acquired)
    assert await ids(registry, 9) == []


async def test_a_key_whose_window_is_full_and_that_has_no_more_rows_sets_no_alarm(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """Nobody waits for the end of its window."""
    await policy(registry, starts=1, window_ms=LONG_MS)
    await registry.register(row("x", "x", "a,"))
    assert await ids(registry, 9) == ["x"]
    assert "alarms" not in (await keyspace(client, namespace))[0]

    await registry.register(row("y", "x", "a,"))
    alarms = (await keyspace(client, namespace))[0]["alarms"].value
    assert set(alarms) == {f"key {LIMITED} x"}


async def test_a_window_opens_with_its_first_start(registry: ProcessRegistry, server: ServerTime) -> None:
    """So many start again once it has ended, and a re-run counts."""
    await policy(registry, starts=2, window_ms=200)
    await registry.register_many([row(f"x{n}", "x", "a,") for n in range(4)])

    first = await claimed(registry, 9)
    await registry.unstart_many(first[:1])
    await server.pass_until(await server.now_ms() + 200)
    assert await ids(registry, 9) == ["x0", "x2"]


async def test_a_limit_for_all_keys_opens_again_with_its_window(registry: ProcessRegistry, server: ServerTime) -> None:
    """And no key was parked for it."""
    await policy(registry, "all", starts=1, window_ms=200)
    await registry.register_many([row("x0", "x", ",all"), row("y0", "y", ",all")])

    assert await ids(registry, 9) == ["x0"]
    await server.pass_until(await server.now_ms() + 200)
    assert await ids(registry, 9) == ["y0"]


@pytest.mark.parametrize(("ms", "free"), [(100, ["x1"]), (3_600_000, ["x1", "y1"])])
async def test_no_key_is_parked_for_longer_than_its_window_when_the_clock_is_set_back(
    registry: ProcessRegistry, server: ServerTime, ms: int, free: list[str]
) -> None:
    """Its alarm would ring an hour late. One that waits for a window which the clock still lies in goes on waiting."""
    await policy(registry, starts=1, window_ms=400)
    await policy(registry, "b", starts=1, window_ms=LONG_MS)
    lanes = LIMITED, lane("default", "work", "", "b,")
    await registry.register_many([row(f"y{n}", "y", "b,") for n in range(2)])
    assert await ids(registry, 9, *lanes) == ["y0"]
    await server.pass_until(await server.now_ms() + 150)
    await registry.register_many([row(f"x{n}", "x", "a,") for n in range(2)])
    assert await ids(registry, 9, *lanes) == ["x0"]

    await server.set_back(registry, ms)

    found: list[str] = []
    for passed_ms in (0, 0, 0, 420):  # a busy machine may come so late that the clock lies in the window again
        await server.pass_until(await server.now_ms() + passed_ms)
        found += await ids(registry, 9, *lanes)
    assert sorted(found) == free


async def test_a_lane_is_waited_for_for_a_second_when_the_clock_is_set_back(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """The lane that waits behind it is not forgotten until the clock is where it was."""
    lease = await shared(registry)
    await registry.complete(lease, Success(1))

    await server.set_back(registry, 3_600_000)

    found: list[str] = []
    for _ in range(3):
        found += await ids(registry, 1, OTHER)
        await server.pass_until(await server.now_ms() + 1100)
    assert found == ["o0"]


async def test_a_changed_policy_is_looked_at_when_the_clock_is_set_back(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """Its bounded steps go on at once."""
    await policy(registry, limit=1)
    await registry.register_many([row(f"x{n}", "x", "a,") for n in range(3)])
    assert await ids(registry, 9) == ["x0"]
    await policy(registry, limit=3, revision=2)

    await server.set_back(registry, 3_600_000)

    found: list[str] = []
    for _ in range(4):
        found += await ids(registry, 9)
    assert found == ["x1", "x2"]


async def test_a_higher_revision_lets_parked_keys_go(registry: ProcessRegistry) -> None:
    """Sentence 9: in bounded steps; a lower revision, or another policy of the same, replaces nothing."""
    await policy(registry, limit=1, revision=2)
    await registry.register_many([row(f"x{n}", "x", "a,") for n in range(3)])
    assert await ids(registry, 9) == ["x0"]

    for revision in (1, 2):
        await policy(registry, limit=3, revision=revision)
        assert await ids(registry, 9) == []
    await policy(registry, limit=3, revision=3)
    for _ in range(3):
        await registry.bring_due(0, 500)
    assert await ids(registry, 9) == ["x1", "x2"]


async def test_a_keyed_lane_is_as_old_as_the_row_that_it_would_hand_out_next(registry: ProcessRegistry) -> None:
    """Sentence 11: a parked key's older row does not put its lane first."""
    await policy(registry, limit=1)
    await registry.register_many([row("x0", "x", "a,"), row("x1", "x", "a,")])
    assert await ids(registry, 1) == ["x0"]
    await registry.register(work("plain"))
    await registry.register(row("y0", "y", "a,"))

    assert await ids(registry, 1, "default|work|", LIMITED) == ["plain"]


async def test_each_partition_has_its_share_of_a_policy() -> None:
    """Sentence 10: all of them together are the limit, and less than one for each is refused."""
    shares = [Policy("a", keyed=True, limit=10, starts=9, window_ms=5).part_of(number, 8) for number in range(8)]

    assert [share.limit for share in shares] == [2, 2, 1, 1, 1, 1, 1, 1]
    with pytest.raises(SettingsError, match=r"at least 8, .* got 7"):
        Policy("a", keyed=True, limit=7).part_of(0, 8)
    with pytest.raises(SettingsError, match="cost to be at most 1"):
        Policy("a", keyed=True, limit=10).check_cost(2, 8)


OTHER = lane("default", "other", "", "a,")


async def shared(registry: ProcessRegistry) -> ProcessLease:
    """Let the row of one task have the only slot, and rows of both tasks wait; return its lease."""
    await policy(registry, limit=1)
    await registry.register_many([row(f"x{n}", "x", "a,") for n in range(3)])
    await registry.register(row("o0", "x", "a,", task="other"))
    (lease,) = await claimed(registry, 1, LIMITED)
    assert await ids(registry, 1, LIMITED, OTHER) == []
    return lease


async def test_lanes_that_share_slots_take_turns(registry: ProcessRegistry) -> None:
    """Sentence 7: who ends work and claims in one go does not starve the other task."""
    await registry.register(row("first", "x", "a,", task="other"))
    lease = await shared(registry)
    started = [lease.process_id]
    for _ in range(4):
        await registry.complete(lease, Success(1))
        (lease,) = await claimed(registry, 1, LIMITED, OTHER)
        started.append(lease.process_id)

    assert started == ["x0", "x1", "first", "x2", "o0"]


async def test_a_lane_that_does_not_come_is_waited_for_for_a_second(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """Sentence 7: the lane that was refused first is next, and no other takes the slot; but nobody serves its task."""
    lease = await shared(registry)

    freed = await server.now_ms()
    await registry.complete(lease, Success(1))
    early = await ids(registry, 1, OTHER)
    assert early == [] or await server.now_ms() >= freed + 1000
    await server.pass_until(freed + 2000)
    assert early + await ids(registry, 1, OTHER) == ["o0"]


async def test_a_lane_that_is_waited_for_and_was_emptied_is_forgotten(
    registry: ProcessRegistry, server: ServerTime, client: Any, namespace: str
) -> None:
    """Its only row was cancelled: nothing lists it as a lane of its limit any more."""
    await policy(registry, "all", limit=1)
    lanes = [lane("default", task, "", ",all") for task in ("one", "two", "three")]
    await registry.register_many([row(task, "x", ",all", task=task) for task in ("one", "two", "three")])
    (lease,) = await claimed(registry, 1, lanes[0])
    await registry.register(row("again", "x", ",all", task="one"))
    assert await ids(registry, 1, lanes[1]) == []
    await registry.request_cancel("two", cancel())
    await registry.complete(lease, Success(1))

    early = await ids(registry, 1, lanes[0])
    await server.pass_until(await server.now_ms() + 1500)
    assert early + await ids(registry, 1, lanes[0]) == ["again"]
    await assert_sound(client, namespace)


async def test_uncertain_rows_that_leave_a_lane_no_room_stop_no_other(registry: ProcessRegistry) -> None:
    """Sentence 7: what waits for two slots is not waited for while an uncertain row has one of two."""
    await policy(registry, limit=2)
    await registry.register_many([row("u", "x", "a,", disposition=OWNER_BOUND), row("big", "x", "a,", cost=2)])
    await registry.register_many([row(f"o{n}", "x", "a,", task="other") for n in range(2)])
    (lease,) = await claimed(registry, 1, LIMITED)
    await registry.release(lease)

    assert await ids(registry, 9, LIMITED, OTHER) == ["o0"]

"""claim_next: any number of lanes, and rows that run alone."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.lanes import lane
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Phase, ProcessLease
from lash_redis.registry.calls import batch_claims
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.served_lanes import ServedLanes
from tests.conformance.actors import (
    ADA,
    BOB,
    CYD,
    LANE,
    OWNER_BOUND,
    batch_claim,
    call_of,
    held,
    ids_of,
    settled,
    work,
)
from tests.look import lease_of, record_of
from tests.soundness import keyspace

ALONE = f"{LANE}|alone"
IDLE = "idle:default"


async def lose(registry: ProcessRegistry, id_: str, owner: LeaseOwner = CYD) -> ProcessLease:
    """Let a process lose an owner: it began the work and died, and a sweep puts the work back; return its lease."""
    lease = await held(registry, id_, owner)
    await registry.start(lease)
    assert await settled(registry, id_, "queue", even_if_live=True)
    return lease


async def lost(registry: ProcessRegistry, times: int, *process_ids: str) -> None:
    """Register processes that have lost so many owners."""
    await registry.register_many([work(id_, loss_limit=9) for id_ in process_ids])
    for _ in range(times):
        for id_ in process_ids:
            await lose(registry, id_)


def ids(batch: Any) -> list[str]:
    """Return the ids that a batch claim handed out."""
    return [row.process_id for row in batch.rows]


async def queued(registry: ProcessRegistry) -> dict[str, int]:
    """Return how many rows stand in which lane."""
    return (await registry.counts(0)).lanes


async def test_a_row_that_lost_two_owners_is_queued_in_a_lane_of_its_own(
    registry: ProcessRegistry, partitions: int
) -> None:
    """With one loss it still stands beside the others."""
    once, twice = ids_of(2, 0, partitions)
    await lost(registry, 1, once)
    await lost(registry, 2, twice)

    assert await queued(registry) == {LANE: 1, ALONE: 1}


async def test_a_claim_takes_at_most_one_row_that_runs_alone(registry: ProcessRegistry, partitions: int) -> None:
    """And any number of others; the oldest goes first."""
    poison, other, plain = ids_of(3, 0, partitions)
    await lost(registry, 2, poison, other)
    await registry.register(work(plain))

    first = await registry.claim_next(batch_claim(registry, ADA, count=9))
    second = await registry.claim_next(batch_claim(registry, BOB, count=9))

    assert (ids(first), ids(second)) == ([poison, plain], [other])
    assert [(row.alone, row.lane) for row in first.rows] == [(True, ALONE), (False, LANE)]


async def test_a_claim_for_a_worker_that_runs_one_alone_takes_no_other(
    registry: ProcessRegistry, partitions: int
) -> None:
    """The row stays where it stands, and nobody else is woken for it over and over."""
    poison, plain = ids_of(2, 0, partitions)
    await lost(registry, 2, poison)
    await registry.register(work(plain))

    batch = await registry.claim_next(batch_claim(registry, ADA, count=9, alone=False))

    assert (ids(batch), batch.may_have_more) == ([plain], False)
    assert await queued(registry) == {ALONE: 1}


@pytest.mark.parametrize("poison_is_older", [True, False])
async def test_what_runs_alone_is_not_handed_out_beside_owner_bound_work(
    registry: ProcessRegistry, partitions: int, poison_is_older: bool
) -> None:
    """If it ends its worker process, owner-bound work there would be abandoned. The older of the two goes first."""
    poison, pay = ids_of(2, 0, partitions)
    if poison_is_older:
        await lost(registry, 2, poison)
    await registry.register(work(pay, OWNER_BOUND))
    if not poison_is_older:
        await lost(registry, 2, poison)
    first, second = (poison, pay) if poison_is_older else (pay, poison)

    one = await registry.claim_next(batch_claim(registry, ADA, count=9))
    other = await registry.claim_next(batch_claim(registry, BOB, count=9))

    assert (ids(one), one.passed_alone) == ([first], not poison_is_older)
    assert (ids(other), other.passed_alone) == ([second], False)


async def test_a_claim_beside_what_runs_alone_takes_no_owner_bound_work(
    registry: ProcessRegistry, partitions: int
) -> None:
    """It stays for another worker."""
    pay, plain = ids_of(2, 0, partitions)
    await registry.register_many([work(plain), work(pay, OWNER_BOUND)])

    batch = await registry.claim_next(batch_claim(registry, ADA, count=9, alone=False, bound=False))

    assert (ids(batch), batch.may_have_more) == ([plain], False)
    assert await queued(registry) == {LANE: 1}


async def test_whoever_leaves_a_row_that_runs_alone_wakes_the_next(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int
) -> None:
    """It may take one itself, and another worker the next."""
    await lost(registry, 2, *ids_of(3, 0, partitions))
    await registry.claim_next(batch_claim(registry, BOB, served=(("default", ()),)))

    await registry.claim_next(batch_claim(registry, ADA, count=9))

    assert IDLE not in (await keyspace(client, namespace))[0]


async def test_a_queued_row_changes_its_lane_when_a_loss_is_taken_back(
    registry: ProcessRegistry, partitions: int
) -> None:
    """Its last holder returned and gave it up: it lost one owner, and not two."""
    (id_,) = ids_of(1, 0, partitions)
    await lost(registry, 1, id_)
    lease = await lose(registry, id_, BOB)
    assert await queued(registry) == {ALONE: 1}

    await registry.release(lease)

    assert await queued(registry) == {LANE: 1}
    assert (await record_of(registry, id_)).losses == 1
    assert ids(await registry.claim_next(batch_claim(registry, CYD, alone=False))) == [id_]


async def test_a_row_that_runs_alone_keeps_its_lane_when_it_is_given_back(
    registry: ProcessRegistry, partitions: int
) -> None:
    """A release takes none of its earlier losses back."""
    (id_,) = ids_of(1, 0, partitions)
    await lost(registry, 2, id_)
    await registry.claim_next(batch_claim(registry, BOB))

    await registry.release(await lease_of(registry, id_))

    assert await queued(registry) == {ALONE: 1}
    assert (await record_of(registry, id_)).phase is Phase.QUEUED


async def test_a_row_in_the_lane_of_an_older_release_is_moved(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int
) -> None:
    """The index is a hint: the row's losses say where it belongs, and it is not handed out with others."""
    (id_,) = ids_of(1, 0, partitions)
    await lost(registry, 2, id_)
    prefix = f"{{lash:{namespace}:0}}"
    await client.rename(f"{prefix}:q:{ALONE}", f"{prefix}:q:{LANE}")
    await client.zrem(f"{prefix}:lanes", ALONE)
    await client.zadd(f"{prefix}:lanes", {LANE: 0})

    assert ids(await registry.claim_next(batch_claim(registry, ADA, count=9))) == []
    assert await queued(registry) == {ALONE: 1}
    assert ids(await registry.claim_next(batch_claim(registry, ADA, count=9))) == [id_]


async def test_a_worker_may_serve_any_number_of_lanes(registry: ProcessRegistry, partitions: int) -> None:
    """2,000 lanes in three queues, of which some have rows: queues in their order, in each the oldest head first."""
    queues = ("a", "b", "c")
    served = [(queue, [lane(queue, f"t{number}") for number in range(667)]) for queue in queues]
    chosen = ids_of(6, 0, partitions)
    for id_, (queue, number) in zip(
        chosen, [("c", 1), ("a", 666), ("b", 5), ("a", 0), ("c", 0), ("b", 6)], strict=True
    ):
        await registry.register(work(id_, task=f"t{number}", queue=queue))

    batch = await registry.claim_next(batch_claim(registry, ADA, count=500, served=served))

    assert ids(batch) == [chosen[1], chosen[3], chosen[2], chosen[5], chosen[0], chosen[4]]


async def test_a_list_of_lanes_is_stored_once_for_all_workers_that_serve_it(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """In whatever order their queues stand."""
    first, second = ("a", [lane("a", "one")]), ("b", [lane("b", "one")])
    await registry.claim_next(batch_claim(registry, ADA, served=[first, second]))
    await registry.claim_next(batch_claim(registry, BOB, served=[second, first]))

    keys = (await keyspace(client, namespace))[0]

    assert len([name for name in keys if name.startswith("serves:")]) == 1


async def test_a_list_of_lanes_that_was_forgotten_is_named_again(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int
) -> None:
    """After a flush, a failover or an hour without a claim; until then nothing is claimed under the number."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.claim_next(batch_claim(registry, ADA))
    await registry.register(work(id_))
    for name in [name for name in (await keyspace(client, namespace))[0] if name.startswith("serves:")]:
        await client.delete(f"{{lash:{namespace}:0}}:{name}")

    assert ids(await registry.claim_next(batch_claim(registry, ADA))) == [id_]


async def test_a_claim_by_an_unknown_list_does_nothing(registry: ProcessRegistry, client: Any, namespace: str) -> None:
    """Its number is as good as never sent."""
    await registry.register(work())
    before = await keyspace(client, namespace)

    answer = await registry.sender.send(call_of(registry, batch_claims.claim_next, batch_claim(registry, ADA)))

    assert answer is None
    assert await keyspace(client, namespace) == before


async def test_a_list_of_lanes_that_is_named_in_part_is_not_used(registry: ProcessRegistry, partitions: int) -> None:
    """A worker died while it named its lanes: the next one that has the same names them whole."""
    (id_,) = ids_of(1, 0, partitions)
    lanes = [lane("default", f"t{number}") for number in range(3)]
    served = ServedLanes([("default", lanes)])
    await registry.sender.send(call_of(registry, batch_claims.name_lanes, 0, served.name, served.lanes[:1]))
    await registry.register(work(id_, task="t2"))

    assert ids(await registry.claim_next(batch_claim(registry, ADA, served=[("default", lanes)]))) == [id_]


@pytest.mark.parametrize("stranger", [b"\xff", b"", b"a|b", b"default|other|"])
async def test_a_list_of_lanes_with_something_else_in_it_is_made_anew(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int, stranger: bytes
) -> None:
    """A damaged list serves nothing that its workers do not serve, and stops them for no longer than a claim or two."""
    (id_,) = ids_of(1, 0, partitions)
    served = [("default", [lane("default", "work")])]
    await registry.claim_next(batch_claim(registry, ADA, served=served))
    key = f"{{lash:{namespace}:0}}:serves:{ServedLanes(served).name}"
    await client.zadd(key, {stranger: 0})
    await registry.register(work(id_))

    with pytest.raises(RegistryUnavailable, match="the list of lanes was forgotten meanwhile"):
        await registry.claim_next(batch_claim(registry, ADA, served=served))
    assert ids(await registry.claim_next(batch_claim(registry, ADA, served=served))) == [id_]
    assert await client.zscore(key, stranger) is None


async def test_lists_of_lanes_without_a_claim_are_forgotten(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """By the upkeep that forgets owners, and long before these; a list by which somebody claimed since stays."""
    old = [("a", [lane("a", "old")])]
    await registry.claim_next(batch_claim(registry, ADA, served=old))
    await client.zincrby(f"{{lash:{namespace}:0}}:lists", -1_200_000, ServedLanes(old).name)
    await registry.claim_next(batch_claim(registry, ADA, served=[("a", [lane("a", "new")])]))

    await registry.forget_owners(3_600_000, 600_000)

    keys = (await keyspace(client, namespace))[0]
    assert owner_digest(ADA) in keys["seen"].value
    assert [sorted(key.value) for name, key in keys.items() if name.startswith("serves:")] == [
        [lane("a", "new"), f"{lane('a', 'new')}|alone"]
    ]

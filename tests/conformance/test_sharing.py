"""Claims while other workers wait: each takes its share, and leaves the rest to those who have nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lash_redis.core.lanes import lane
from lash_redis.core.liveness import LeaseOwner
from lash_redis.registry.answers import ClaimedBatch
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, BOB, CYD, LANE, batch_claim, ids_of, work
from tests.conformance.subscriber import Subscriber
from tests.soundness import keyspace

TWO_QUEUES = (("a", (lane("a", "work"),)), ("b", (lane("b", "work"),)))


async def wait(registry: ProcessRegistry, *owners: LeaseOwner, queues: str = "default") -> None:
    """List owners as idle. They serve no lane, so that it does not matter what is queued."""
    for owner in owners:
        await registry.claim_next(batch_claim(registry, owner, served=[(queue, ()) for queue in queues.split()]))


async def taken(registry: ProcessRegistry, owner: LeaseOwner, **options: Any) -> ClaimedBatch:
    """Return what an owner gets that has room for more than there is."""
    return await registry.claim_next(batch_claim(registry, owner, count=64, **options))


async def test_while_others_wait_a_claim_takes_its_share(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """Of 20 rows for three workers the first gets 7. It wakes one of the others, which gets its part of the rest."""
    chosen, others = ids_of(20, 0, partitions), {owner_digest(each): each for each in (BOB, CYD)}
    await subscriber.subscribe(*others)
    await registry.register_many([work(id_) for id_ in chosen])
    await wait(registry, *others.values())

    batches = [await taken(registry, ADA)]
    while others:
        ((woken, message),) = await subscriber.received()
        assert message == f"lane {LANE}"
        batches.append(await taken(registry, others.pop(woken)))

    assert [len(batch.rows) for batch in batches] == [7, 7, 6]
    assert [row.process_id for batch in batches for row in batch.rows] == chosen
    assert [(batch.may_have_more, batch.is_shared) for batch in batches] == [(True, True), (True, True), (False, False)]


async def test_a_worker_for_which_nobody_waits_takes_all(registry: ProcessRegistry, partitions: int) -> None:
    """That it is listed itself says nothing."""
    await registry.register_many([work(id_) for id_ in ids_of(20, 0, partitions)])
    await wait(registry, ADA)

    batch = await taken(registry, ADA)

    assert (len(batch.rows), batch.may_have_more, batch.is_shared) == (20, False, False)


@pytest.mark.parametrize("takes", ["all", "once"])
async def test_who_has_left_the_others_their_time_takes_all(
    registry: ProcessRegistry, partitions: int, takes: str
) -> None:
    """So does a claim that will not be followed by another."""
    await registry.register_many([work(id_) for id_ in ids_of(20, 0, partitions)])
    await wait(registry, BOB)
    claim = batch_claim(registry, ADA, count=64)

    batch = await registry.claim_next(msgspec.structs.replace(claim, takes=takes))

    assert len(batch.rows) == 20


async def test_the_last_row_is_left_to_nobody(registry: ProcessRegistry) -> None:
    """A share is one row at least."""
    await registry.register(work(ids_of(1, 0, registry.partitions)[0]))
    await wait(registry, BOB, CYD)

    batch = await taken(registry, ADA)

    assert (len(batch.rows), batch.is_shared) == (1, False)


async def test_each_queue_is_shared_with_those_that_wait_for_it(registry: ProcessRegistry, partitions: int) -> None:
    """A worker that waits for one queue takes nothing away from another one."""
    await registry.register_many([work(id_, queue="ab"[at % 2]) for at, id_ in enumerate(ids_of(20, 0, partitions))])
    await wait(registry, BOB, queues="b")

    batch = await taken(registry, ADA, served=TWO_QUEUES)

    assert [row.lane for row in batch.rows] == [lane("a", "work")] * 10 + [lane("b", "work")] * 5
    assert batch.is_shared


async def test_a_worker_that_left_rows_to_others_is_not_idle(
    registry: ProcessRegistry, partitions: int, client: Any, namespace: str
) -> None:
    """It asks again by itself, and nobody leaves anything to it."""
    await registry.register_many([work(id_) for id_ in ids_of(20, 0, partitions)])
    await wait(registry, BOB, ADA)

    assert (await taken(registry, ADA)).is_shared

    assert await client.zrange(f"{{lash:{namespace}:0}}:idle:default", 0, 9) == []


async def test_who_has_not_asked_for_a_minute_gets_no_share(
    registry: ProcessRegistry, partitions: int, client: Any, namespace: str
) -> None:
    """It has gone: a list of idle workers is a hint."""
    await registry.register_many([work(id_) for id_ in ids_of(20, 0, partitions)])
    await wait(registry, BOB)
    await client.zadd(f"{{lash:{namespace}:0}}:idle:default", {owner_digest(BOB): 1})

    assert len((await taken(registry, ADA)).rows) == 20


async def test_the_list_of_those_that_wait_ends_when_nobody_asks(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """A queue that is served no more leaves nothing behind."""
    await wait(registry, ADA, BOB)

    assert 0 < await client.pttl(f"{{lash:{namespace}:0}}:idle:default") <= 60_000


async def test_a_claim_for_once_is_not_listed_as_idle(registry: ProcessRegistry, client: Any, namespace: str) -> None:
    """Nobody hears what is published to it."""
    claim = batch_claim(registry, ADA, count=9)

    await registry.claim_next(msgspec.structs.replace(claim, takes="once"))

    assert "idle:default" not in (await keyspace(client, namespace))[0]

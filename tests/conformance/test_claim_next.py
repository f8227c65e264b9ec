"""claim_next: a batch of queued work, leased and started in one step, under a number."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lash_redis.core.lanes import lane
from lash_redis.core.model import Phase, ProcessStatus, RecoveryDisposition
from lash_redis.core.outcomes import Success
from lash_redis.registry.answers import BatchClaim, ClaimedBatch, Death
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    SHORT_MS,
    batch_claim,
    begun,
    begun_and_lapsed,
    cancel,
    held,
    ids_of,
    outside,
    settled,
    work,
)
from tests.conftest import ServerTime
from tests.look import lease_of, record_of
from tests.soundness import keyspace


def ids(batch: Any) -> list[str]:
    """Return the ids that a batch claim handed out."""
    return [row.process_id for row in batch.rows]


@pytest.mark.parametrize("disposition", [RERUNNABLE, OWNER_BOUND])
async def test_a_batch_is_leased_and_started_in_one_step(
    registry: ProcessRegistry, partitions: int, disposition: RecoveryDisposition
) -> None:
    """What it hands out may run at once: the start is on the record."""
    chosen = ids_of(3, 0, partitions)
    await registry.register_many([work(id_, disposition, id_) for id_ in chosen])

    batch = await registry.claim_next(batch_claim(registry, ADA, count=5))

    assert ids(batch) == chosen
    assert batch.expires_at_ms == batch.claimed_at_ms + LONG_MS
    for row in batch.rows:
        lease, record = await lease_of(registry, row.process_id), await record_of(registry, row.process_id)
        assert (lease.owner, lease.token, lease.fencing_token) == (ADA, row.token, row.fence)
        assert record.first_started is not None
        assert (record.phase, record.first_started.owner) == (Phase.STARTED, ADA)
        assert msgspec.msgpack.decode(row.input) == [[row.process_id], {}]


async def test_no_more_is_handed_out_than_was_wanted(registry: ProcessRegistry, partitions: int) -> None:
    """The rest stays queued, in its order."""
    chosen = ids_of(5, 0, partitions)
    await registry.register_many([work(id_) for id_ in chosen])

    assert ids(await registry.claim_next(batch_claim(registry, ADA, count=2))) == chosen[:2]
    assert ids(await registry.claim_next(batch_claim(registry, BOB, count=9))) == chosen[2:]


async def test_only_the_lanes_named_are_looked_at(registry: ProcessRegistry, partitions: int) -> None:
    """A row of an unknown task, another signature or another queue neither runs nor hides one that can."""
    task, signature, queue, known = ids_of(4, 0, partitions)
    await registry.register_many(
        [
            work(task, task="unknown"),
            work(signature, signature="0123456789abcdef"),
            work(queue, queue="elsewhere"),
            work(known),
        ]
    )

    assert ids(await registry.claim_next(batch_claim(registry, ADA, count=9))) == [known]
    assert (await registry.counts(0)).lanes == {
        lane("default", "unknown"): 1,
        lane("default", "work", "0123456789abcdef"): 1,
        lane("elsewhere", "work"): 1,
    }


async def test_of_one_queue_the_lane_with_the_oldest_head_goes_first(
    registry: ProcessRegistry, partitions: int
) -> None:
    """No task starves another of its queue."""
    a, b, c, d = ids_of(4, 0, partitions)
    for id_, task in ((a, "two"), (b, "one"), (c, "one"), (d, "two")):
        await registry.register(work(id_, task=task))
    served = (("default", (lane("default", "one"), lane("default", "two"))),)

    answers = [ids(await registry.claim_next(batch_claim(registry, ADA, served=served))) for _ in range(4)]

    assert answers == [[a], [b], [c], [d]]


async def test_queues_are_served_in_their_order(registry: ProcessRegistry, partitions: int) -> None:
    """An older row of a later queue waits for the queues before it."""
    late, first, second = ids_of(3, 0, partitions)
    await registry.register_many([work(late, queue="b"), work(first, queue="a"), work(second, queue="a")])
    served = (("a", (lane("a", "work"),)), ("b", (lane("b", "work"),)))

    assert ids(await registry.claim_next(batch_claim(registry, ADA, count=9, served=served))) == [first, second, late]


async def test_every_row_of_a_batch_has_a_token_of_its_own(registry: ProcessRegistry, partitions: int) -> None:
    """A token names one attempt, however the batch is spread over lanes."""
    chosen = ids_of(12, 0, partitions)
    tasks = ["a", "b", "b", "b", "c", "c", "c", "d", "d", "d", "e", "e"]
    await registry.register_many([work(id_, task=task) for id_, task in zip(chosen, tasks, strict=True)])
    served = (("default", tuple(lane("default", task) for task in "abcde")),)

    batch = await registry.claim_next(batch_claim(registry, ADA, count=12, served=served))

    assert len({row.token for row in batch.rows}) == len(chosen)


async def test_externally_owned_work_is_never_handed_out(registry: ProcessRegistry, partitions: int) -> None:
    """Whatever lanes a worker names."""
    (id_,) = ids_of(1, 0, partitions)
    registered = await registry.register(outside(id_))
    served = (("default", (lane("default"), lane("default", "work"))),)

    assert ids(await registry.claim_next(batch_claim(registry, ADA, count=9, served=served))) == []
    assert await registry.get(id_) == registered


async def test_the_same_number_hands_out_the_same_rows(registry: ProcessRegistry, partitions: int) -> None:
    """A lost answer is asked for again and not a second batch, whatever was registered meanwhile."""
    one, two, late = ids_of(3, 0, partitions)
    await registry.register_many([work(one), work(two)])
    call = batch_claim(registry, ADA, count=3)
    first = await registry.claim_next(call)
    await registry.register(work(late))

    again = await registry.claim_next(call)

    assert sorted(again.rows, key=repr) == sorted(first.rows, key=repr)
    assert not again.stale


async def test_the_same_number_leaves_out_what_has_ended(registry: ProcessRegistry, partitions: int) -> None:
    """What was answered, given back or settled is not handed out once more."""
    kept, ended, returned = ids_of(3, 0, partitions)
    await registry.register_many([work(kept), work(ended), work(returned, OWNER_BOUND)])
    call = batch_claim(registry, ADA, count=3)
    await registry.claim_next(call)
    for id_, done in ((ended, True), (returned, False)):
        lease = await lease_of(registry, id_)
        if done:
            await registry.complete(lease, Success())
        else:
            await registry.release(lease)

    assert ids(await registry.claim_next(call)) == [kept]


async def answered_and_lapsed(
    registry: ProcessRegistry, server: ServerTime, process_id: str
) -> tuple[BatchClaim, ClaimedBatch]:
    """Let ADA claim and start a process, and let the lease run out; return the claim and its answer."""
    await registry.register(work(process_id))
    call = batch_claim(registry, ADA, ttl_ms=SHORT_MS)
    answer = await registry.claim_next(call)
    await server.pass_until(answer.expires_at_ms)
    return call, answer


async def test_the_same_number_revives_its_own_lapsed_lease(
    registry: ProcessRegistry, server: ServerTime, partitions: int
) -> None:
    """Leased anew under the same token and fence, as nobody took it since."""
    (id_,) = ids_of(1, 0, partitions)
    call, first = await answered_and_lapsed(registry, server, id_)
    assert await registry.lease(id_) is None

    again = await registry.claim_next(call)

    assert again.rows == first.rows
    record = await record_of(registry, id_)
    assert (record.losses, record.phase) == (0, Phase.STARTED)


async def test_the_same_number_does_not_disturb_a_newer_holder(
    registry: ProcessRegistry, server: ServerTime, partitions: int
) -> None:
    """What another took since the lapse is the other's."""
    (id_,) = ids_of(1, 0, partitions)
    call, _ = await answered_and_lapsed(registry, server, id_)
    lease = await held(registry, id_, BOB)

    assert ids(await registry.claim_next(call)) == []
    assert await registry.lease(id_) == lease


async def test_the_same_number_hands_out_nothing_that_was_put_back(
    registry: ProcessRegistry, server: ServerTime, partitions: int
) -> None:
    """A sweep that put the lapsed row back into its lane has ended that attempt."""
    (id_,) = ids_of(1, 0, partitions)
    call, _ = await answered_and_lapsed(registry, server, id_)
    assert await settled(registry, id_, "queue")

    assert ids(await registry.claim_next(call)) == []


async def test_the_same_number_never_shortens_a_lease(registry: ProcessRegistry, partitions: int) -> None:
    """It may have been renewed for longer since."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_))
    call = batch_claim(registry, ADA)
    await registry.claim_next(call)
    lease = await lease_of(registry, id_)
    renewed = await registry.renew(lease, 2 * LONG_MS)

    await registry.claim_next(call)

    assert await registry.lease(id_) == renewed


async def test_another_claim_under_a_used_number_gets_nothing(registry: ProcessRegistry, partitions: int) -> None:
    """The rows of a number are those of the one call that was sent under it."""
    one, two = ids_of(2, 0, partitions)
    await registry.register_many([work(one), work(two)])
    await registry.claim_next(batch_claim(registry, ADA, number=900))

    assert ids(await registry.claim_next(batch_claim(registry, ADA, number=900))) == []
    assert await registry.lease(two) is None


async def test_a_lower_number_is_stale(registry: ProcessRegistry, partitions: int) -> None:
    """No late copy of an old claim can lease or start anything."""
    (id_,) = ids_of(1, 0, partitions)
    old = batch_claim(registry, ADA, number=7)
    assert not (await registry.claim_next(old)).stale
    assert not (await registry.claim_next(batch_claim(registry, ADA, number=8, count=0))).stale
    queued = await registry.register(work(id_))

    answer = await registry.claim_next(old)

    assert answer.stale
    assert answer.rows == []
    assert await registry.get(id_) == queued


async def test_numbers_are_each_owners_own(registry: ProcessRegistry, partitions: int) -> None:
    """One owner's number makes no other's stale."""
    await registry.claim_next(batch_claim(registry, ADA, number=900))

    assert not (await registry.claim_next(batch_claim(registry, BOB, number=1))).stale


async def test_an_owner_recorded_dead_gets_nothing(registry: ProcessRegistry, partitions: int) -> None:
    """A late copy of its claim, even under a higher number, is stale."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_))
    await registry.record_death(ADA, Death("exit 9", "bob"))

    assert (await registry.claim_next(batch_claim(registry, ADA))).stale
    assert await registry.lease(id_) is None


async def test_a_second_attempt_starts_anew_and_keeps_the_first_start(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """On rerunnable work each attempt starts anew; ``first_started`` keeps the first."""
    await registry.register(work())
    await begun_and_lapsed(registry, server, "p", ADA)
    first = await record_of(registry, "p")
    assert await settled(registry, "p", "queue")

    lease = await begun(registry, "p", BOB)

    record = await record_of(registry, "p")
    assert record.first_started == first.first_started
    assert (record.phase, record.losses, lease.owner) == (Phase.STARTED, 1, BOB)


async def test_a_stale_entry_of_a_lane_is_repaired(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int
) -> None:
    """An index is a hint: the row decides, and the entry goes."""
    gone, cancelled, real = ids_of(3, 0, partitions)
    await registry.register(work(cancelled))
    await registry.request_cancel(cancelled, cancel())
    await registry.register(work(real))
    await client.zadd(f"{{lash:{namespace}:0}}:q:default|work|", {gone: 0, cancelled: 0})

    batch = await registry.claim_next(batch_claim(registry, ADA, count=5))

    assert ids(batch) == [real]
    record = await record_of(registry, cancelled)
    assert record.status is ProcessStatus.CANCELLED


async def test_no_lane_and_no_row_are_no_error(registry: ProcessRegistry) -> None:
    """A worker may serve a queue in which it knows no task yet."""
    batch = await registry.claim_next(batch_claim(registry, ADA, served=(("default", ()),)))

    assert (batch.rows, batch.stale) == ([], False)


async def test_five_hundred_rows_over_five_hundred_lanes_are_one_call(
    registry: ProcessRegistry, partitions: int
) -> None:
    """Both bounds at once."""
    lanes = [lane("default", f"t{number}") for number in range(500)]
    chosen = ids_of(600, 0, partitions)
    await registry.register_many([work(id_, task=f"t{number % 500}") for number, id_ in enumerate(chosen)])

    batch = await registry.claim_next(batch_claim(registry, ADA, count=500, served=(("default", lanes),)))

    assert len(set(ids(batch))) == len({row.token for row in batch.rows}) == 500
    assert sum((await registry.counts(0)).lanes.values()) == 100


async def test_a_worker_that_got_less_than_it_asked_for_is_listed_as_idle(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int
) -> None:
    """It stands in the index of idle workers until it leaves or gets all that it asks for."""
    idle = "idle:default"
    await registry.claim_next(batch_claim(registry, ADA))
    assert list((await keyspace(client, namespace))[0][idle].value) == [owner_digest(ADA)]

    await registry.claim_next(batch_claim(registry, ADA, count=0))
    assert idle not in (await keyspace(client, namespace))[0]


async def test_a_worker_that_got_all_that_it_asked_for_is_not_idle(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int
) -> None:
    """A wake-up sent to it would be lost on another that could run the work."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.claim_next(batch_claim(registry, ADA))
    await client.delete(f"{{lash:{namespace}:0}}:idle:default")  # as if another wake-up had removed it
    await registry.register(work(id_))
    await client.zadd(f"{{lash:{namespace}:0}}:idle:default", {owner_digest(ADA): 1})

    assert ids(await registry.claim_next(batch_claim(registry, ADA, count=1))) == [id_]
    assert "idle:default" not in (await keyspace(client, namespace))[0]


async def test_each_partition_hands_out_its_own(registry: ProcessRegistry) -> None:
    """A claim is about one partition, and numbers are counted in each."""
    await registry.register_many([work(f"p{number}") for number in range(40)])

    for partition in range(registry.partitions):
        batch = await registry.claim_next(batch_claim(registry, ADA, number=1, count=50, partition=partition))
        expected = {f"p{number}" for number in range(40) if registry.partition_of(f"p{number}") == partition}
        assert set(ids(batch)) == expected


async def test_a_claim_that_asks_for_it_notes_its_owner_and_its_list(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int
) -> None:
    """A worker asks for it every few seconds (rule 9.8); any other claim writes neither, and finds what is served."""
    await registry.claim_next(batch_claim(registry, ADA))
    prefix = f"{{lash:{namespace}:0}}:"
    for each in ("seen", "lists"):
        (member,) = await client.zrange(prefix + each, 0, -1)
        await client.zadd(prefix + each, {member: 1})

    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_, RERUNNABLE))
    batch = await registry.claim_next(batch_claim(registry, ADA, remembers=False))

    assert [row.process_id for row in batch.rows] == [id_]
    for least, most in ((1, 1), (2, float("inf"))):
        for each in ("seen", "lists"):
            ((_, score),) = await client.zrange(prefix + each, 0, -1, withscores=True)
            assert least <= score <= most
        await registry.claim_next(batch_claim(registry, ADA))

"""Wake-ups: hints, published by the scripts that make work or end it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lash_redis.core.lanes import lane
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import ExternalOwner
from lash_redis.core.outcomes import AbandonWriter, Failure, Outcome, Success
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.messages import Ended, EndedWith, read_message
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    LANE,
    OWNER_BOUND,
    abandon,
    abandoned,
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
from tests.conformance.subscriber import Subscriber
from tests.conftest import ServerTime


async def idle(registry: ProcessRegistry, *owners: LeaseOwner) -> None:
    """Let these workers claim in vain, one after the other."""
    for owner in owners:
        assert (await registry.claim_next(batch_claim(registry, owner))).rows == []


A, B = owner_digest(ADA), owner_digest(BOB)


async def test_a_registration_wakes_one_idle_worker_and_names_the_lane(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """The one that waits longest, and not all."""
    one, two, three = ids_of(3, 0, partitions)
    await subscriber.subscribe(A, B)
    await idle(registry, ADA)
    await subscriber.received()
    await idle(registry, BOB)

    await registry.register(work(one))
    assert len(await subscriber.received()) == 1
    await registry.register(work(two))
    assert len(await subscriber.received()) == 1
    await registry.register(work(three))
    assert await subscriber.received() == []


async def test_a_batch_for_one_lane_wakes_one_worker(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """Who was woken and leaves work behind wakes the next."""
    await subscriber.subscribe(A, B)
    await idle(registry, ADA, BOB)

    await registry.register_many([work(id_) for id_ in ids_of(20, 0, partitions)])

    received = await subscriber.received()
    assert [message for _, message in received] == [f"lane {LANE}"]


async def test_known_work_wakes_nobody(registry: ProcessRegistry, subscriber: Subscriber, partitions: int) -> None:
    """Registering it again made none."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_))
    await subscriber.subscribe(A)
    batch = await registry.claim_next(batch_claim(registry, ADA, count=2))
    assert len(batch.rows) == 1

    await registry.register(work(id_))
    assert await subscriber.received() == []


async def test_a_worker_of_another_queue_is_not_woken(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """Idle workers wait by queue."""
    one, two = ids_of(2, 0, partitions)
    await subscriber.subscribe(A)
    await idle(registry, ADA)

    await registry.register_many([work(one, queue="elsewhere"), outside(two)])

    assert await subscriber.received() == []


async def test_a_worker_that_has_gone_is_passed_over(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """A publish that reaches nobody tries the next one."""
    (id_,) = ids_of(1, 0, partitions)
    await idle(registry, *[LeaseOwner.opaque(f"gone{number}", "1") for number in range(15)], ADA)
    await subscriber.subscribe(A)

    await registry.register(work(id_))

    assert await subscriber.received() == [(A, f"lane {LANE}")]


async def test_at_most_sixteen_are_tried(
    registry: ProcessRegistry, subscriber: Subscriber, client: Any, partitions: int
) -> None:
    """No script walks an unbounded set; the slow poll finds what is left."""
    one, two = ids_of(2, 0, partitions)
    key = f"{{lash:{registry.namespace}:0}}:idle:default"
    await client.zadd(key, {f"gone{number:02}": number for number in range(20)})
    await client.zadd(key, {A: 99})
    await subscriber.subscribe(A)

    await registry.register(work(one))
    assert await subscriber.received() == []
    assert await client.zcard(key) == 5
    await registry.register(work(two))
    assert await subscriber.received() == [(A, f"lane {LANE}")]


async def test_a_full_claim_that_leaves_rows_behind_wakes_the_next(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """So that one registration of many reaches as many workers as it needs."""
    await subscriber.subscribe(B)
    await idle(registry, BOB)
    await registry.register_many([work(id_) for id_ in ids_of(3, 0, partitions)])
    assert await subscriber.received() == [(B, f"lane {LANE}")]
    await subscriber.subscribe(owner_digest(LeaseOwner.opaque("cyd", "cyd-1")))
    await registry.claim_next(batch_claim(registry, LeaseOwner.opaque("cyd", "cyd-1"), served=(("default", ()),)))

    await registry.claim_next(batch_claim(registry, ADA, count=2))

    assert [message for _, message in await subscriber.received()] == [f"lane {LANE}"]


async def test_a_full_claim_wakes_for_what_it_leaves_in_every_queue_and_lane(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """It was woken for both queues, and fills up from the first: whoever waits for the other is told."""
    lanes = [("a", "one"), ("a", "two"), ("b", "one"), ("b", "two")]
    served = [(queue, [lane(queue, task) for task in ("one", "two")]) for queue in "ab"]
    await registry.register_many(
        [work(id_, queue=queue, task=task) for id_, (queue, task) in zip(ids_of(4, 0, partitions), lanes, strict=True)]
    )
    others = [LeaseOwner.opaque(f"idle{number}", "1") for number in range(4)]
    await subscriber.subscribe(*map(owner_digest, others))
    for at, other in enumerate(others):
        await registry.claim_next(batch_claim(registry, other, served=(("ab"[at // 2], ()),)))

    await registry.claim_next(batch_claim(registry, ADA, served=served))

    assert sorted(message for _, message in await subscriber.received()) == [
        f"lane {lane(queue, task)}" for queue, task in lanes[1:]
    ]


async def test_a_claim_wakes_for_sixteen_lanes_at_most(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """Whoever is woken wakes for the rest."""
    tasks = [f"t{number:02}" for number in range(20)]
    await registry.register_many(
        [work(id_, task=task) for id_, task in zip(ids_of(20, 0, partitions), tasks, strict=True)]
    )
    others = [LeaseOwner.opaque(f"idle{number}", "1") for number in range(20)]
    await subscriber.subscribe(*map(owner_digest, others))
    for other in others:
        await registry.claim_next(batch_claim(registry, other, served=(("default", ()),)))

    await registry.claim_next(
        batch_claim(registry, ADA, served=[("default", [lane("default", task) for task in tasks])])
    )

    assert len(await subscriber.received()) == 16


@pytest.mark.parametrize("queue", ["default", "second"])
async def test_a_full_claim_that_leaves_another_lane_behind_wakes_the_next(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int, queue: str
) -> None:
    """Of the same queue or of one after it: to whoever waits for that queue, naming the lane."""
    one, two = ids_of(2, 0, partitions)
    await registry.register_many([work(one), work(two, task="other", queue=queue)])
    left = f"{queue}|other|"
    await subscriber.subscribe(B)
    await registry.claim_next(batch_claim(registry, BOB, served=((queue, ()),)))
    served = (("default", (LANE, left)),) if queue == "default" else (("default", (LANE,)), (queue, (left,)))

    await registry.claim_next(batch_claim(registry, ADA, count=1, served=served))

    assert await subscriber.received() == [(B, f"lane {left}")]


async def test_a_claim_that_leaves_nothing_behind_wakes_nobody(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """However full it is."""
    ids = ids_of(2, 0, partitions)
    await registry.register_many([work(id_) for id_ in ids])
    await subscriber.subscribe(B)
    await registry.claim_next(batch_claim(registry, BOB, served=(("default", ()),)))

    await registry.claim_next(msgspec.structs.replace(batch_claim(registry, ADA, count=2), takes="all"))

    assert await subscriber.received() == []


@pytest.mark.parametrize("how", ["release", "settle"])
async def test_what_is_put_back_wakes_a_worker(
    registry: ProcessRegistry, server: ServerTime, subscriber: Subscriber, how: str
) -> None:
    """It is runnable again."""
    (id_,) = ids_of(1, 0, registry.partitions)
    await registry.register(work(id_))
    await subscriber.subscribe(B)
    if how == "release":
        lease = await begun(registry, id_, ADA)
        await idle(registry, BOB)
        await registry.release(lease)
    else:
        await begun_and_lapsed(registry, server, id_, ADA)
        await idle(registry, BOB)
        assert await settled(registry, id_, "queue")

    assert await subscriber.received() == [(B, f"lane {LANE}")]


async def test_what_becomes_uncertain_wakes_nobody(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """Nobody may run it."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_, OWNER_BOUND))
    lease = await begun(registry, id_, ADA)
    await subscriber.subscribe(B)
    await idle(registry, BOB)

    await registry.release(lease)

    assert await subscriber.received() == []


async def test_a_wake_up_is_passed_on(registry: ProcessRegistry, subscriber: Subscriber) -> None:
    """By a worker that does not serve the lane, to the next that waits."""
    await subscriber.subscribe(A, B)
    await idle(registry, ADA, BOB)

    await registry.wake(0, LANE)
    await registry.wake(0, LANE)

    assert sorted(await subscriber.received()) == sorted([(A, f"lane {LANE}"), (B, f"lane {LANE}")])


@pytest.mark.parametrize("kind", ["cancel", "abandon"])
async def test_a_request_is_published_to_the_live_holder(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int, kind: str
) -> None:
    """To it alone, and once."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_, OWNER_BOUND))
    await begun(registry, id_, ADA)
    await subscriber.subscribe(A, B)

    for _ in range(2):
        if kind == "cancel":
            await registry.request_cancel(id_, cancel())
        else:
            await registry.request_abandon(id_, abandon())

    assert await subscriber.received() == [(A, f"request {id_}")]


async def test_a_request_on_work_that_nobody_holds_is_published_to_nobody(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """A sweep reads it."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_, OWNER_BOUND))
    await registry.release(await begun(registry, id_, ADA))
    await subscriber.subscribe(A)

    await registry.request_abandon(id_, abandon())

    assert await subscriber.received() == []


async def test_the_end_is_published_to_those_who_noted_that_they_wait(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """By the read that found the row unfinished; to nobody else, and once."""
    watched, other = ids_of(2, 0, partitions)
    await registry.register_many([work(watched), work(other, task="other")])
    await subscriber.subscribe("desk", "des", "office")
    for name in ("desk", "des", "desk"):
        (row,) = await registry.watch([watched], name)
        assert row is not None
        assert not row.is_terminal

    await registry.complete(await held(registry, watched, ADA), Success())
    await registry.complete(await held(registry, other, ADA), Success())

    assert sorted(await subscriber.received()) == [("des", f"ended {watched}"), ("desk", f"ended {watched}")]


async def test_every_way_to_end_is_published_to_those_who_wait(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """A cancel at once, a settle, an authority."""
    one, two, three = ids_of(3, 0, partitions)
    await registry.register_many([work(one, task="a"), work(two, OWNER_BOUND), outside(three)])
    await begun(registry, two, ADA)
    await subscriber.subscribe("desk")
    await registry.watch([one, two, three], "desk")

    await registry.request_cancel(one, cancel())
    await settled(registry, two, "fact", abandoned(AbandonWriter.OWNER_DRAIN, ADA), even_if_live=True)
    await registry.complete_unleased(three, Success(), ExternalOwner("x"))

    assert await subscriber.received() == [("desk", f"ended {id_}") for id_ in (one, two, three)]


async def test_who_asks_for_it_is_told_how_a_process_ended(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """If it completed or failed, and the outcome is short. Any other end is read, and so is it by any other client."""
    done, failed, long, cancelled = ids_of(4, 0, partitions)
    await registry.register_many([work(each, task="a") for each in (done, failed, long, cancelled)])
    await subscriber.subscribe("+desk", "desk")
    for name in ("+desk", "desk"):
        await registry.watch([done, failed, long, cancelled], name)

    outcomes: dict[str, Outcome] = {done: Success(7), failed: Failure("no", "it broke"), long: Success("x" * 1100)}
    for id_, outcome in outcomes.items():
        await registry.complete(await held(registry, id_, ADA), outcome)
    await registry.request_cancel(cancelled, cancel())

    received = await subscriber.received()
    assert [text for name, text in received if name == "desk"] == [f"ended {id_}" for id_ in (*outcomes, cancelled)]
    told = [read_message(text) for name, text in received if name == "+desk"]
    assert told == [
        EndedWith(done, "a|c", registry.encoded(Success(7))[1]),
        EndedWith(failed, "a|f", registry.encoded(outcomes[failed])[1]),
        Ended(long),
        Ended(cancelled),
    ]


async def test_a_submit_may_say_that_somebody_waits(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """A new row notes it, as the read does. One that is there already notes nothing, and the answer says so."""
    new, known = ids_of(2, 0, partitions)
    await registry.register(work(known))
    await subscriber.subscribe("desk")

    assert await registry.submit(work(new), waiter="desk") == (new, True)
    assert await registry.submit(work(known), waiter="desk") == (known, False)
    assert await registry.submit(work(new), waiter="office") == (new, False)
    for id_ in (new, known):
        await registry.complete(await held(registry, id_, ADA), Success())

    assert await subscriber.received() == [("desk", f"ended {new}")]


async def test_a_watch_of_what_has_ended_notes_nobody(registry: ProcessRegistry) -> None:
    """The read itself brings the outcome."""
    await registry.register(work())
    ended = await registry.request_cancel("p", cancel())

    rows = await registry.watch(["p", "nobody"], "desk")

    assert [row.record() if row else None for row in rows] == [ended, None]


async def test_only_so_many_are_noted_on_a_row(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """The latest, as earlier ones may be long gone; a row does not grow without bound."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_))
    names = [f"client-{number:03}" for number in range(40)]
    await subscriber.subscribe(*names)
    for name in names:
        await registry.watch([id_], name)

    await registry.request_cancel(id_, cancel())

    assert sorted(await subscriber.received()) == [(name, f"ended {id_}") for name in names[8:]]


async def test_an_old_entry_of_an_idle_worker_goes(
    registry: ProcessRegistry, server: ServerTime, client: Any, namespace: str
) -> None:
    """A worker says so again with every slow poll, so an old entry is one that has gone."""
    key = f"{{lash:{namespace}:0}}:idle:default"
    now = await server.now_ms()
    await client.zadd(key, {"old": now - 61_000, "young": now - 1_000})

    await idle(registry, ADA)

    assert set(await client.zrange(key, 0, -1)) == {b"young", A.encode()}

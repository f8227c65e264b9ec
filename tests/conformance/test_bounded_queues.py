"""Bounded queues: only so many rows wait that nobody has claimed; what comes back always gets in (rule 9.11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lash_redis.core.bounds import BoundedQueue, QueueBound
from lash_redis.core.errors import QueueFull, SettingsError
from lash_redis.core.events import Event, QueueBoundKept
from lash_redis.core.model import ProcessStarted
from lash_redis.core.subscribers import subscribed
from lash_redis.registry.keys import partition_of
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    LONG_MS,
    OWNER_BOUND,
    batch_claim,
    begun,
    cancel,
    held,
    ids_of,
    make_due,
    make_expired,
    outside,
    settled,
    work,
)
from tests.conftest import RegistryMaker


async def bounded(registry: ProcessRegistry, most: int) -> None:
    """Let so many rows wait in each partition."""
    await registry.bound_queue(QueueBound("default", most * registry.partitions))


async def waiting(registry: ProcessRegistry) -> int:
    """Return how many count against the bound."""
    return sum([each.waiting for each in await registry.bounds()])


async def test_a_submit_over_the_bound_is_refused_with_both_numbers(registry: ProcessRegistry, partitions: int) -> None:
    """And the whole of its batch: nothing of it is there."""
    one, two, three, four = ids_of(4, 0, partitions)
    await bounded(registry, 2)
    await registry.register(work(one))

    with pytest.raises(QueueFull, match=r"queue 'default' is full: 1 of at most 2 .*, and 3 more") as refusal:
        await registry.register_many([work(two), work(three), work(four)])

    error = refusal.value
    assert (error.queue, error.waiting, error.most_waiting, error.batch) == ("default", 1, 2, 3)
    assert [await registry.get(each) for each in (two, three, four)] == [None] * 3
    assert await registry.register_many([work(two)]) == [True]
    with pytest.raises(QueueFull, match="2 of at most 2"):
        await registry.register(work(three))


async def test_known_work_is_answered_and_never_refused(registry: ProcessRegistry, partitions: int) -> None:
    """A submit that is sent again finds what the first one did, however full the queue is by then."""
    one, two = ids_of(2, 0, partitions)
    await bounded(registry, 2)
    await registry.register_many([work(one), work(two)])

    assert await registry.register_many([work(one), work(two)]) == [False, False]


async def test_other_queues_are_not_bounded(registry: ProcessRegistry, partitions: int) -> None:
    """Not even those whose names begin or end alike."""
    ids = ids_of(4, 0, partitions)
    await bounded(registry, 1)

    await registry.register_many([work(each, queue=f"{each}.default") for each in ids[:2]])
    await registry.register_many([work(each, queue="default.x") for each in ids[2:]])

    assert await waiting(registry) == 0


async def _claimed(registry: ProcessRegistry, id_: str) -> None:
    await held(registry, id_, ADA)


async def _begun(registry: ProcessRegistry, id_: str) -> None:
    await begun(registry, id_, ADA)


async def _given_back(registry: ProcessRegistry, id_: str) -> None:
    await registry.release(await begun(registry, id_, ADA))


async def _unstarted(registry: ProcessRegistry, id_: str) -> None:
    await registry.unstart_many([await begun(registry, id_, ADA)])


async def _cancelled(registry: ProcessRegistry, id_: str) -> None:
    await registry.request_cancel(id_, cancel())


async def _recorded(registry: ProcessRegistry, id_: str) -> None:
    await registry.record_first_started(id_, ProcessStarted(ADA, 1))


async def _lost(registry: ProcessRegistry, id_: str) -> None:
    await begun(registry, id_, ADA)
    await settled(registry, id_, "uncertain", even_if_live=True)


async def _expired(registry: ProcessRegistry, id_: str) -> None:
    await make_expired(registry, id_)
    assert not (await registry.claim_next(batch_claim(registry, ADA))).rows


@pytest.mark.parametrize("leave", [_expired, _claimed, _begun, _given_back, _unstarted, _cancelled, _recorded, _lost])
async def test_whatever_was_claimed_once_or_has_ended_counts_no_more(
    registry: ProcessRegistry, partitions: int, leave: Callable[[ProcessRegistry, str], Any]
) -> None:
    """There is room for another one, although it may stand in the lane again."""
    one, two = ids_of(2, 0, partitions)
    await bounded(registry, 1)
    await registry.register(work(one, OWNER_BOUND))
    assert await waiting(registry) == 1

    await leave(registry, one)

    assert await waiting(registry) == 0
    await registry.register(work(two))


async def test_what_is_delayed_counts_from_its_registration(registry: ProcessRegistry, partitions: int) -> None:
    """Nobody has claimed it, before it is due and after."""
    one, two = ids_of(2, 0, partitions)
    await bounded(registry, 1)
    await registry.register(work(one, delay_ms=LONG_MS))

    with pytest.raises(QueueFull):
        await registry.register(work(two))
    await make_due(registry, one)
    await registry.bring_due(0)
    with pytest.raises(QueueFull):
        await registry.register(work(two))


async def test_what_no_worker_runs_is_not_counted(registry: ProcessRegistry, partitions: int) -> None:
    """Externally owned work waits for nobody here."""
    one, two = ids_of(2, 0, partitions)
    await bounded(registry, 1)

    await registry.register_many([outside(one), outside(two)])

    assert await waiting(registry) == 0


async def test_what_waits_for_other_processes_always_gets_in(registry: ProcessRegistry, partitions: int) -> None:
    """It continues work that was let in: when it is registered, and when it comes into its lane."""
    (one,) = ids_of(1, 0, partitions)
    await bounded(registry, 1)
    await registry.register(work(one))
    then = [f"{one}::then{number}" for number in range(3)]

    await registry.register_many([work(each, after=(one,), if_failed="run") for each in then])
    await registry.request_cancel(one, cancel())

    assert await waiting(registry) == 0
    batch = await registry.claim_next(batch_claim(registry, ADA, count=9))
    assert [row.process_id for row in batch.rows] == then


async def test_rows_from_before_a_bound_are_not_counted(registry: ProcessRegistry, partitions: int) -> None:
    """It begins with none."""
    one, two = ids_of(2, 0, partitions)
    await registry.register(work(one))
    await bounded(registry, 1)

    await registry.register(work(two))

    assert await waiting(registry) == 1


async def test_the_parts_of_all_partitions_are_the_whole_bound(registry: ProcessRegistry, partitions: int) -> None:
    """Each has its part of what may wait, or one more."""
    most = 3 * partitions - 1
    await registry.bound_queue(QueueBound("default", most))
    refused = 0

    for number in range(40 * partitions):
        try:
            await registry.register_many([work(f"p{number}")])
        except QueueFull:
            refused += 1

    assert {partition_of(f"p{number}", partitions) for number in range(40 * partitions)} == set(range(partitions))
    assert (await waiting(registry), refused) == (most, 40 * partitions - most)


async def test_less_than_one_for_each_partition_is_refused(make_registry: RegistryMaker) -> None:
    """It would shut some of them for ever."""
    registry = make_registry(partitions=8)
    with pytest.raises(SettingsError, match="at least 8, one for each partition of the namespace, got 7"):
        await registry.bound_queue(QueueBound("default", 7))


async def test_a_higher_revision_replaces_a_bound_and_a_lower_one_does_not(registry: ProcessRegistry) -> None:
    """Two releases cannot disagree for long."""
    await registry.bound_queue(QueueBound("a", 100, revision=2))
    await registry.bound_queue(QueueBound("a", 50, revision=1))
    assert await registry.bounds() == [BoundedQueue(QueueBound("a", 100, 2), 0)]

    await registry.bound_queue(QueueBound("a", 50, revision=3))
    await registry.bound_queue(QueueBound("b", 8))
    assert [each.bound for each in await registry.bounds()] == [QueueBound("a", 50, 3), QueueBound("b", 8)]


async def test_the_same_revision_with_another_bound_changes_nothing_and_says_so(registry: ProcessRegistry) -> None:
    """By an event, and in the listing until a higher revision comes."""
    told: list[Event] = []
    await registry.bound_queue(QueueBound("a", 100))

    with subscribed(told.append):
        await registry.bound_queue(QueueBound("a", 100))
        await registry.bound_queue(QueueBound("a", None))

    assert told == [QueueBoundKept(queue="a", revision=1, stands="100", declared="any")]
    assert await registry.bounds() == [BoundedQueue(QueueBound("a", 100), 0, "any")]
    await registry.bound_queue(QueueBound("a", None, revision=2))
    assert await registry.bounds() == [BoundedQueue(QueueBound("a", None, 2), 0)]


async def test_a_bound_that_is_taken_away_lets_all_in(registry: ProcessRegistry, partitions: int) -> None:
    """What counted before still leaves as it should."""
    ids = ids_of(3, 0, partitions)
    await bounded(registry, 1)
    await registry.register(work(ids[0]))

    await registry.bound_queue(QueueBound("default", None, revision=2))
    await registry.register_many([work(each) for each in ids[1:]])

    batch = await registry.claim_next(batch_claim(registry, ADA, count=9))
    assert [row.process_id for row in batch.rows] == ids
    assert await waiting(registry) == 0


async def test_no_more_than_a_hundred_queues_are_bounded(registry: ProcessRegistry) -> None:
    """Each submit reads them all."""
    for number in range(100):
        await registry.bound_queue(QueueBound(f"q{number}", 8))

    with pytest.raises(SettingsError, match="at most 100 queues"):
        await registry.bound_queue(QueueBound("q100", 8))
    assert len(await registry.bounds()) == 100

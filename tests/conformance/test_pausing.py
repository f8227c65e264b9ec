"""Pausing and resuming queues and tasks: nothing begins, nothing moves, and what runs goes on (rule 9.10)."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import NotItsTurn, RegistryUnavailable, SettingsError
from lash_redis.core.model import PauseRequest, Phase
from lash_redis.core.outcomes import Success
from lash_redis.core.pausing import Paused
from lash_redis.registry.calls import pausing
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    LANE,
    LONG_MS,
    batch_claim,
    begun,
    call_of,
    ids_of,
    make_due,
    work,
)
from tests.conformance.subscriber import Subscriber
from tests.conftest import RegistryMaker
from tests.look import record_of

WHY = PauseRequest("ada", 17, "the provider is down")
LANES = (LANE, "default|other|")


async def claimed(registry: ProcessRegistry, *queues: str) -> list[str]:
    """Return what a claim in partition 0 hands out."""
    served = [(queue, [lane.replace("default", queue) for lane in LANES]) for queue in queues or ("default",)]
    batch = await registry.claim_next(batch_claim(registry, ADA, count=9, served=served))
    return [row.process_id for row in batch.rows]


@pytest.mark.parametrize("what", [{"queue": "default"}, {"task": "work"}])
async def test_nothing_of_what_is_paused_begins_until_it_is_resumed(
    registry: ProcessRegistry, partitions: int, what: dict[str, str]
) -> None:
    """The rows stay where they are."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_))

    await registry.pause(WHY, **what)
    assert await claimed(registry) == []
    assert (await record_of(registry, id_)).phase is Phase.QUEUED

    await registry.resume(**what)
    assert await claimed(registry) == [id_]


async def test_a_pause_leaves_others_alone(registry: ProcessRegistry, partitions: int) -> None:
    """Another queue and another task go on, also those whose names only begin alike."""
    queue, task, longer = ids_of(3, 0, partitions)
    await registry.register_many([work(queue, queue="mail"), work(task, task="other"), work(longer, queue="default.x")])

    await registry.pause(WHY, task="wor")
    await registry.pause(WHY, queue="default")

    assert await claimed(registry, "default", "mail", "default.x") == [queue, longer]
    await registry.resume(queue="default")
    assert await claimed(registry) == [task]


async def test_what_runs_goes_on_and_ends(registry: ProcessRegistry, partitions: int) -> None:
    """A pause takes no lease away."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_))
    lease = await begun(registry, id_, ADA)

    await registry.pause(WHY, queue="default")

    await registry.renew(lease, LONG_MS)
    assert (await registry.complete(lease, Success())).is_terminal


async def test_a_row_of_a_paused_lane_is_refused_by_its_id_too(registry: ProcessRegistry, partitions: int) -> None:
    """The refusal says what it waits for."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_))
    await registry.pause(WHY, task="work")

    with pytest.raises(NotItsTurn, match="its queue or its task is paused"):
        await registry.claim(id_, ADA, LONG_MS)


async def test_a_delayed_row_enters_its_paused_lane_and_waits_there(registry: ProcessRegistry, partitions: int) -> None:
    """Time goes on."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_, delay_ms=LONG_MS))
    await registry.pause(WHY, queue="default")
    await make_due(registry, id_)

    assert await claimed(registry) == []

    assert (await record_of(registry, id_)).phase is Phase.QUEUED
    await registry.resume(queue="default")
    assert await claimed(registry) == [id_]


async def test_nobody_is_woken_for_a_paused_lane_and_somebody_once_it_is_resumed(
    registry: ProcessRegistry, subscriber: Subscriber, partitions: int
) -> None:
    """The resume wakes for what waits."""
    (id_,) = ids_of(1, 0, partitions)
    await subscriber.subscribe(owner_digest(BOB))
    await registry.pause(WHY, task="work")
    await registry.claim_next(batch_claim(registry, BOB))

    await registry.register(work(id_))
    assert await subscriber.received() == []

    await registry.resume(task="work")
    assert [message for _, message in await subscriber.received()] == [f"lane {LANE}"]


async def test_the_first_pause_stands_and_says_who_when_and_why(registry: ProcessRegistry, partitions: int) -> None:
    """A second one changes nothing."""
    stands = Paused(WHY, queue="mail", partitions=partitions, of=partitions)

    assert await registry.pause(WHY, queue="mail") == stands
    assert await registry.pause(PauseRequest("bob", 18), queue="mail") == stands
    assert await registry.pauses() == [stands]

    await registry.resume(queue="mail")
    await registry.resume(queue="mail")
    assert await registry.pauses() == []


async def test_a_pause_that_reached_some_partitions_says_so_and_is_completed_by_another(
    registry: ProcessRegistry, partitions: int
) -> None:
    """What was sent before its caller died."""
    await registry.sender.send(call_of(registry, pausing.pause, WHY, queue="mail"))

    (half,) = await registry.pauses()
    assert (half.partitions, half.of) == (1, partitions)
    assert bool(half.where) == (partitions > 1)
    answered = await registry.pause(PauseRequest("bob", 18), queue="mail")

    (whole,) = await registry.pauses()
    assert (whole.partitions, whole.where, whole.request) == (partitions, "", WHY)
    assert answered == whole


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_a_partition_that_does_not_answer_leaves_the_others_paused_and_is_said(
    make_registry: RegistryMaker, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Nothing was changed there, and yet something was: whoever asks again completes it."""
    registry = make_registry(partitions=8)

    async def ask() -> None:
        await (registry.pause(WHY, queue="mail") if verb == "pause" else registry.resume(queue="mail"))

    if verb == "resume":
        await registry.pause(WHY, queue="mail")
    await registry.open()
    run = registry.sender.transport.run

    async def cut_off(script: Any, header: str, *rest: Any, **how: Any) -> list[Any]:
        if ":5}" in header:
            raise RegistryUnavailable(script.name, "no route to the server", maybe_applied=False)
        return await run(script, header, *rest, **how)

    monkeypatch.setattr(registry.sender.transport, "run", cut_off)
    with pytest.raises(RegistryUnavailable, match=r"it is done in 5 of 8 partitions: ask again; .* may have been done"):
        await ask()
    monkeypatch.undo()

    (half,) = await registry.pauses()
    assert (half.partitions, half.of) == ((5, 8) if verb == "pause" else (3, 8))
    assert half.where.startswith("only in ")
    await ask()
    assert [each.where for each in await registry.pauses()] == ([""] if verb == "pause" else [])


async def test_no_more_than_a_hundred_names_are_paused(registry: ProcessRegistry) -> None:
    """Each claim reads them all."""
    for number in range(100):
        await registry.sender.send(call_of(registry, pausing.pause, WHY, queue=f"q{number}"))

    with pytest.raises(SettingsError, match="at most 100 queues and tasks"):
        await registry.pause(WHY, queue="q100")


@pytest.mark.parametrize("wrong", [{}, {"queue": "a", "task": "b"}, {"queue": "a|b"}, {"task": ""}])
async def test_a_pause_names_one_queue_or_one_task(registry: ProcessRegistry, wrong: dict[str, Any]) -> None:
    """And says what is allowed."""
    with pytest.raises(SettingsError, match="expected"):
        await registry.pause(WHY, **wrong)

"""Retention: what has ended goes by age, by count and by memory, and what was chosen as an id outlives its row."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lash_redis.core.errors import OutcomePruned, RegistrationConflict
from lash_redis.core.model import ProcessStatus
from lash_redis.core.outcomes import AbandonWriter, Failure, Outcome, Resolution, ResolutionKind, Success
from lash_redis.registry.calls import forgetting, terminal_facts
from lash_redis.registry.calls.forgetting import Retained, Retention
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    LONG_MS,
    RERUNNABLE,
    abandon,
    abandoned,
    call_of,
    cancel,
    held,
    ids_of,
    of_another_type,
    outside,
    settled,
    work,
)
from tests.conftest import ServerTime

FOR_EVER = 10**12


async def ended(registry: ProcessRegistry, process_id: str, outcome: Outcome | None = None, **options: Any) -> None:
    """Register a process and let it end."""
    await registry.register(work(process_id, **options))
    await registry.complete(await held(registry, process_id, ADA), outcome or Success(process_id))


async def retained(
    registry: ProcessRegistry,
    *,
    keep_ms: int = FOR_EVER,
    keep_rows: int = FOR_EVER,
    keep_ids_ms: int = 0,
    memory_is_short: bool = False,
) -> Retained:
    """Forget all that need not be kept in every partition; return how much that was."""
    rows = results = 0
    for partition in range(registry.partitions):
        rules = Retention(keep_ms, keep_rows, keep_ids_ms)
        while found := await registry.retain(partition, rules, memory_is_short=memory_is_short):
            rows, results = rows + found.rows, results + found.results
            if memory_is_short:
                break
    return Retained(rows, results)


async def left(registry: ProcessRegistry, *ids: str) -> list[str]:
    """Return which of the processes still have rows."""
    return [each for each in ids if await registry.get(each) is not None]


async def test_what_ended_so_long_ago_goes_and_the_rest_stays(registry: ProcessRegistry, server: ServerTime) -> None:
    """By the server's clock; what has not ended is never touched."""
    await registry.register_many([work("lives"), outside("elsewhere")])
    for id_ in ("a", "b", "c"):
        await ended(registry, id_)
    moment = await server.now_ms()
    await server.pass_until(moment + 400)
    await ended(registry, "new")
    age = await server.now_ms() - moment

    assert await retained(registry, keep_ms=age - 50) == Retained(3, 0)
    assert await left(registry, "a", "b", "c", "new", "lives", "elsewhere") == ["new", "lives", "elsewhere"]


async def test_of_each_task_the_latest_rows_are_kept(
    registry: ProcessRegistry, server: ServerTime, partitions: int
) -> None:
    """Whatever state they ended in; another task's rows do not count, and each partition keeps its part."""
    one, *many = ids_of(6, 0, partitions)
    await ended(registry, one, task="rare")
    for number, id_ in enumerate(many):
        await ended(registry, id_, Failure("E", "no") if number % 2 else None)
        await server.pass_until(await server.now_ms() + 2)

    assert await retained(registry, keep_rows=2 * partitions) == Retained(3, 0)
    assert await left(registry, one, *many) == [one, *many[-2:]]


async def _group_with_members(registry: ProcessRegistry, server: ServerTime, number: int) -> list[str]:
    """Register a group whose members all have ended, one after the other, and that is held open still."""
    await registry.register(work("g", opens_group=True, if_failed="run", task="summary"))
    members = [f"g::{each}" for each in range(number)]
    for id_ in members:
        await ended(registry, id_, member_of="g")
        await server.pass_until(await server.now_ms() + 2)
    return members


@pytest.mark.parametrize("waits_for_one_more", [False, True], ids=["open", "closed"])
async def test_members_stay_beside_the_latest_rows_until_their_group_has_ended(
    registry: ProcessRegistry, server: ServerTime, partitions: int, *, waits_for_one_more: bool
) -> None:
    """It is to read how they ended. What else ended before them goes."""
    await ended(registry, "g::before")
    members = await _group_with_members(registry, server, 3)
    await ended(registry, "g::after")
    if waits_for_one_more:
        await registry.register(work("g::last", member_of="g"))
        await registry.close_group("g")

    assert await retained(registry, keep_rows=partitions) == Retained(1, 0)
    assert await left(registry, *members, "g::before", "g::after") == [*members, "g::after"]

    if waits_for_one_more:
        await registry.complete(await held(registry, "g::last", ADA), Success())
    else:
        await registry.close_group("g")
    await retained(registry, keep_rows=partitions)
    assert await left(registry, *members) == members, "it has yet to run"
    await registry.complete(await held(registry, "g", ADA), Success())
    assert await retained(registry, keep_rows=partitions) == Retained(3, 0)


async def test_a_group_that_is_no_row_does_not_end_the_retention_of_others(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int
) -> None:
    """One damaged key must not end a call about many; nothing waits for the members then."""
    await registry.register(work("g", opens_group=True, if_failed="run", task="summary"))
    for id_ in ("g::1", "g::2", "g::3"):
        await ended(registry, id_, member_of="g")
    (key,) = [each.decode() async for each in client.scan_iter(match=f"{{lash:{namespace}:*}}:p:g", count=1000)]
    async with of_another_type(client, key):
        assert await retained(registry, keep_rows=partitions) == Retained(2, 0)


@pytest.mark.parametrize("by", ["age", "memory", "number", "prune"])
async def test_members_stay_for_their_group_within_bounds(
    registry: ProcessRegistry, server: ServerTime, partitions: int, by: str
) -> None:
    """A group that was left open keeps no memory for ever: age and memory count, and ten times as many rows."""
    members = await _group_with_members(registry, server, 12)
    match by:
        case "age":
            assert await retained(registry, keep_ms=1) == Retained(12, 0)
        case "memory":
            assert await retained(registry, memory_is_short=True) == Retained(12, 0)
        case "prune":
            await registry.prune(before_ms=2**52)
        case _:
            assert await retained(registry, keep_rows=partitions) == Retained(2, 0)
    assert await left(registry, *members) == (members[2:] if by == "number" else [])


async def test_where_memory_is_short_the_oldest_go_whatever_their_task(
    registry: ProcessRegistry, server: ServerTime, partitions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page at a time, so that whoever asks can look again."""
    monkeypatch.setattr(forgetting, "MAX_BATCH", 5)
    ids = ids_of(8, 0, partitions)
    for number, id_ in enumerate(ids):
        await ended(registry, id_, task=f"task-{number % 3}")
        await server.pass_until(await server.now_ms() + 1)

    assert await registry.retain(0, Retention(FOR_EVER, FOR_EVER, 0)) == Retained(0, 0)
    assert await registry.retain(0, Retention(FOR_EVER, FOR_EVER, 0), memory_is_short=True) == Retained(5, 0)
    assert await left(registry, *ids) == ids[5:]


async def test_an_abandoned_row_stays_until_it_is_resolved(registry: ProcessRegistry, server: ServerTime) -> None:
    """However old it is, and however short memory is; nor does it take the place of others of its task."""
    await registry.register(outside("gone"))
    await registry.request_abandon("gone", abandon())
    assert await settled(registry, "gone", "fact", abandoned(AbandonWriter.RECONCILED_REQUEST, None))
    await server.pass_until(await server.now_ms() + 5)
    assert await retained(registry, keep_ms=1, keep_rows=1, memory_is_short=True) == Retained(0, 0)

    await registry.resolve("gone", Resolution(ResolutionKind.ACCEPTED, "ops", 1))

    assert await retained(registry, keep_ms=1) == Retained(1, 0)


async def test_a_result_may_go_before_its_row(registry: ProcessRegistry, server: ServerTime) -> None:
    """The fact stays: the same completion sent again is still answered as done."""
    long = "x" * 200
    await registry.register(work("p", keep_results_ms=500))
    lease = await held(registry, "p", ADA)
    again = call_of(registry, terminal_facts.complete, lease, Success(long))
    done = await registry.complete(lease, Success(long))
    assert await retained(registry) == Retained(0, 0)

    await server.pass_until((done.ended_at_ms or 0) + 501)
    assert await retained(registry) == Retained(0, 1)

    record = await registry.get("p")
    assert record is not None
    assert (record.status, record.outcome, record.ended_at_ms) == (ProcessStatus.COMPLETED, None, done.ended_at_ms)
    assert (await registry.sender.send(again)).status is ProcessStatus.COMPLETED
    assert await retained(registry) == Retained(0, 0)


async def test_a_failure_is_kept_as_long_as_its_row(registry: ProcessRegistry, server: ServerTime) -> None:
    """It says why; only what was returned has a time of its own."""
    await ended(registry, "p", Failure("E", "no"), keep_results_ms=0)
    await server.pass_until(await server.now_ms() + 5)

    assert await retained(registry) == Retained(0, 0)
    record = await registry.get("p")
    assert record is not None
    assert record.outcome == Failure("E", "no")


async def test_a_chosen_id_outlives_its_row(registry: ProcessRegistry, server: ServerTime) -> None:
    """The same content is known, other content is a conflict, until the time of the id is over."""
    await ended(registry, "order", Failure("E", "no"))
    await server.pass_until(await server.now_ms() + 5)
    assert await retained(registry, keep_ms=1, keep_ids_ms=300) == Retained(1, 0)

    assert await registry.register_many([work("order")]) == [False]
    assert (await registry.register(work("order"))).status is ProcessStatus.FAILED
    with pytest.raises(RegistrationConflict, match="it ended as failed, and was forgotten"):
        await registry.register(work("order", RERUNNABLE, "other"))
    assert await registry.get("order") is None

    await server.pass_until(await server.now_ms() + 301)
    assert (await registry.register(work("order", RERUNNABLE, "other"))).status is ProcessStatus.RUNNING
    await retained(registry)


async def test_nothing_is_kept_of_an_id_that_was_made_at_random(registry: ProcessRegistry, server: ServerTime) -> None:
    """Nobody will register it again."""
    await ended(registry, "p", chosen_id=False)
    await server.pass_until(await server.now_ms() + 5)

    assert await retained(registry, keep_ms=1, keep_ids_ms=LONG_MS) == Retained(1, 0)
    assert await registry.tombstones(["p"]) == [None]


async def test_a_prune_forgets_what_retention_kept(
    registry: ProcessRegistry, server: ServerTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page, and only of what ended before its time."""
    ids = [f"p{number}" for number in range(11)]
    for each in ids:
        await ended(registry, each)
    await server.pass_until(await server.now_ms() + 5)
    assert (await retained(registry, keep_ms=1, keep_ids_ms=LONG_MS)).rows == len(ids)
    between = await server.now_ms()
    await ended(registry, "later")
    await server.pass_until(await server.now_ms() + 5)
    await retained(registry, keep_ms=1, keep_ids_ms=LONG_MS)
    monkeypatch.setattr(forgetting, "MAX_BATCH", 2)

    assert (await registry.prune(between)).tombstones == len(ids)
    assert [bool(each) for each in await registry.tombstones([*ids, "later"])] == [False] * len(ids) + [True]
    assert (await registry.prune(older_than_ms=0)).tombstones == 1


async def test_an_index_that_lies_makes_retention_forget_no_row(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int
) -> None:
    """An index is a hint: what it names and has not ended stays, and the entry goes."""
    one, lives = ids_of(2, 0, partitions)
    await ended(registry, one)
    await registry.register(work(lives))
    await client.zadd(f"{{lash:{namespace}:0}}:done:work|c", {lives: 1})

    await retained(registry, keep_ms=LONG_MS)

    assert await left(registry, one, lives) == [one, lives]


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_is_forgotten_in_whatever_order_nothing_else_is_lost(
    registry: ProcessRegistry, server: ServerTime, seed: int
) -> None:
    """Random ends, labels, submits again and retention: a model says what must be there, and the keyspace is sound."""
    chance = random.Random(seed)
    lives: set[str] = set()
    kept: dict[str, ProcessStatus] = {}
    for number in range(120):
        id_, tenant = f"p{chance.randrange(20)}", str(chance.randrange(3))
        match chance.randrange(5):
            case 0 | 1:
                new = (await registry.register_many([work(id_, labels={"tenant": tenant}, keep_results_ms=3)]))[0]
                assert new == (id_ not in lives and id_ not in kept), number
                lives |= {id_} if new else set()
            case 2 if id_ in lives:
                await registry.request_cancel(id_, cancel())
                lives.discard(id_)
                kept[id_] = ProcessStatus.CANCELLED
            case 3 if id_ in lives:
                await registry.complete(await held(registry, id_, ADA), Success(number))
                lives.discard(id_)
                kept[id_] = ProcessStatus.COMPLETED
            case 4:
                await server.pass_until(await server.now_ms() + 2)
                await retained(registry, keep_ms=1, keep_rows=chance.choice((1, 4, FOR_EVER)), keep_ids_ms=LONG_MS)
    assert set(await left(registry, *lives)) == lives
    for id_, status in kept.items():
        record = await registry.get(id_)
        (tombstone,) = await registry.tombstones([id_])
        assert {record.status if record else None, tombstone.status if tombstone else None} == {status, None}


def test_the_error_of_a_forgotten_outcome_says_how_the_process_ended() -> None:
    """Where that is kept."""
    assert OutcomePruned("p", "completed").status == "completed"
    assert "ended as completed" in str(OutcomePruned("p", "completed"))

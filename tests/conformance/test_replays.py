"""What a replay takes from the process that it submits again, and what is not submitted again with many others."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import pytest

from lash_redis.core.bounds import QueueBound
from lash_redis.core.current import CurrentProcess
from lash_redis.core.errors import OutcomePruned, QueueFull
from lash_redis.core.model import Phase, ProcessRecord, ProcessRegistration, ProcessStatus
from lash_redis.core.outcomes import AbandonWriter, Failure, Success
from lash_redis.core.tick_ids import tick_id
from lash_redis.core.unique import Unique
from lash_redis.registry.answers import BulkReport
from lash_redis.registry.calls import replaying
from lash_redis.registry.calls.forgetting import Retention
from lash_redis.registry.calls.replaying import replay_id
from lash_redis.registry.calls.selecting import Which
from lash_redis.registry.keys import partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    LONG_MS,
    OWNER_BOUND,
    abandon,
    abandoned,
    cancel,
    held,
    outside,
    settled,
    work,
)
from tests.look import record_of, row_of, sent

NO: Final = Failure("E", "no")
ONCE: Final = Unique(key="k")
LAST: Final = Unique(key="k", on_duplicate="replace")
WAITED: Final = "waited for other processes when it was cancelled"
REPLACED: Final = "was replaced by a later one of its unique key"
IS_THERE: Final = "another process of its unique key has not ended"

# Each field of a registration: a value that is not the default, and the same of the replay.
KEPT: Final[dict[str, Any]] = {
    "queue": "mail", "loss_limit": 2, "priority": 3, "keep_results_ms": LONG_MS, "cost": 2, "expires_in_ms": LONG_MS,
    "labels": {"tenant": "1"}, "disposition": OWNER_BOUND, "unique": ONCE,
}  # fmt: skip
KEPT_TOGETHER: Final[dict[str, Any]] = {"key": "a", "scopes": "s,t"}
KEPT_ALWAYS: Final = {"input", "signature"}
# It has waited already: a replay may run at once.
OF_THE_FIRST_RUN: Final[dict[str, Any]] = {
    "delay_ms": LONG_MS, "at_ms": 2**45, "after": ("k::other",), "opens_group": True, "member_of": "k::group",
}  # fmt: skip
WITH_AFTER: Final = {"if_failed"}
ITS_OWN: Final = {"id", "replay_of", "chosen_id"}
NOT_SUBMITTED: Final = {"granted_to"}


def test_what_becomes_of_each_field_of_a_registration_in_a_replay_is_tested() -> None:
    """So that a new option does not get lost."""
    told = {*KEPT, *KEPT_TOGETHER, *KEPT_ALWAYS, *OF_THE_FIRST_RUN, *WITH_AFTER, *ITS_OWN, *NOT_SUBMITTED}

    assert told == set(ProcessRegistration.__struct_fields__)


async def ended(registry: ProcessRegistry, process_id: str, outcome: Any = NO) -> None:
    """Let a process end."""
    lease = await held(registry, process_id, ADA)
    await registry.start(lease)
    await registry.complete(lease, outcome)


async def failed(registry: ProcessRegistry, *registrations: ProcessRegistration) -> None:
    """Register processes, one after the other, and let each fail."""
    for each in registrations:
        await registry.register(each)
        await ended(registry, each.id)


async def replayed(registry: ProcessRegistry, process_id: str) -> ProcessRecord:
    """Submit a process again, and return the record of the new one."""
    assert await registry.replay([process_id]) == ["submitted"]
    return await record_of(registry, replay_id(process_id))


async def replay_all(registry: ProcessRegistry, status: ProcessStatus = ProcessStatus.FAILED) -> BulkReport:
    """Submit again what ended so."""
    return await registry.replay_many(Which(status=status))


@pytest.mark.parametrize("name", KEPT)
async def test_a_replay_keeps_what_the_work_is(registry: ProcessRegistry, name: str) -> None:
    """Where and when it runs, what it costs, how long it is kept, by what it is found, what it must not run beside."""
    disposition: dict[str, Any] = {} if name != "disposition" else {"disposition": KEPT[name]}
    options = {} if disposition else {name: KEPT[name]}
    await failed(registry, work("k::p", **disposition, **options, signature="0" * 16))

    new, row = await replayed(registry, "k::p"), await row_of(registry, replay_id("k::p"))
    old = await row_of(registry, "k::p")

    assert (new.replay_of, new.phase, new.input) == ("k::p", Phase.QUEUED, old.record().input)
    assert row.lane == old.lane
    if name == "unique":
        assert row.fields[b"uq"] == old.fields[b"uq"]
    else:
        assert getattr(new, name) == KEPT[name]


async def test_a_replay_keeps_the_limits_and_the_key_of_its_work(registry: ProcessRegistry) -> None:
    """So that it waits for the same turns."""
    await failed(registry, work("k::p", **KEPT_TOGETHER))

    assert (await replayed(registry, "k::p")).key == "a"
    old, new = await row_of(registry, "k::p"), await row_of(registry, replay_id("k::p"))
    assert new.lane == old.lane


@pytest.mark.parametrize("name", OF_THE_FIRST_RUN)
async def test_a_replay_waits_for_nothing_that_has_been(registry: ProcessRegistry, name: str) -> None:
    """What ran waited for its time, its processes or its members then."""
    await failed(registry, work("k::other"))
    await registry.register(work("k::group", opens_group=True, if_failed="run"))
    waits: dict[str, Any] = {"if_failed": "run"} if name in ("after", "opens_group") else {}
    await registry.register(work("k::p", **{name: OF_THE_FIRST_RUN[name]}, **waits))
    if name == "opens_group":
        await registry.close_group("k::p")
    if name in ("delay_ms", "at_ms"):
        await registry.request_cancel("k::p", cancel())
    else:
        await ended(registry, "k::p")

    assert (await replayed(registry, "k::p")).phase is Phase.QUEUED
    assert (await row_of(registry, replay_id("k::p"))).group is None


async def test_what_is_not_for_workers_is_left_out(registry: ProcessRegistry) -> None:
    """Externally owned work: whoever does it is asked by the program."""
    await registry.register(outside("p", granted_to="desk"))
    assert await registry.replay(["p"]) == ["has not ended"]
    await registry.request_abandon("p", abandon())
    assert await settled(registry, "p", "fact", abandoned(AbandonWriter.RECONCILED_REQUEST, None))

    assert await registry.replay(["p"]) == ["is externally owned: the pool does not run it"]


async def test_the_replay_of_a_summary_reads_the_members_of_its_group(registry: ProcessRegistry) -> None:
    """Also the replay of a replay, page by page; what never had a group has none."""
    await registry.register(work("g", opens_group=True, if_failed="run"))
    members = [f"g::{number}" for number in range(3)]
    await registry.register_many([work(each, member_of="g") for each in members])
    await registry.close_group("g")
    for each in members:
        await ended(registry, each, Success(each))
    await ended(registry, "g")
    await replayed(registry, "g")
    await ended(registry, replay_id("g"))
    again = (await replayed(registry, replay_id("g"))).id

    for each in (replay_id("g"), again):
        page = await registry.members(each)
        assert page.ids == members
        assert [row and row.status for row in page.rows] == [ProcessStatus.COMPLETED] * 3
        assert (await registry.members(each, 2, 1)).ids == members[2:]
        assert (await registry.members(each, 3)).ids == []
    await failed(registry, work("alone"))
    assert (await registry.members((await replayed(registry, "alone")).id)).ids == []


async def test_what_replays_itself_or_its_own_replay_has_no_members(registry: ProcessRegistry) -> None:
    """Only a caller can say so of a registration; reading the members must end all the same."""
    await registry.register_many([work("p", replay_of="p"), work("a", replay_of="b"), work("b", replay_of="a")])

    for each in ("p", "a", "b"):
        async with asyncio.timeout(10):
            assert (await registry.members(each)).ids == []


async def test_the_replay_of_a_summary_that_was_forgotten_never_reads_an_empty_group(
    registry: ProcessRegistry,
) -> None:
    """Nobody knows who the members were: it is said, as of the old one."""
    await registry.register(work("g", opens_group=True, if_failed="run"))
    await registry.register(work("g::0", member_of="g"))
    await registry.close_group("g")
    await ended(registry, "g::0", Success(1))
    await ended(registry, "g")
    await replayed(registry, "g")
    partition = registry.partition_of("g")
    ended_index = f"{partition_prefix(registry.namespace, partition)}:done:work|f"
    await sent(registry, "ZADD", ended_index, 1, "g")  # as if it had ended long ago
    assert (await registry.retain(partition, Retention(10 * LONG_MS, 100, LONG_MS))).rows == 1

    with pytest.raises(OutcomePruned, match="'g'"):
        await registry.members(replay_id("g"))


async def test_the_replay_of_a_tick_is_for_the_same_time(registry: ProcessRegistry) -> None:
    """And so is the replay of that."""
    tick = tick_id("nightly", 1_795_822_440_000)
    await failed(registry, work(tick), work("nightly::run-x"))

    one = (await replayed(registry, tick)).id
    await ended(registry, one)
    two = (await replayed(registry, one)).id
    by_hand = (await replayed(registry, "nightly::run-x")).id

    ticks = [CurrentProcess(each, "work", 1).tick_ms for each in (tick, one, two, by_hand)]
    assert ticks == [1_795_822_440_000] * 3 + [None]
    assert len({tick, one, two}) == 3


async def test_what_waited_when_it_was_cancelled_is_submitted_again_only_by_its_name(
    registry: ProcessRegistry,
) -> None:
    """What it needed may not have been done: of one that failed, of one that expired, of one that ops has cancelled."""
    await registry.register_many([work("k::a"), work("k::b")])
    await registry.register(work("k::needs", after=("k::a",), if_failed="cancel"))
    await registry.register(work("k::waits", after=("k::b",), if_failed="run"))
    await registry.register(work("k::expires", after=("k::b",), if_failed="run", expires_in_ms=LONG_MS))
    await registry.register(work("k::open", opens_group=True, if_failed="run"))
    await registry.register(work("k::ran", after=("k::a",), if_failed="run"))
    await ended(registry, "k::a")
    for each in ("k::waits", "k::open", "k::expires", "k::ran", "k::b"):
        await registry.request_cancel(each, cancel())

    report = await replay_all(registry, ProcessStatus.CANCELLED)

    assert report.done == {"submitted": 2}
    assert report.left_out == {WAITED: 4}
    assert await registry.replay(["k::needs", "k::ran", "k::b"]) == ["submitted", *["submitted before"] * 2]


async def test_what_a_later_one_replaced_is_not_submitted_again_with_others(registry: ProcessRegistry) -> None:
    """Only the last one counts; by its name it is submitted all the same."""
    for each in range(3):
        await registry.register(work(f"k::{each}", unique=LAST))
    await ended(registry, "k::2", Success())
    await registry.register(work("k::asked"))
    await registry.request_cancel("k::asked", cancel())

    report = await replay_all(registry, ProcessStatus.CANCELLED)

    assert (report.done, report.left_out) == ({"submitted": 1}, {REPLACED: 2})
    assert await registry.replay(["k::0"]) == ["submitted"]


async def test_replays_of_one_unique_key_are_there_one_at_a_time(registry: ProcessRegistry) -> None:
    """The oldest first; the next call goes on. A submit meets a replay as it meets any other."""
    await failed(registry, *(work(f"k::{each}", unique=ONCE) for each in range(3)))
    await failed(registry, work("k::other"))

    report = await replay_all(registry)

    assert (report.done, report.left_out) == ({"submitted": 2}, {IS_THERE: 2})
    assert await registry.submit_many([work("k::new", unique=ONCE)]) == [replay_id("k::0")]
    assert (await replay_all(registry)).left_out == {"submitted before": 2, IS_THERE: 2}
    await ended(registry, replay_id("k::0"), Success())
    assert (await replay_all(registry)).done == {"submitted": 1}
    assert (await record_of(registry, replay_id("k::1"))).phase is Phase.QUEUED


async def test_a_replay_waits_for_no_place_that_a_submit_has_taken(registry: ProcessRegistry) -> None:
    """Neither does it replace or put off what waits."""
    await failed(registry, work("k::old", unique=LAST))
    await registry.register(work("k::new", unique=LAST))

    assert await registry.replay(["k::old"]) == [IS_THERE]
    assert (await record_of(registry, "k::new")).phase is Phase.QUEUED


async def test_many_are_submitted_again_in_the_order_in_which_they_came(
    registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over more than a batch, also those that were registered in one moment: an order that was kept is kept."""
    monkeypatch.setattr(replaying, "MAX_BATCH", 3)
    ids = [f"k::{number}" for number in (3, 1, 4, 0, 5, 2, 7, 6)]
    await registry.register_many([work(each) for each in ids])
    for each in reversed(ids):
        await ended(registry, each)

    report = await replay_all(registry)

    assert report.first == ids
    numbers = [int((await row_of(registry, replay_id(each))).fields[b"sq"]) for each in ids]
    assert numbers == sorted(numbers)


async def test_a_full_queue_leaves_out_what_does_not_fit_and_nothing_else(
    registry: ProcessRegistry,
) -> None:
    """The oldest get in; the report says of the others why they did not, and the next call goes on."""
    ids = [f"k::{number}" for number in range(8)]
    await failed(registry, *(work(each, queue="small" if at % 2 else "default") for at, each in enumerate(ids)))
    small = ids[1::2]
    await registry.bound_queue(QueueBound("small", 2 * registry.partitions))

    report = await replay_all(registry)

    assert (report.found, report.done, report.left_out) == (8, {"submitted": 6}, {"queue 'small' is full": 2})
    there = [await registry.get(replay_id(each)) is not None for each in small]
    assert there == [True, True, False, False]
    again = await replay_all(registry)
    assert (again.done, again.left_out) == ({}, {"queue 'small' is full": 2, "submitted before": 6})
    await ended(registry, replay_id(small[0]))
    assert await registry.replay(small[2:]) == ["submitted", "queue 'small' is full"]


async def test_behind_one_that_did_not_fit_none_of_its_queue_gets_in(
    registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although a worker made room between two batches: what runs in order goes on in order with the next call."""
    monkeypatch.setattr(replaying, "MAX_BATCH", 2)
    ids = [f"k::{number}" for number in range(6)]
    await failed(registry, *(work(each, queue="small") for each in ids))
    await registry.bound_queue(QueueBound("small", registry.partitions))
    steps = replaying.replay_many(registry.target.namespace, Which(status=ProcessStatus.FAILED))
    answer: Any = None
    error: QueueFull | None = None
    with contextlib.suppress(StopIteration):
        while True:
            call = steps.throw(error) if error else steps.send(answer)
            error = None
            try:
                answer = await registry.sender.send(call)
            except QueueFull as full:
                error = full
            row = await registry.get(replay_id(ids[0]))
            if row is not None and row.phase is Phase.QUEUED:
                await ended(registry, row.id)

    replays = [await registry.get(replay_id(each)) is not None for each in ids]
    assert replays == [True] + [False] * 5

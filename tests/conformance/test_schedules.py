"""Schedules in the registry: stored by revision, ticked once, paused and changed (rules 12.1 and 12.2)."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import msgspec
import pytest

from lash_redis.core.bounds import QueueBound
from lash_redis.core.errors import UnknownSchedule
from lash_redis.core.model import PauseRequest, Phase
from lash_redis.core.outcomes import Cancelled
from lash_redis.core.schedules import DueSchedule, Schedule, ScheduleDeclaration, ScheduleRule, Ticked
from lash_redis.operate.explain import explain
from lash_redis.operate.schedules import ScheduleOf, next_times, schedule_views
from lash_redis.registry.calls import ticks
from lash_redis.registry.keys import partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, BOB, CYD, batch_claim, begun, work
from tests.conftest import ServerTime
from tests.look import record_of

HOUR_MS = 3_600_000
# Long enough that no instant comes by itself while a test runs. All ticks of a week are on time.
HOURLY = ScheduleRule(f"every {HOUR_MS}", late_after_ms=7 * 24 * HOUR_MS)


def declared(name: str = "s", revision: int = 1, *, rule: ScheduleRule = HOURLY, **options: Any) -> ScheduleDeclaration:
    """Return a declaration of a schedule whose ticks are plain work."""
    return ScheduleDeclaration(name, revision, rule, work(name, **options), {}, "app.py:1")


async def stored(registry: ProcessRegistry, name: str = "s") -> Schedule:
    """Return one schedule as it is stored."""
    return next(each for each in await registry.all_schedules() if each.name == name)


async def due_of(registry: ProcessRegistry, name: str = "s") -> list[DueSchedule]:
    """Return what a claim is told of schedules that are due in a schedule's partition."""
    batch = await registry.claim_next(batch_claim(registry, BOB, count=0, partition=registry.partition_of(name)))
    return batch.schedules


async def tick(registry: ProcessRegistry, name: str = "s") -> list[Ticked]:
    """Do what a worker does that claims."""
    return await registry.submit_ticks([each.plan() for each in await due_of(registry, name)])


async def let_pass(client: Any, registry: ProcessRegistry, name: str = "s", *, ms: int) -> None:
    """Let a schedule be decided only up to so long ago, and due now, as if that time had passed since."""
    k = partition_prefix(registry.namespace, registry.partition_of(name))
    since_ms = (await stored(registry, name)).now_ms - ms
    await client.hset(f"{k}:schedule:{name}", mapping={"fr": since_ms, "du": since_ms})
    await client.zadd(f"{k}:alarms", {f"tick {name}": since_ms})
    await client.hset(f"{k}:hdr", "due", 1)


async def declare(registry: ProcessRegistry, *schedules: ScheduleDeclaration) -> list[str]:
    """Store schedules, and have a worker look at them at once."""
    words = await registry.declare_schedules(list(schedules))
    for each in schedules:
        await tick(registry, each.name)
    return list(words)


async def ticks_of(client: Any, registry: ProcessRegistry, name: str = "s") -> list[int]:
    """Return the instants of a schedule that have a process."""
    found = [key async for key in client.scan_iter(match=f"*:p:{name}::*", count=1000)]
    return sorted(int(key.rpartition(b"::")[2]) for key in found if b"::run-" not in key)


async def test_a_new_schedule_waits_for_its_first_instant(registry: ProcessRegistry) -> None:
    """What was before its declaration is nobody's tick."""
    assert await declare(registry, declared(rule=ScheduleRule(f"every {HOUR_MS}"))) == ["new"]
    found = await stored(registry)
    assert found.last_tick_ms is None
    assert found.due_at_ms is not None
    assert 0 < found.due_at_ms - found.from_ms <= HOUR_MS
    assert found.due_at_ms % HOUR_MS == 0


async def test_a_tick_is_submitted_once(registry: ProcessRegistry, client: Any) -> None:
    """Its process has the instant in its id and the options of the declaration, and the next claim hands it out."""
    await declare(registry, declared(priority=3))
    await let_pass(client, registry, ms=3 * HOUR_MS // 2)
    (ticked,) = await tick(registry)
    assert await due_of(registry) == []
    assert await ticks_of(client, registry) == ticked.plan.submitted
    first = f"s::{ticked.plan.submitted[0]}"
    assert (await record_of(registry, first)).priority == 3
    assert (await begun(registry, first, ADA)).process_id == first
    assert (await stored(registry)).last_tick_ms == ticked.plan.submitted[-1]


async def test_a_tick_that_is_sent_twice_answers_the_same(registry: ProcessRegistry, client: Any) -> None:
    """And submits nothing more."""
    await declare(registry, declared())
    await let_pass(client, registry, ms=2 * HOUR_MS)
    plans = [each.plan() for each in await due_of(registry)]
    assert plans[0].submitted
    first, second = await registry.submit_ticks(plans), await registry.submit_ticks(plans)
    assert first == second == [Ticked(plans[0])]
    assert await ticks_of(client, registry) == plans[0].submitted


async def test_of_two_workers_that_compute_a_tick_one_submits_it(registry: ProcessRegistry, client: Any) -> None:
    """The other one is told that the schedule is not what it was."""
    await declare(registry, declared())
    await let_pass(client, registry, ms=2 * HOUR_MS)
    (due,) = await due_of(registry)
    later = msgspec.structs.replace(due, now_ms=due.now_ms + HOUR_MS)
    (won,) = await registry.submit_ticks([due.plan()])
    (lost,) = await registry.submit_ticks([later.plan()])
    assert (won.is_stale, lost.is_stale) == (False, True)
    assert await ticks_of(client, registry) == won.plan.submitted


async def test_a_schedule_whose_worker_died_is_told_to_another_one(registry: ProcessRegistry, client: Any) -> None:
    """Who was told has 5 s. Then the next claim is told the same."""
    await declare(registry, declared())
    await let_pass(client, registry, ms=2 * HOUR_MS)
    partition = registry.partition_of("s")
    brought = await registry.bring_due(partition)
    (due,) = brought.schedules
    assert brought.next_in_ms == 5_000
    assert await due_of(registry) == []
    k = partition_prefix(registry.namespace, partition)
    await client.zincrby(f"{k}:alarms", -5_000, "tick s")  # as if 5 s had passed
    await client.hset(f"{k}:hdr", "due", 1)
    batch = await registry.claim_next(batch_claim(registry, CYD, count=0, partition=partition))
    (again,) = batch.schedules
    assert (again.name, again.from_ms) == (due.name, due.from_ms)
    await registry.submit_ticks([again.plan()])


@pytest.mark.parametrize(("missed", "made_up"), [("skip", 0), ("latest", 1), ("all:3", 3)])
async def test_ticks_that_come_late_are_made_up_for_as_declared(
    registry: ProcessRegistry, client: Any, missed: str, made_up: int
) -> None:
    """What is left out is counted."""
    rule = ScheduleRule(f"every {HOUR_MS}", missed=missed, late_after_ms=1)
    await declare(registry, declared(rule=rule))
    await let_pass(client, registry, ms=10 * HOUR_MS)
    (due,) = await due_of(registry)
    due = msgspec.structs.replace(
        due, now_ms=due.now_ms // HOUR_MS * HOUR_MS + 500
    )  # half a second after the last instant
    (ticked,) = await registry.submit_ticks([due.plan()])
    instants = [*ticked.plan.missed, *ticked.plan.submitted]
    assert instants == [*range(instants[0], due.now_ms, HOUR_MS)]
    assert len(ticked.plan.submitted) == made_up
    assert await ticks_of(client, registry) == ticked.plan.submitted
    found = await stored(registry)
    assert (found.missed, found.last_missed_ms) == (len(ticked.plan.missed), ticked.plan.missed[-1])


async def test_a_clock_that_was_ahead_repeats_no_tick_and_leaves_none_out(
    registry: ProcessRegistry, client: Any
) -> None:
    """What was submitted while it was ahead stays submitted, and what was not is submitted in its time."""
    await declare(registry, declared())
    await let_pass(client, registry, ms=2 * HOUR_MS)
    (due,) = await due_of(registry)
    ahead = msgspec.structs.replace(due, now_ms=due.now_ms + 5 * HOUR_MS)
    (early,) = await registry.submit_ticks([ahead.plan()])
    found = await stored(registry)
    assert found.from_ms > found.now_ms
    back = DueSchedule("s", 1, found.from_ms, due.now_ms, found.rule).plan()
    assert back.submitted == []
    await registry.submit_ticks([back])
    assert (await stored(registry)).due_at_ms == early.plan.submitted[0] + HOUR_MS * len(
        [each for each in early.plan.submitted if each <= due.now_ms]
    )
    again = DueSchedule("s", 1, due.now_ms, due.now_ms + 7 * HOUR_MS, found.rule).plan()
    await registry.submit_ticks([again])
    assert await ticks_of(client, registry) == sorted({*early.plan.submitted, *again.submitted})
    assert len(again.submitted) == 7


async def test_of_more_instants_than_are_remembered_none_comes_again(registry: ProcessRegistry, client: Any) -> None:
    """One that is older than all that are remembered counts as submitted, since a hundred are."""
    await declare(registry, declared())
    await let_pass(client, registry, ms=150 * HOUR_MS)
    (due,) = await due_of(registry)
    half = msgspec.structs.replace(due, now_ms=due.from_ms + 80 * HOUR_MS)
    (first,) = await registry.submit_ticks([half.plan()])
    rest = msgspec.structs.replace(due, from_ms=half.now_ms)
    (second,) = await registry.submit_ticks([rest.plan()])
    submitted = [*first.plan.submitted, *second.plan.submitted]
    assert await ticks_of(client, registry) == submitted
    for process in submitted[:10]:  # as if they had been pruned
        k = partition_prefix(registry.namespace, registry.partition_of("s"))
        await client.delete(f"{k}:p:s::{process}")
        await client.zrem(f"{k}:q:default|work|", f"s::{process}")
    back = msgspec.structs.replace(due, from_ms=due.now_ms)
    await registry.submit_ticks([msgspec.structs.replace(half.plan(), due=back)])
    assert await ticks_of(client, registry) == submitted[10:]


async def test_a_schedule_is_stored_by_its_revision(registry: ProcessRegistry) -> None:
    """A lower one replaces nothing, a higher one replaces, and other content of the same one is said to differ."""
    other = ScheduleRule(f"every {2 * HOUR_MS}")
    rule = ScheduleRule(f"every {HOUR_MS}")
    assert await declare(registry, declared(revision=2, rule=rule, priority=3)) == ["new"]
    assert await declare(registry, declared(revision=2, rule=rule, priority=3)) == ["same"]
    assert await declare(registry, declared(revision=1, rule=other)) == ["older"]
    assert await declare(registry, declared(revision=2, rule=other)) == ["differs"]
    found = await stored(registry)
    assert (found.rule, found.differs_at_ms) == (rule, found.declared_at_ms)
    assert await declare(registry, declared(revision=3, rule=other)) == ["changed"]
    found = await stored(registry)
    assert (found.revision, found.rule, found.differs_at_ms) == (3, other, None)
    await registry.run_schedule("s")
    claim = batch_claim(registry, ADA, partition=registry.partition_of("s"))
    (row,) = (await registry.claim_next(claim)).rows
    assert (await record_of(registry, row.process_id)).priority == 0, "nothing of the former revision stays"


@pytest.mark.parametrize("change", ["declare", "pause", "remove"])
async def test_what_is_due_is_ticked_before_a_change(registry: ProcessRegistry, client: Any, change: str) -> None:
    """Whoever changes it does that."""
    await declare(registry, declared())
    await let_pass(client, registry, ms=3 * HOUR_MS // 2)
    match change:
        case "declare":
            changed = declared(revision=2, rule=ScheduleRule(f"every {HOUR_MS}"))
            assert await registry.declare_schedules([changed]) == ["changed"]
            assert (await stored(registry)).revision == 2
        case "pause":
            await registry.pause_schedule("s")
            assert (await stored(registry)).paused_at_ms is not None
        case _:
            await registry.remove_schedule("s")
    assert len(await ticks_of(client, registry)) in (1, 2)


async def test_a_paused_schedule_ticks_no_more_and_goes_on_from_its_resume(
    registry: ProcessRegistry, client: Any
) -> None:
    """Each may be asked for twice. A change leaves it paused."""
    await declare(registry, declared())
    for _ in range(2):
        await registry.pause_schedule("s")
    assert await declare(registry, declared(revision=2)) == ["changed"]
    paused = await stored(registry)
    assert (paused.due_at_ms, paused.next_ms) == (None, None)
    await let_pass(client, registry, ms=3 * HOUR_MS)
    assert await tick(registry) == []
    for _ in range(2):
        await registry.resume_schedule("s")
    await tick(registry)
    resumed = await stored(registry)
    assert resumed.paused_at_ms is None
    assert resumed.due_at_ms is not None
    assert await ticks_of(client, registry) == []


async def test_a_pause_says_who_made_it_and_why(registry: ProcessRegistry) -> None:
    """The first one stands, until it is resumed."""
    await declare(registry, declared())
    first = PauseRequest("ada", 1, "the bank is closed")
    for request in (first, PauseRequest("bob", 2), None):
        await registry.pause_schedule("s", request)
        assert (await stored(registry)).pause == first
    (view,) = await schedule_views(registry)
    assert (view["paused_by"], view["pause_reason"]) == ("ada", "the bank is closed")
    assert "paused by ada: the bank is closed" in view["notes"]
    await registry.resume_schedule("s")
    assert (await stored(registry)).pause is None
    await registry.pause_schedule("s")
    assert ((await stored(registry)).paused_at_ms is not None, (await stored(registry)).pause) == (True, None)


async def test_a_plan_that_comes_after_a_pause_changes_nothing(registry: ProcessRegistry) -> None:
    """Such as that of a worker which set the schedule back, and whose call was late."""
    await declare(registry, declared())
    found = await stored(registry)
    late = DueSchedule("s", 1, found.from_ms, found.from_ms, found.rule).plan()
    await registry.pause_schedule("s")
    paused = await stored(registry)
    (ticked,) = await registry.submit_ticks([late])
    assert ticked.is_stale
    after = await stored(registry)
    assert msgspec.structs.replace(after, now_ms=paused.now_ms) == paused
    assert paused.due_at_ms is None


async def test_a_schedule_that_is_run_by_hand_makes_a_process_beside_its_ticks(
    registry: ProcessRegistry, client: Any
) -> None:
    """Also while it is paused."""
    await declare(registry, declared(rule=ScheduleRule(f"every {HOUR_MS}")))
    await registry.pause_schedule("s")
    process_id = await registry.run_schedule("s")
    assert process_id.startswith("s::run-")
    assert (await begun(registry, process_id, ADA)).process_id == process_id
    assert await ticks_of(client, registry) == []


async def test_a_process_says_of_which_schedule_it_is(registry: ProcessRegistry, client: Any) -> None:
    """And of which instant, as the clocks of its zone show it. Another process whose id looks the same is of none."""
    names = [*(f"s{number}" for number in range(12)), "t"]
    rule = ScheduleRule("cron 30 3 * * *", "Europe/Berlin", late_after_ms=7 * 24 * HOUR_MS)
    await declare(registry, declared("s", rule=rule), *(declared(name) for name in names))
    await let_pass(client, registry, ms=30 * HOUR_MS)
    (ticked,) = await tick(registry)
    instant = ticked.plan.submitted[0]
    found = (await explain(registry, f"s::{instant}")).schedule
    assert found is not None
    assert (found.name, found.instant_ms) == ("s", instant)
    assert re.fullmatch(r"\w{3} \d{4}-\d\d-\d\d 03:30:00 CES?T", found.instant)
    assert (await explain(registry, await registry.run_schedule("s"))).schedule == ScheduleOf("s", None, "")
    assert [(await registry.schedule_named(each)) is not None for each in ("s", "s0", "s11", "t", "s12", "r", "u")] == [
        True, True, True, True, False, False, False,
    ]  # fmt: skip
    for process_id, task in (("s::7", "other"), ("u::7", "work"), ("s::x", "work"), ("plain", "work"), ("::7", "work")):
        await registry.register(work(process_id, task=task))
        assert (await explain(registry, process_id)).schedule is None, process_id
    await registry.register(work(f"s::{10**15 - 1}"))
    strange = (await explain(registry, f"s::{10**15 - 1}")).schedule
    assert strange is not None
    assert strange.instant == f"{10**15 - 1} ms since 1970"


async def test_a_removed_schedule_is_gone(registry: ProcessRegistry) -> None:
    """And whoever names it is told so."""
    await declare(registry, declared("s"), declared("t"))
    await registry.remove_schedule("s")
    assert [each.name for each in await registry.all_schedules()] == ["t"]
    for act in (
        registry.remove_schedule, registry.pause_schedule, registry.resume_schedule, registry.run_schedule,
    ):  # fmt: skip
        with pytest.raises(UnknownSchedule, match="schedule 's' is not stored"):
            await act("s")


async def test_the_ticks_of_many_schedules_are_sent_together(
    registry: ProcessRegistry, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bounded calls; each schedule gets its own answer."""
    monkeypatch.setattr(ticks, "_TICK_BATCH", 4)
    names = [f"s{number}" for number in range(7)]
    await declare(registry, *(declared(name) for name in names))
    for name in names:
        await let_pass(client, registry, name, ms=3 * HOUR_MS // 2)
    due = [each for partition in range(registry.partitions) for each in (await registry.bring_due(partition)).schedules]
    assert {each.name for each in due} == set(names)
    ticked = await registry.submit_ticks([each.plan() for each in due])
    assert [each.plan.due.name for each in ticked] == [each.name for each in due]
    for each in ticked:
        assert await ticks_of(client, registry, each.plan.due.name) == each.plan.submitted


async def test_a_tick_that_a_full_queue_refuses_counts_as_submitted(registry: ProcessRegistry, client: Any) -> None:
    """It is told and counted, and does not come again; sent twice it answers the same."""
    await registry.bound_queue(QueueBound("default", registry.partitions))
    await declare(registry, declared())
    await let_pass(client, registry, ms=3 * HOUR_MS)
    plans = [each.plan() for each in await due_of(registry)]
    first, second = await registry.submit_ticks(plans), await registry.submit_ticks(plans)
    instants = plans[0].submitted
    assert first == second == [Ticked(plans[0], instants[1:])]
    assert await ticks_of(client, registry) == instants[:1]
    found = await stored(registry)
    assert (found.refused, found.last_refused_ms) == (len(instants) - 1, instants[-1])


async def test_a_tick_that_nobody_starts_expires(registry: ProcessRegistry, server: ServerTime, client: Any) -> None:
    """Its time counts from its submit. So ticks of a task that no worker has are few, though others submit them."""
    await declare(registry, declared("s", expires_in_ms=500))
    await server.pass_until(await server.now_ms() + 501)
    await let_pass(client, registry, ms=3 * HOUR_MS // 2)
    (ticked,) = await tick(registry)
    process_id = f"s::{ticked.plan.submitted[0]}"
    before = await record_of(registry, process_id)
    await server.pass_until((before.expires_at_ms or 0) + 1)
    await registry.bring_due(registry.partition_of("s"))

    assert before.phase is Phase.QUEUED
    assert (await record_of(registry, process_id)).outcome == Cancelled("expired")


async def test_the_times_of_a_night_are_seen_long_before_it(registry: ProcessRegistry) -> None:
    """From a moment on, as the clocks of the zone show it: that on which they go back has its tick once."""
    rule = ScheduleRule("cron 30 2 * * *", "Europe/Berlin")
    await declare(registry, declared("nightly", rule=rule), declared("hourly"))

    nights = await next_times(registry, "nightly", 3, dt.datetime.fromisoformat("2097-10-26"))
    hours = await next_times(registry, "hourly", 2, dt.datetime.fromisoformat("2097-10-26T01:00+02:00"))

    assert [each["text"] for each in nights] == [
        "Sat 2097-10-26 02:30:00 CEST",
        "Sun 2097-10-27 02:30:00 CEST",
        "Mon 2097-10-28 02:30:00 CET",
    ]
    assert [each["text"] for each in hours] == ["Fri 2097-10-25 23:00:00 UTC", "Sat 2097-10-26 00:00:00 UTC"]

"""What a worker does with schedules: it stores those of its code, and ticks whatever is due (rules 12.1 and 12.2)."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.app.lash import Lash
from lash_redis.core.current import current_process
from lash_redis.core.events import (
    Event,
    RowUnreadable,
    ScheduleDeclared,
    ScheduleDiffers,
    ScheduleNotTicked,
    ScheduleTicked,
    ScheduleUndeclared,
)
from lash_redis.core.schedules import DueSchedule, ScheduleRule
from lash_redis.core.subscribers import subscribed
from lash_redis.core.timing import boottime_ms
from lash_redis.registry import unreadable
from lash_redis.registry.keys import partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.scheduling import Scheduling
from tests.conformance.actors import BOB, batch_claim
from tests.conformance.test_schedules import HOUR_MS, HOURLY, declare, declared, let_pass, stored, ticks_of
from tests.services.conftest import Crew
from tests.support import wait_until


async def test_a_worker_ticks_what_its_code_declares(
    client: Any, namespace: str, registry: ProcessRegistry, crew: Crew
) -> None:
    """From its start on, and what was due meanwhile."""
    lash, ran, at = Lash(client, namespace, registry.partitions), list[str](), list[int | None]()

    @lash.task(recovery="rerunnable", name="report")
    async def report(what: str) -> None:
        ran.append(what)
        at.append(current_process().tick_ms)

    lash.schedule("nightly", report, ("sales",), every=3600, late_after=86_400)
    events: list[Event] = []
    with subscribed(events.append):
        async with crew.running(crew.worker(*lash.tasks, registry=registry)):  # type: ignore[arg-type]
            await wait_until(lambda: any(isinstance(each, ScheduleDeclared) for each in events), "it is stored")
            await registry.pause_schedule("nightly")  # what is due is ticked by now
            await registry.resume_schedule("nightly")
            await let_pass(client, registry, "nightly", ms=3 * HOUR_MS // 2)
            await registry.bring_due(registry.partition_of("nightly"))  # whoever was told is gone
            await let_pass(client, registry, "nightly", ms=3 * HOUR_MS // 2)
            await registry.run_schedule("nightly")  # which wakes the worker
            await wait_until(lambda: any(isinstance(each, ScheduleTicked) for each in events), "it is ticked")
            await wait_until(lambda: None in at and any(at), "the tick runs, and what was run by hand")
    assert set(ran) == {"sales"}
    assert {each for each in at if each} <= set(await ticks_of(client, registry, "nightly"))


async def test_one_pass_ticks_and_runs_what_is_due(
    client: Any, namespace: str, registry: ProcessRegistry, crew: Crew
) -> None:
    """There may be no other worker for the tick."""
    lash, ran = Lash(client, namespace, registry.partitions), list[int]()

    @lash.task(recovery="rerunnable", name="report")
    async def report() -> None:
        ran.append(1)

    lash.schedule("nightly", report, every=3600, late_after=86_400)
    worker = crew.worker(*lash.tasks, registry=registry)  # type: ignore[arg-type]
    await worker.drive_pending()
    await let_pass(client, registry, "nightly", ms=3 * HOUR_MS // 2)
    await worker.drive_pending()
    assert ran
    assert len(ran) == len(await ticks_of(client, registry, "nightly"))
    await worker.drain()


async def test_a_worker_marks_what_its_code_declares_no_more(registry: ProcessRegistry) -> None:
    """It ticks on, is told of once, and is unmarked by a worker that declares it."""
    await declare(registry, declared("s"), declared("other", task="of_others"))
    events: list[Event] = []
    with subscribed(events.append):
        for _ in range(2):
            await Scheduling(registry, [], {"work"}).reconcile()
    assert [each for each in events if isinstance(each, ScheduleUndeclared)] == [
        ScheduleUndeclared(schedule="s", task="work")
    ]
    assert (await stored(registry, "s")).undeclared_at_ms is not None
    assert (await stored(registry, "other")).undeclared_at_ms is None
    await Scheduling(registry, [declared("s")], {"work"}).reconcile()
    assert (await stored(registry, "s")).undeclared_at_ms is None


async def test_other_content_with_the_same_revision_is_told_as_an_error(registry: ProcessRegistry) -> None:
    """With the place in the code whose revision is to be raised."""
    await declare(registry, declared(rule=HOURLY))
    events: list[Event] = []
    with subscribed(events.append):
        await Scheduling(registry, [declared(rule=ScheduleRule("every 5000"))], {"work"}).reconcile()
    assert [each for each in events if isinstance(each, ScheduleDiffers)] == [
        ScheduleDiffers(schedule="s", revision=1, location="app.py:1")
    ]


async def test_what_cannot_be_computed_here_stops_nothing_else(registry: ProcessRegistry, client: Any) -> None:
    """It is told, and left to a worker that can."""
    await declare(registry, declared("s"))
    await let_pass(client, registry, ms=3 * HOUR_MS // 2)
    claim = batch_claim(registry, BOB, count=0, partition=registry.partition_of("s"))
    due = (await registry.claim_next(claim)).schedules
    unknown = DueSchedule("t", 1, 0, 1, ScheduleRule("cron 0 3 * * *", "Mars/Base"))
    events: list[Event] = []
    with subscribed(events.append):
        assert await Scheduling(registry, [], ()).tick([unknown, *due])
    assert [type(each) for each in events[:2]] == [ScheduleNotTicked, ScheduleTicked]
    assert await ticks_of(client, registry)


# A field of a schedule, what this machine or this release cannot read there, and how that is told.
STRANGE = {"zo": ("Mars/Base", ScheduleNotTicked), "la": ("soon", RowUnreadable)}


@pytest.mark.parametrize("field", STRANGE)
async def test_what_cannot_be_computed_here_holds_up_no_other_declaration(
    registry: ProcessRegistry, client: Any, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays as it is. A worker looks at all other schedules all the same."""
    monkeypatch.setattr(unreadable, "_told", set())
    value, said = STRANGE[field]
    await declare(registry, declared("s"), declared("gone"))
    await let_pass(client, registry, ms=3 * HOUR_MS // 2)
    k = partition_prefix(registry.namespace, registry.partition_of("s"))
    await client.hset(f"{k}:schedule:s", field, value)
    events: list[Event] = []
    with subscribed(events.append):
        await Scheduling(registry, [declared("s", 2), declared("t")], {"work"}).reconcile()
    assert {type(each) for each in events} == {said, ScheduleDeclared, ScheduleUndeclared}
    assert sum(isinstance(each, RowUnreadable) for each in events) == (said is RowUnreadable), "it is told once"
    assert [each.schedule for each in events if isinstance(each, ScheduleDeclared)] == ["t"]
    assert await client.hget(f"{k}:schedule:s", "rv") == b"1"


async def test_a_worker_sets_back_what_a_clock_that_was_ahead_set_too_late(
    registry: ProcessRegistry, client: Any
) -> None:
    """At its start, and when it sees that the clock stepped back."""
    await declare(registry, declared())
    found = await stored(registry)
    for set_back in (Scheduling(registry, [], ()).reconcile, Scheduling(registry, [], ()).set_back):
        far = DueSchedule("s", 1, (await stored(registry)).from_ms, found.now_ms + 86_400_000, HOURLY).plan()
        await registry.submit_ticks([far])
        ahead = await stored(registry)
        assert ahead.due_at_ms is not None
        assert ahead.due_at_ms > ahead.now_ms + 80_000_000
        await set_back()
        back = await stored(registry)
        assert back.due_at_ms is not None
        assert back.due_at_ms <= back.now_ms + HOUR_MS


async def test_a_clock_that_stepped_back_is_seen_in_an_answer(registry: ProcessRegistry) -> None:
    """By more than a minute, in one step or in several: less leaves no tick out. Nor is a slow answer or a step on."""
    scheduling, begin = Scheduling(registry, [], ()), boottime_ms()
    at_ms = 1_700_000_000_000
    assert not scheduling.has_stepped_back(at_ms, begin)
    assert not scheduling.has_stepped_back(0, begin)
    assert not scheduling.has_stepped_back(at_ms + 3_600_000, begin)
    assert not scheduling.has_stepped_back(at_ms + 3_600_000 - 50_000, begin)
    assert not scheduling.has_stepped_back(at_ms + 3_600_000 - 70_000, begin - 20_000)
    assert scheduling.has_stepped_back(at_ms + 3_600_000 - 70_000, begin)
    assert scheduling.has_stepped_back(at_ms, begin)
    assert not scheduling.has_stepped_back(at_ms, begin)

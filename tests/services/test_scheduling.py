"""What a worker does with schedules: it stores those of its code, and ticks whatever is due (rules 12.1 and 12.2)."""

from __future__ import annotations

import random
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
from lash_redis.core.schedules import DueSchedule, ScheduleRule, TickPlan
from lash_redis.core.subscribers import subscribed
from lash_redis.core.timing import boottime_ms
from lash_redis.registry import unreadable
from lash_redis.registry.keys import partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.scheduling import Scheduling
from tests.conformance.actors import ADA, BOB, CYD, batch_claim
from tests.conformance.test_schedules import HOUR_MS, HOURLY, declare, declared, let_pass, stored, ticks_of
from tests.services.conftest import Crew
from tests.support import ManualClock, wait_until


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


class Chaos:
    """One schedule in a namespace where everything goes wrong, by a clock that a test moves.

    Attributes:
        submitted: the instants of which a process was made, in their order, each as often as that happened.
    """

    RULE = ScheduleRule("every 7000", missed="all:100", late_after_ms=60_000)

    def __init__(self, registry: ProcessRegistry, client: Any, clock: ManualClock, seed: int) -> None:
        self._registry, self._client, self._clock = registry, client, clock
        self._chance = random.Random(seed)
        self._partition = registry.partition_of("s")
        self._plans: list[TickPlan] = []  # that somebody computed, and sends again or late, or never
        self._revision, self._is_paused = 1, False
        self.submitted: list[int] = []

    async def step(self) -> None:
        """Do one thing, and forget the processes that it made, as if they had been pruned."""
        acts = (self.time_passes, self.work, self.work, self.die_with_it, self.send_late, self.step_back, self.change)
        await self._chance.choice((*acts, self.jump_ahead, self.pause_or_resume))()
        k = partition_prefix(self._registry.namespace, self._partition)
        for instant in await ticks_of(self._client, self._registry):
            self.submitted.append(instant)
            await self._client.delete(f"{k}:p:s::{instant}")
        await self._client.delete(f"{k}:q:default|work|")
        await self._client.zrem(f"{k}:lanes", "default|work|")

    async def time_passes(self) -> None:
        """Let some seconds pass."""
        self._clock.advance(self._chance.randrange(9_000))

    async def jump_ahead(self) -> None:
        """Jump as a clock that is set does, or a server that was down."""
        self._clock.advance(self._chance.randrange(200_000))

    async def step_back(self) -> None:
        """Step back, which a worker sees."""
        self._clock.advance(-self._chance.randrange(200_000))
        await Scheduling(self._registry, [], ()).set_back()

    async def die_with_it(self) -> None:
        """Be told of what is due, and compute it."""
        owner = self._chance.choice([ADA, BOB, CYD])
        batch = await self._registry.claim_next(batch_claim(self._registry, owner, count=0, partition=self._partition))
        self._plans += [each.plan() for each in batch.schedules]

    async def work(self) -> None:
        """Do the same, and live on."""
        known = len(self._plans)
        await self.die_with_it()
        await self._registry.submit_ticks(self._plans[known:])

    async def send_late(self) -> None:
        """Send what was sent before, or by nobody."""
        if self._plans:
            await self._registry.submit_ticks([self._chance.choice(self._plans)])

    async def change(self) -> None:
        """Start a release with a higher revision."""
        self._revision += 1
        await self._registry.declare_schedules([declared(revision=self._revision, rule=self.RULE)])

    async def pause_or_resume(self) -> None:
        """Do each by turns."""
        self._is_paused = not self._is_paused
        await (self._registry.pause_schedule if self._is_paused else self._registry.resume_schedule)("s")

    async def calm_down(self) -> range:
        """Let a clock that runs, and one worker, be all there is for some minutes; return the instants of that time."""
        if self._is_paused:
            await self.pause_or_resume()
        await self.work()
        await Scheduling(self._registry, [], ()).set_back()
        k = partition_prefix(self._registry.namespace, self._partition)
        remembered = [int(each) for each in await self._client.zrange(f"{k}:ticks:s", 0, -1)]
        # What is older than all that can be remembered counts as submitted, since it may have been.
        begin_ms = max(self._clock.now_ms, remembered[0] if len(remembered) == 100 else 0)
        for _ in range(60):
            self._clock.advance(5_100)
            await self.work()
        for instant in await ticks_of(self._client, self._registry):
            self.submitted.append(instant)
        assert len(remembered) <= 100
        return range(-(-(begin_ms + 1) // 7_000) * 7_000, self._clock.now_ms - 5_100, 7_000)


@pytest.mark.parametrize("seed", range(2))
async def test_each_tick_is_submitted_once_whatever_happens(
    backend: Any, registry: ProcessRegistry, client: Any, seed: int
) -> None:
    """Workers that die with what they were told, ticks sent again and late, a clock that jumps, pauses and changes."""
    if not backend.is_fake:
        pytest.skip("the clock of a real server stays as it is")
    await declare(registry, declared(rule=Chaos.RULE))
    chaos = Chaos(registry, client, backend.clock, seed)
    for _ in range(200):
        await chaos.step()
    instants = await chaos.calm_down()
    assert len(chaos.submitted) == len(set(chaos.submitted)) > 20, "each once"
    assert all(each % 7_000 == 0 for each in chaos.submitted)
    assert set(instants) <= set(chaos.submitted), "and none is left out"

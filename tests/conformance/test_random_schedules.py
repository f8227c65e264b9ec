"""A schedule at random: workers that die, calls that are lost, late, repeated and refused, and clocks that are set.

The clock of a real server is not ours. So time passes here in that all times which a server keeps of the schedule are
moved back, and a clock is set back in that they are moved forward. A *moment* is the server's time and all of that.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from lash_redis.core.bounds import QueueBound
from lash_redis.core.cron import Times
from lash_redis.core.schedules import ScheduleRule, TickPlan
from lash_redis.registry.calls.bulk import cancel_call
from lash_redis.registry.calls.forgetting import prune_page
from lash_redis.registry.keys import partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.scheduling import Scheduling
from tests.conformance.actors import ADA, BOB, CYD, batch_claim
from tests.conformance.test_schedules import declared, stored
from tests.soundness import assert_sound

STEPS = 500
EVERY_MS = 3_000
RULE = ScheduleRule(f"every {EVERY_MS}", missed="all:100", late_after_ms=60_000)


class Chaos:
    """One schedule in a namespace where everything goes wrong.

    Attributes:
        submitted: the moments of which a process was made, each as often as that happened.
        refused: those that a full queue refused, which count as submitted.
    """

    def __init__(self, registry: ProcessRegistry, client: Any, seed: int) -> None:
        self._registry, self._client, self._chance = registry, client, random.Random(seed)
        self._partition = registry.partition_of("s")
        self._k = partition_prefix(registry.namespace, self._partition)
        self._plans: list[TickPlan] = []  # that somebody computed, and sends again or late, or never
        self._revision, self._bounds, self._is_paused = 1, 0, False
        self._passed_ms = 0
        self.submitted: list[int] = []
        self.refused: set[int] = set()

    async def step(self) -> None:
        """Do one thing, and forget the processes that it made."""
        acts = (self.time_passes, self.work, self.work, self.work, self.die_with_it, self.send_late, self.step_back)
        await self._chance.choice((*acts, self.change, self.jump_ahead, self.pause_or_resume, self.bound, self.bound))()
        await self.collect()

    async def pass_by(self, ms: int) -> None:
        """Let so much time pass, a multiple of the interval; or set the clock back."""
        key, ticks = f"{self._k}:schedule:s", f"{self._k}:ticks:s"
        times = dict(zip(("fr", "du", "lr"), await self._client.hmget(key, "fr", "du", "lr"), strict=True))
        moved = {field: moved_back(value.decode(), ms) for field, value in times.items() if value}
        instants = {int(each) - ms for each in await self._client.zrange(ticks, 0, -1)}
        async with self._client.pipeline(transaction=True) as pipeline:
            if moved:
                pipeline.hset(key, mapping=moved)
            pipeline.delete(ticks)
            if instants:
                pipeline.zadd(ticks, {str(each): each for each in instants})
            pipeline.zadd(f"{self._k}:alarms", {"tick s": -ms}, xx=True, incr=True)
            pipeline.hset(f"{self._k}:hdr", "due", 1)
            await pipeline.execute()
        self._plans = [plan_before(each, ms) for each in self._plans]
        self._passed_ms += ms

    async def collect(self) -> None:
        """Note which processes there are, end them and forget them."""
        ids = [each.decode() for each in await self._client.zrange(f"{self._k}:q:default|work|", 0, -1)]
        if ids:
            self.submitted += [int(each.rpartition("::")[2]) + self._passed_ms for each in ids]
            await self._registry.sender.send(cancel_call(b"request", self._partition, ids))
            assert await self._registry.sender.send(prune_page(self._partition, 2**52, "")) == (len(ids), 0)

    async def time_passes(self) -> None:
        """Let some seconds pass."""
        await self.pass_by(EVERY_MS * self._chance.randrange(4))

    async def jump_ahead(self) -> None:
        """Jump as a clock that is set does, or a server that was down."""
        await self.pass_by(EVERY_MS * self._chance.randrange(70))

    async def step_back(self) -> None:
        """Step back, which a worker sees."""
        await self.pass_by(-EVERY_MS * self._chance.randrange(40))
        await Scheduling(self._registry, [], ()).set_back()

    async def told(self) -> list[TickPlan]:
        """Be told of what is due, and compute it."""
        owner = self._chance.choice([ADA, BOB, CYD])
        batch = await self._registry.claim_next(batch_claim(self._registry, owner, count=0, partition=self._partition))
        return [each.plan() for each in batch.schedules]

    async def die_with_it(self) -> None:
        """Be told, and die; a network may keep the call."""
        self._plans += await self.told()

    async def work(self) -> None:
        """Be told, and submit it; the answer may be lost."""
        plans = await self.told()
        for _ in range(self._chance.choice([1, 1, 2])):
            await self.submit(plans)
        self._plans += plans

    async def send_late(self) -> None:
        """Send what was sent before, or by nobody."""
        if self._plans:
            await self.submit([self._chance.choice(self._plans)])

    async def submit(self, plans: Iterable[TickPlan]) -> None:
        """Submit, and note what was refused."""
        for ticked in await self._registry.submit_ticks(list(plans)):
            self.refused |= {each + self._passed_ms for each in ticked.refused}

    async def change(self) -> None:
        """Start a release with a higher revision, or one with a lower one, which changes nothing."""
        if self._chance.random() < 0.3:
            assert await self._registry.declare_schedules([declared(revision=self._revision, rule=RULE)]) == ["same"]
            return
        self._revision += 1
        await self._registry.declare_schedules([declared(revision=self._revision, rule=RULE)])

    async def pause_or_resume(self) -> None:
        """Do each by turns."""
        self._is_paused = not self._is_paused
        await (self._registry.pause_schedule if self._is_paused else self._registry.resume_schedule)("s")

    async def bound(self) -> None:
        """Bound the queue, or let it be as long as it may, by turns."""
        self._bounds += 1
        most = self._registry.partitions if self._bounds % 2 else None  # one in each
        await self._registry.bound_queue(QueueBound("default", most, self._bounds))

    async def moment(self) -> int:
        """Return what time it is."""
        return (await stored(self._registry)).now_ms + self._passed_ms

    async def calm_down(self) -> range:
        """Let time that passes, and one worker, be all there is for a while; return the moments that it must submit."""
        if self._is_paused:
            await self.pause_or_resume()
        if self._bounds % 2:
            await self.bound()
        await self.work()
        await Scheduling(self._registry, [], ()).set_back()
        remembered = [int(each) + self._passed_ms for each in await self._client.zrange(f"{self._k}:ticks:s", 0, -1)]
        assert len(remembered) <= 100
        # What is older than all that can be remembered counts as submitted, since it may have been.
        begin_ms = max(await self.moment(), remembered[0] if len(remembered) == 100 else 0)
        for _ in range(60):
            await self.collect()
            await self.pass_by(2 * EVERY_MS)  # more than a worker has that was told and died
            await self.work()
        await self.collect()
        end_ms = await self.moment() - 2 * EVERY_MS
        return range(-(-(begin_ms + 1) // EVERY_MS) * EVERY_MS, end_ms, EVERY_MS)


def moved_back(text: str, ms: int) -> str:
    """Return times in a text, parted by spaces, so much earlier."""
    return "".join(str(int(each) - ms) if each.isdecimal() else each for each in text.replace(" ", "| |").split("|"))


def plan_before(plan: TickPlan, ms: int) -> TickPlan:
    """Return a plan as if it had been made so much earlier."""
    due = msgspec.structs.replace(plan.due, from_ms=plan.due.from_ms - ms, now_ms=plan.due.now_ms - ms)
    next_ms = None if plan.next_ms is None else plan.next_ms - ms
    return TickPlan(due, [each - ms for each in plan.submitted], [each - ms for each in plan.missed], next_ms)


@pytest.mark.parametrize("seed", range(1, 3))
async def test_each_tick_is_submitted_once_whatever_happens(
    registry: ProcessRegistry, client: Any, namespace: str, seed: int
) -> None:
    """Also while a queue refuses some of them, and although what was submitted before is forgotten."""
    await registry.declare_schedules([declared(rule=RULE)])
    chaos = Chaos(registry, client, seed)
    for number in range(STEPS):
        await chaos.step()
        if number % 25 == 0:
            await assert_sound(client, namespace)
    moments = await chaos.calm_down()
    assert len(chaos.submitted) == len(set(chaos.submitted)) > 200, "each once"
    assert all(each % EVERY_MS == 0 for each in chaos.submitted)
    assert chaos.refused, "a queue was full"
    assert not chaos.refused & set(chaos.submitted), "what was refused does not come again"
    assert len(moments) > 20
    assert set(moments) <= set(chaos.submitted), "and none is left out"


@pytest.mark.parametrize("partitions", [1])
@pytest.mark.parametrize("backend", ["fakeredis"], indirect=True)  # the clock of a real server comes to no such night
@pytest.mark.parametrize("cron", ["30 2 * * *", "*/20 * * * *", "15,45 1,2,3 * * *"])
@pytest.mark.parametrize("night", ["2027-03-28", "2027-10-31"])  # clocks go forward, and back
async def test_a_night_on_which_clocks_change_has_each_tick_once(
    backend: Any, registry: ProcessRegistry, client: Any, cron: str, night: str
) -> None:
    """Whoever computes it: from each moment on the instants that follow are the same ones."""
    chance, zone = random.Random(f"{cron}{night}"), "Europe/Berlin"
    begin_ms = ms_of(night) - 3 * 3_600_000
    backend.clock.move_to(begin_ms)
    rule = ScheduleRule(f"cron {cron}", zone, "all:100", 86_400_000)
    await registry.declare_schedules([declared(rule=rule)])
    chaos = Chaos(registry, client, 0)
    late: list[TickPlan] = []
    furthest_ms = begin_ms
    while backend.clock.now_ms < begin_ms + 10 * 3_600_000:
        step_ms = chance.choice([60_000, 600_000, 1_500_000, -900_000])
        backend.clock.advance(step_ms if backend.clock.now_ms + step_ms > begin_ms else 60_000)
        furthest_ms = max(furthest_ms, backend.clock.now_ms)
        await Scheduling(registry, [], ()).set_back()
        plans = await chaos.told()
        if chance.random() < 0.6:
            await registry.submit_ticks(plans)
        late += plans
        if late and chance.random() < 0.3:
            await registry.submit_ticks([chance.choice(late)])
        await chaos.collect()
    for _ in range(2):
        backend.clock.move_to(furthest_ms + 10_000)  # more than a worker has that was told and died
        furthest_ms = backend.clock.now_ms
        await registry.submit_ticks(await chaos.told())
        await chaos.collect()
    following = Times(f"cron {cron}", zone).after(begin_ms)
    assert sorted(chaos.submitted) == [*itertools.takewhile(lambda each: each <= furthest_ms, following)]


def ms_of(day: str) -> int:
    """Return when a day begins in UTC."""
    return int(dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC).timestamp()) * 1000

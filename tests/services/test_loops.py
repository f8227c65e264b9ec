"""The loops of a worker, one step at a time, and how they are repeated."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import msgspec
import pytest

from lash_redis.core import timing
from lash_redis.core.errors import NamespaceMismatch, RegistryUnavailable, ScriptError, UnsafeServerError
from lash_redis.core.events import Event, WorkerFaulted, WorkerStoppedClaiming, WorkerUnavailable
from lash_redis.core.subscribers import subscribed
from lash_redis.recovery.sweep import Sweep
from lash_redis.registry.answers import BatchClaim
from lash_redis.registry.calls.glancing import Glance
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.changes import Changes
from lash_redis.worker.claimer import Claimer
from lash_redis.worker.identity import Identity
from lash_redis.worker.loops.checking_server import Checking
from lash_redis.worker.loops.loop import repeat
from lash_redis.worker.loops.polling import Polling
from lash_redis.worker.loops.sweeping import Sweeping
from lash_redis.worker.stillness import MOST_MS, Stillness
from tests.conformance.actors import CYD, OWNER_BOUND, begun, dead_owner, ids_of, local_owner, work
from tests.look import ended, record_of
from tests.services.benches import Bench
from tests.services.conftest import Crew
from tests.support import StillClock, wait_until


def remembered(claimer: Claimer) -> None:
    """Have every partition remember a claim that was sent now."""
    for partition in range(2):
        claim = BatchClaim(partition, CYD, 1, 1, 1_000, claimer.served)
        claimer.remembering.answered(claim, timing.boottime_ms())


STILL = Glance(work=False, holders=True, lapsed=True, asked=True)


async def test_a_step_of_sweeping_is_one_pass(registry: ProcessRegistry) -> None:
    """What a dead owner had started is settled by it."""
    await registry.register(work("p", OWNER_BOUND))
    await begun(registry, "p", dead_owner())
    me = local_owner()
    await Sweeping(Sweep(registry, me), Identity(me), 1_000).step()
    assert (await record_of(registry, "p")).is_terminal


async def test_a_step_of_polling_asks_every_partition_again(registry: ProcessRegistry, crew: Crew) -> None:
    """The claims that follow find what a lost wake-up was about."""
    worker = crew.worker(registry=registry)
    claimer = worker.probe.in_flight.claimer
    claimer.may_have_more.clear()
    changes = worker.probe.changes
    await Polling(registry, claimer, changes, Stillness(claimer, changes, 1_000), 1_000).step()
    assert claimer.may_have_more == set(range(registry.partitions))


async def test_a_step_of_checking_stops_the_claims_while_the_server_is_unsafe(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that evicts may lose leases; once it is safe again the claims go on."""
    worker = crew.worker(registry=registry)
    checking = Checking(registry, worker.probe.claiming)
    answers: list[Exception | None] = [UnsafeServerError("it evicts keys"), None]

    async def judged() -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    monkeypatch.setattr(registry, "check_server", judged)
    await checking.step()
    assert not worker.probe.claiming.may_claim
    await checking.step()
    assert worker.probe.claiming.may_claim


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (RegistryUnavailable("fail", "gone", maybe_applied=False), WorkerUnavailable),
        (TimeoutError("no answer in time"), WorkerUnavailable),
        (NamespaceMismatch("the header is gone"), WorkerUnavailable),
        (ScriptError("unexpected"), WorkerFaulted),
        (KeyError("an unknown place"), WorkerFaulted),
    ],
    ids=["outage", "time-out", "other namespace", "bad reply", "bug"],
)
async def test_no_error_ends_a_loop(error: Exception, event: type[WorkerUnavailable | WorkerFaulted]) -> None:
    """An outage, a partition that is not what it was, a reply that nobody understands: told as what it is."""
    steps = 0
    seen: list[Event] = []

    class Failing:
        operation, every_s, spread = "fail", 0.0, 0.0

        async def step(self) -> None:
            nonlocal steps
            steps += 1
            raise error

    with subscribed(seen.append):
        running = asyncio.create_task(repeat(Failing()))
        await wait_until(lambda: steps >= 4, "it has gone on")
        running.cancel()
        await asyncio.wait([running])
    assert len(seen) >= 3
    assert {(type(each), getattr(each, "operation", "")) for each in seen} == {(event, "fail")}


async def test_an_idle_worker_polls_before_it_is_listed_no_more(registry: ProcessRegistry, crew: Crew) -> None:
    """However long its ``poll_ms``: the list of idle workers forgets one that did not claim for a minute."""
    claimer = crew.worker(registry=registry).probe.in_flight.claimer
    loop = Polling(registry, claimer, Changes(), Stillness(claimer, Changes(), 3_600_000), 3_600_000)
    assert loop.every_s * (1 + loop.spread) < 60


@pytest.mark.parametrize("poll_ms", [20, 7_500, 15_000, 3_600_000])
async def test_where_nothing_waits_a_worker_polls_before_it_counts_as_gone(
    registry: ProcessRegistry, crew: Crew, poll_ms: int
) -> None:
    """However late the next slow poll comes. It leaves none out unless the sweeps see that nothing waits."""
    claimer = crew.worker(registry=registry).probe.in_flight.claimer
    stillness, clock = Stillness(claimer, Changes(), poll_ms), StillClock()
    loop = Polling(registry, claimer, Changes(), stillness, poll_ms)
    longest_ms, passed_ms = int(1000 * loop.every_s * (1 + loop.spread)), 0

    with timing.use(clock):
        remembered(claimer)
        assert not stillness.may_rest(0), "nobody has looked"
        stillness.glanced(0, STILL)
        while stillness.may_rest(0):
            clock.now_ms += longest_ms
            passed_ms += longest_ms
            assert not stillness.may_rest(0), "that was seen too long ago"
            stillness.glanced(0, STILL)
        assert passed_ms <= MOST_MS
        assert (passed_ms > 0) == (poll_ms < MOST_MS // 2)


async def test_a_poll_leaves_out_where_nothing_waits(registry: ProcessRegistry, crew: Crew) -> None:
    """And asks at once where a sweep sees that something does."""
    claimer = crew.worker(registry=registry).probe.in_flight.claimer
    stillness = Stillness(claimer, Changes(), 1_000)
    with timing.use(StillClock()):
        remembered(claimer)
        stillness.glanced(0, STILL)
        claimer.may_have_more.clear()
        await Polling(registry, claimer, Changes(), stillness, 1_000).step()
        assert claimer.may_have_more == {1}

        claimer.may_have_more.clear()
        for _ in range(2):  # it is said once
            stillness.glanced(0, msgspec.structs.replace(STILL, work=True))
        assert claimer.may_have_more == {0}
        claimer.may_have_more.clear()
        stillness.glanced(0, msgspec.structs.replace(STILL, work=True))
        assert claimer.may_have_more == set()
        assert not stillness.may_rest(0)


async def test_a_partition_that_is_not_what_it_was_is_said_once_and_the_others_go_on(
    registry: ProcessRegistry, crew: Crew, client: Any
) -> None:
    """Its header is gone: claims from it stop, and those from the other partition do not."""
    bench = Bench(is_open=True)
    worker = crew.worker(bench.task(), poll_ms=20)
    seen: list[Event] = []
    header = registry.target.namespace.header_key(1)
    kept = await client.hgetall(header)
    with subscribed(seen.append):
        async with crew.running(worker):
            await crew.at_rest(worker)
            await client.delete(header)
            await wait_until(lambda: _stopped(seen), "it is said")
            ids = ids_of(3, 0, registry.partitions)
            for each in ids:
                await registry.register(work(each, OWNER_BOUND, each))
                await ended(registry, each)
            await client.hset(header, mapping=kept)
            await wait_until(lambda: not worker.probe.claiming.refusals, "claims go on")
    assert [each.partition for each in _stopped(seen)] == [1]


def _stopped(events: list[Event]) -> list[WorkerStoppedClaiming]:
    return [each for each in events if isinstance(each, WorkerStoppedClaiming)]


async def test_claims_that_are_refused_come_ever_more_slowly(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often something changes meanwhile; each partition has its own wait, so that it holds up no other."""
    asked: list[int] = []

    async def refuses(claim: BatchClaim) -> None:
        asked.append(claim.partition)
        raise RegistryUnavailable("claim_next", "the server is at its maxmemory", maybe_applied=False)

    monkeypatch.setattr(registry, "claim_next", refuses)
    clock = StillClock()
    with timing.use(clock):
        worker = crew.worker(registry=registry)
        claiming, changes = worker.probe.claiming, worker.probe.changes
        worker.probe.in_flight.claimer.ask_all()
        for _ in range(100):
            changes.notify()
            await claiming.step()
        assert sorted(asked) == list(range(registry.partitions))
        clock.now_ms += 100
        for _ in range(100):
            changes.notify()
            await claiming.step()
        assert Counter(asked) == dict.fromkeys(range(registry.partitions), 2)


class TickingClock(StillClock):
    """A clock that goes on by 1 ms whenever it is read."""

    def boottime_ms(self) -> int:
        """Return the time, which is another each time."""
        self.now_ms += 1
        return self.now_ms


async def test_a_partition_that_falls_due_while_it_is_looked_for_is_asked(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not due when the partitions were asked, and it is once the wait is worked out: that wait is short."""
    waits: list[float | None] = []

    async def noted(seconds: float | None) -> None:
        waits.append(seconds)

    clock = TickingClock()
    with timing.use(clock):
        worker = crew.worker(registry=registry)
        claiming = worker.probe.claiming
        monkeypatch.setattr(worker.probe.changes, "wait", noted)
        monkeypatch.setattr(worker.probe.in_flight.claimer, "next_partition", lambda _, is_due: [None, is_due(0)][0])
        claiming._due_at_ms[0] = clock.now_ms + 2  # noqa: SLF001 - as a failed claim sets it
        await claiming.step()
        await claiming.step()
    assert waits == [0.001, None]


async def test_a_message_that_cannot_be_handled_costs_no_other(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wrote it: it is told, and the worker listens on."""
    bench = Bench(is_open=True)
    worker = crew.worker(bench.task())
    look = worker.probe.in_flight.serves

    def breaks(lane: str) -> bool:
        if "strange" in lane:
            raise ValueError(lane)
        return look(lane)

    monkeypatch.setattr(worker.probe.in_flight, "serves", breaks)
    seen: list[Event] = []
    with subscribed(seen.append):
        async with crew.running(worker):
            await crew.at_rest(worker)
            worker.probe.wake_ups.received(0, "lane strange|strange|")
            await registry.register(work("p", OWNER_BOUND, "p"))
            await ended(registry, "p")
    assert [each for each in seen if isinstance(each, WorkerFaulted)]

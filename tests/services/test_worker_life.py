"""A worker from its beginning to its end: what it leaves behind, which is nothing, and what it says when it breaks."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from lash_redis.core import timing
from lash_redis.core.errors import LashError, NamespaceMismatch, RecordedDead, RegistryUnavailable, ScriptError
from lash_redis.core.events import Event, WorkerFaulted, WorkerHasNoTasks, WorkerReady, WorkerRecordedDead
from lash_redis.core.model import DrainReport, Phase
from lash_redis.core.outcomes import Success
from lash_redis.core.subscribers import subscribed
from lash_redis.recovery.sweep import SweepReport
from lash_redis.registry.answers import BatchClaim, ClaimedBatch, Death
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.attempt import Attempt, Stop
from lash_redis.worker.loops.polling import Polling
from lash_redis.worker.worker import Worker
from tests.conformance.actors import OWNER_BOUND, RERUNNABLE, begun, dead_owner, ids_of, work
from tests.look import ended, is_in, outcomes, record_of
from tests.services.benches import Bench, PlainBench
from tests.services.conftest import NEVER_MS, Crew
from tests.support import wait_until


async def test_nothing_is_left_after_a_run(registry: ProcessRegistry, crew: Crew) -> None:
    """No asyncio task, no thread: the fixture looks at the end, after runs of both kinds and a drain."""
    bench, plain = Bench(), PlainBench()
    await registry.register_many([work("a", RERUNNABLE, "a"), work("b", RERUNNABLE, "b", task="plain")])
    async with crew.running(crew.worker(bench.task(), plain.task())):
        await wait_until(lambda: bench.begun and plain.begun, "both run")
        assert [thread.name for thread in threading.enumerate() if thread.name.startswith("lash-task")]


async def test_driving_pending_work_recovers_claims_once_and_returns_when_it_has_ended(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """It sweeps every partition, then claims once from each."""
    bench = Bench(is_open=True)
    worker = crew.worker(bench.task(), concurrency=2)
    for partition in range(registry.partitions):
        lost, *more = ids_of(4, partition, registry.partitions)
        await registry.register(work(lost, RERUNNABLE, lost))
        await begun(registry, lost, dead_owner())
        await registry.register_many([work(each, RERUNNABLE, each) for each in more])

    assert await worker.drive_pending() == SweepReport(requeued=registry.partitions)

    assert len(bench.begun) == 2 * registry.partitions
    for partition in range(registry.partitions):
        lost, one, *others = ids_of(4, partition, registry.partitions)
        assert await outcomes(registry, lost, one) == [Success(f"{lost} done"), Success(f"{one} done")]
        assert {(await record_of(registry, each)).phase for each in others} == {Phase.QUEUED}


async def test_driving_pending_work_over_and_over_leaves_nothing(registry: ProcessRegistry, crew: Crew) -> None:
    """Plain work too, whose threads come and go each time."""
    plain = PlainBench()
    worker = crew.worker(plain.task())
    for number in range(5):
        name = f"p{number}"
        plain.let_go(name)
        await registry.register(work(name, RERUNNABLE, name, task="plain"))
        await worker.drive_pending()
        await ended(registry, name)
    assert plain.begun == [f"p{number}" for number in range(5)]


async def test_what_was_claimed_has_ended_when_driving_fails(registry: ProcessRegistry, crew: Crew) -> None:
    """The claim from the second partition is not answered; the work of the first is not left running alone."""
    bench = Bench(is_open=True)
    here = ids_of(1, 0, registry.partitions)[0]
    await registry.register(work(here, RERUNNABLE, here))
    worker = crew.worker(bench.task())
    claim, asked = worker.probe.in_flight.claimer.claim, 0

    async def second_fails(partition: int, count: int, *, once: bool = False) -> Any:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise RegistryUnavailable("claim_next", "a fault", maybe_applied=False)
        return await claim(partition, count, once=once)

    worker.probe.in_flight.claimer.claim = second_fails  # type: ignore[method-assign]
    with pytest.raises(RegistryUnavailable):
        await worker.drive_pending()
    assert (await record_of(registry, here)).outcome == Success(f"{here} done")


async def test_a_bug_in_a_loop_is_told_and_ends_nothing(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At level ERROR, with its traceback once; what runs goes on, and so do the claims."""
    bench = Bench(is_open=True)
    worker = crew.worker(bench.task(), sweep_ms=10)
    seen: list[Event] = []

    async def broken() -> SweepReport:
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setattr(worker.probe.sweep, "run_once", broken)
    with subscribed(seen.append):
        async with crew.running(worker):
            await wait_until(lambda: len(_faults_in(seen)) >= 3, "the loop has gone on")
            await registry.register(work("p", RERUNNABLE, "p"))
            await ended(registry, "p")
    faults = _faults_in(seen)
    assert {(each.operation, each.error) for each in faults} == {("sweep", "ZeroDivisionError: a bug of ours")}
    assert [bool(each.traceback) for each in faults[:3]] == [True, False, False]
    assert {each.level for each in faults} == {logging.ERROR}


async def test_a_bug_in_the_claims_is_told_and_ends_nothing(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same claim is sent again, and what it hands out runs."""
    bench = Bench(is_open=True)
    worker = crew.worker(bench.task())
    claim, asked = worker.registry.claim_next, 0

    async def broken(batch: BatchClaim) -> ClaimedBatch:
        nonlocal asked
        asked += 1
        answer = await claim(batch)
        if asked <= 3:
            raise ZeroDivisionError("a bug of ours")
        return answer

    monkeypatch.setattr(worker.registry, "claim_next", broken)
    await registry.register(work("p", OWNER_BOUND, "p"))
    async with crew.running(worker):
        await ended(registry, "p")
    assert bench.begun == ["p"]


@pytest.mark.parametrize("error", [ScriptError("unexpected reply"), LashError("refused"), ZeroDivisionError("a bug")])
@pytest.mark.parametrize("method", ["run", "drive_pending"])
async def test_a_result_is_kept_whatever_the_answer_to_its_write(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch, method: str, error: Exception
) -> None:
    """No error ends what writes results: it is sent until it is answered."""
    bench = Bench(is_open=True)
    worker = crew.worker(bench.task())
    write, asked = worker.registry.terminalize_many, 0

    async def broken(*facts: Any, **options: Any) -> list[str]:
        nonlocal asked
        asked += 1
        if asked <= 4:
            raise error
        return await write(*facts, **options)

    monkeypatch.setattr(worker.registry, "terminalize_many", broken)
    await registry.register(work("p", OWNER_BOUND, "p"))
    working = asyncio.create_task(getattr(worker, method)())
    assert (await ended(registry, "p")).outcome == Success("p done")
    await worker.drain()
    await working


def _faults_in(events: list[Event]) -> list[WorkerFaulted]:
    return [each for each in events if isinstance(each, WorkerFaulted)]


async def test_a_namespace_that_is_gone_stops_the_claims_and_hurries_nobody(
    registry: ProcessRegistry, crew: Crew, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said once, looked at again with each poll; claims go on when the header is back."""
    bench = Bench(is_open=True)
    worker = crew.worker(bench.task(), poll_ms=100)
    faults, polls, poll = crew.faults_of(worker), list[int](), Polling.step

    async def noted(polling: Polling) -> None:
        polls.append(1)
        await poll(polling)

    monkeypatch.setattr(Polling, "step", noted)
    async with crew.running(worker):
        await crew.at_rest(worker)
        headers = {key: await client.hgetall(key) async for key in client.scan_iter("*}:hdr")}
        headers = {key: value for key, value in headers.items() if registry.namespace.encode() in key}
        await client.delete(*headers)
        await wait_until(lambda: len(worker.probe.claiming.refusals) == 2, "it has stopped claiming")
        faults.sent.clear()
        polls.clear()
        await wait_until(lambda: faults.sent["claim_next"] >= 4, "it looks again")
        # One poll may have come before the notes were thrown away, and its claims after it.
        assert faults.sent["claim_next"] <= registry.partitions * (len(polls) + 1)
        with pytest.raises(NamespaceMismatch):
            await registry.register(work("q", RERUNNABLE, "q"))
        for key, value in headers.items():
            await client.hset(key, mapping=value)
        await registry.register(work("p", RERUNNABLE, "p"))
        await ended(registry, "p")


async def test_a_worker_made_long_before_it_runs_claims_at_once(registry: ProcessRegistry, crew: Crew) -> None:
    """Its renewals are not overdue before it began to renew."""

    class Later(timing.Clock):
        def boottime_ms(self) -> int:
            return super().boottime_ms() + 3_600_000

    bench = Bench(is_open=True)
    worker = crew.worker(bench.task(), lease_ttl_ms=NEVER_MS)
    await registry.register(work("p", RERUNNABLE, "p"))
    with timing.use(Later()):
        async with crew.running(worker):
            await ended(registry, "p")


async def test_a_worker_without_tasks_says_so(registry: ProcessRegistry, crew: Crew) -> None:
    """``Worker(lash.registry)`` without ``tasks=`` would be ready, and leave all work queued in silence."""
    events: list[Event] = []
    with subscribed(events.append):
        async with crew.running(crew.worker(Bench().task())), crew.running(crew.worker()):
            await wait_until(lambda: sum(isinstance(each, WorkerReady) for each in events) == 2, "both are ready")

    assert sum(isinstance(each, WorkerHasNoTasks) for each in events) == 1


async def test_work_is_never_run_twice_at_once_in_one_worker(registry: ProcessRegistry, crew: Crew) -> None:
    """A row that comes back while its old run has not ended waits for that end."""
    bench = Bench()
    bench.stays.add("p")
    async with crew.at_work(bench) as worker:
        await _come_back(registry, worker)
        assert bench.begun == ["p"]
        bench.let_go("p")
        assert await outcomes(registry, "p") == [Success("p done")]
    assert bench.begun == ["p"], "what returned all the same is its result: nothing has to run twice"


async def test_work_that_does_not_stop_keeps_its_slot(registry: ProcessRegistry, crew: Crew) -> None:
    """Whatever was asked of it, its code still runs here: the next is begun once it has ended."""
    bench = Bench()
    worker = crew.worker(bench.task(), concurrency=1)
    bench.stays.add("deaf")
    await registry.register(work("deaf", RERUNNABLE, "deaf"))
    async with crew.running(worker):
        await wait_until(lambda: bench.begun == ["deaf"], "it runs")
        await registry.register(work("next", RERUNNABLE, "next"))
        attempt = worker.probe.attempt("deaf")
        assert attempt is not None
        attempt.ask_to_stop(Stop.TRUST)
        await wait_until(lambda: bench.stopped == ["deaf"], "it was asked to stop")
        running = worker.probe.running
        bench.let_go("deaf")
        assert running == 1
        await wait_until(lambda: bench.begun == ["deaf", "next"], "its slot is free")
        bench.let_go("next")
        await ended(registry, "next")


async def test_what_came_back_runs_once_its_old_run_was_stopped(registry: ProcessRegistry, crew: Crew) -> None:
    """The old run gave nothing; the new one is begun then."""
    bench = Bench()
    bench.stays.add("p")
    async with crew.at_work(bench) as worker:
        attempt = await _come_back(registry, worker)
        bench.stays.clear()
        assert attempt.interrupt is not None
        attempt.interrupt()
        await wait_until(lambda: bench.begun == ["p", "p"], "it runs again")
        bench.let_go("p")
        await ended(registry, "p")


async def test_a_drain_begins_nothing_after_its_grace(registry: ProcessRegistry, crew: Crew) -> None:
    """What came back and waits for its old run to end is given back when the drain stops that one."""
    bench = Bench()
    bench.stays.add("p")
    async with crew.at_work(bench) as worker:
        await _come_back(registry, worker)
        bench.stays.clear()
        report = await worker.drain()
    assert report.deferred == []
    assert bench.begun == ["p"]
    await is_in(registry, "p", Phase.QUEUED)


async def _come_back(registry: ProcessRegistry, worker: Worker) -> Attempt:
    """Let the lease of ``p`` end under a run that does not stop, as an outage does, and its worker claim it again."""
    attempt = worker.probe.attempt("p")
    assert attempt is not None
    attempt.ask_to_stop(Stop.TRUST)
    await registry.release(attempt.lease)
    await wait_until(lambda: worker.probe.in_flight.waiting, "it came back")
    return attempt


async def test_a_run_that_is_cancelled_leaves_no_work_running(registry: ProcessRegistry, crew: Crew) -> None:
    """Whoever cancels ``run`` gets no drain; but nothing runs on without leases that are kept."""
    bench, plain = Bench(), PlainBench()
    worker = crew.worker(bench.task(), plain.task())
    await registry.register_many([work("a", RERUNNABLE, "a"), work("b", RERUNNABLE, "b", task="plain")])
    run = asyncio.create_task(worker.run())
    await wait_until(lambda: bench.begun and plain.begun, "both run")
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await wait_until(lambda: bench.stopped and plain.stopped, "both are stopped")


@pytest.mark.parametrize("cancels", [2, 5])
async def test_a_run_that_is_cancelled_again_while_it_stops_leaves_nothing(
    registry: ProcessRegistry, crew: Crew, cancels: int
) -> None:
    """Its services stop all the same, the renewal last: no thread, no asyncio task, no lease that is renewed."""
    bench = Bench()
    worker = crew.worker(bench.task(), lease_ttl_ms=1_000)
    faults = crew.faults_of(worker)
    await registry.register(work("p", RERUNNABLE, "p"))
    before = asyncio.all_tasks()
    run = asyncio.create_task(worker.run())
    await wait_until(lambda: bench.begun, "it runs")
    late = faults.delay_reply("release")  # which the outbox sends as it stops
    for _ in range(cancels):
        run.cancel()
        await asyncio.wait([run], timeout=0)
    with pytest.raises(asyncio.CancelledError):
        await run
    late.arrive()
    await wait_until(lambda: not _renewing(), "no thread renews")
    await wait_until(lambda: asyncio.all_tasks() <= before, "no asyncio task is left")


def _renewing() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "lash-renewal"]


async def test_drive_pending_begins_nothing_once_a_drain_began(registry: ProcessRegistry, crew: Crew) -> None:
    """It waits for a free slot when the drain begins: the drain ends what runs, and nothing else is begun."""
    bound = Bench()
    worker = crew.worker(bound.task("owner_bound"), concurrency=1)
    first, second = (ids_of(1, partition, registry.partitions)[0] for partition in range(2))
    await registry.register_many([work(first, OWNER_BOUND, first), work(second, OWNER_BOUND, second)])
    driving = asyncio.create_task(worker.drive_pending())
    await wait_until(lambda: bound.begun == [first], "the first runs")
    report = await worker.drain()
    await driving
    assert report.abandoned == [first]
    assert bound.begun == [first]
    assert (await record_of(registry, second)).phase is Phase.QUEUED
    await worker.drive_pending()
    assert bound.begun == [first], "it has left"


async def test_a_living_worker_that_is_recorded_dead_says_so_and_leaves(registry: ProcessRegistry, crew: Crew) -> None:
    """It is told, and its claims are stale for ever: it drains in order, and ``run`` ends with a fault."""
    bound = Bench()
    worker = crew.worker(bound.task("owner_bound"), poll_ms=NEVER_MS)
    seen: list[Event] = []
    await registry.register(work("p", OWNER_BOUND, "p"))
    with subscribed(seen.append):
        run = asyncio.create_task(worker.run())
        await wait_until(lambda: bound.begun, "it runs")
        await registry.record_death(worker.owner, Death("exit status 9", "ada"))
        with pytest.raises(RecordedDead, match=worker.owner.incarnation_id):
            await run
    (told,) = [each for each in seen if isinstance(each, WorkerRecordedDead)]
    assert (told.incarnation, told.level) == (worker.owner.incarnation_id, logging.ERROR)
    assert await worker.drain() == DrainReport(abandoned=["p"])


async def test_driving_pending_work_of_a_worker_that_is_recorded_dead_is_refused(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """It drains too, and claims no more."""
    worker = crew.worker(Bench().task())
    await registry.record_death(worker.owner, Death("exit status 9", "ada"))
    with pytest.raises(RecordedDead):
        await worker.drive_pending()
    assert worker.is_draining

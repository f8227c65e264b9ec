"""A drain, phase by phase: what it ends, what it gives back, what it leaves alone, and what it reports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lash_redis.core.events import Event, WorkerDraining
from lash_redis.core.lanes import lane
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Deferred, DrainReport, Phase, ProcessStarted, ProcessStatus
from lash_redis.core.outcomes import AbandonWriter, Cancelled, Success
from lash_redis.core.subscribers import subscribed
from lash_redis.core.timing import boottime_ms
from lash_redis.recovery.leftovers import STILL_RUNNING
from lash_redis.recovery.sweep import Sweep
from lash_redis.registry.answers import RenewedRow
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.lease_keeper import Renewal
from lash_redis.worker.worker import Worker
from tests.conformance.actors import (
    ADA,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    batch_claim,
    begun,
    cancel,
    held,
    ids_of,
    outside,
    work,
)
from tests.conftest import ServerTime
from tests.look import evidence, is_in, lease_of, outcomes, record_of
from tests.proxy import Proxy
from tests.services.benches import Bench, PlainBench
from tests.services.conftest import Crew
from tests.support import wait_until

BOUND = "owner_bound"

Draining = tuple[Worker, asyncio.Task[DrainReport]]


async def test_a_drain_terminalizes_exactly_what_this_owner_started(registry: ProcessRegistry, crew: Crew) -> None:
    """owner_drain, with that owner as evidence; everything else is left as it was, or given back."""
    bench, bound = Bench(), Bench()
    worker = crew.worker(bench.task(), bound.task(BOUND, name="bound"), concurrency=3)
    await registry.register_many([work("theirs", OWNER_BOUND), work("mine", OWNER_BOUND, "mine", task="bound")])
    theirs = await begun(registry, "theirs", ADA)
    await registry.register_many(
        [work("again", RERUNNABLE, "again"), work("never", OWNER_BOUND, task="unknown"), outside("desk")]
    )
    async with crew.running(worker):
        await wait_until(lambda: len(bench.begun + bound.begun) == 2, "its own work has begun")
        before = {each: await record_of(registry, each) for each in ("theirs", "never", "desk")}
        report = await worker.drain()

    assert report == DrainReport(abandoned=["mine"], deferred=[], released=1, finished=0)
    found = evidence(await record_of(registry, "mine"))
    assert (found.writer, found.owner, found.proof) == (AbandonWriter.OWNER_DRAIN, worker.owner, "ended_here")
    assert {each: await record_of(registry, each) for each in before} == before
    assert await registry.lease("theirs") == theirs
    again = await record_of(registry, "again")
    assert (again.phase, again.losses) == (Phase.QUEUED, 0)


async def a_leaver(crew: Crew, **options: Any) -> Worker:
    """Return a worker that has reached its server and has time for its drain: one that never did holds nothing."""
    worker = crew.worker(**{"grace_ms": 60_000, "last_writes_ms": 60_000} | options)
    await worker.registry.open()
    return worker


async def test_a_drain_gives_back_what_it_holds_and_has_not_started(registry: ProcessRegistry, crew: Crew) -> None:
    """Found by the owner's index, whether the worker knows of it or not; another worker can have it at once."""
    worker = await a_leaver(crew)
    await registry.register_many([work("bound", OWNER_BOUND), work("again", RERUNNABLE)])
    await held(registry, "bound", worker.owner)
    await held(registry, "again", worker.owner)

    assert await worker.drain() == DrainReport(released=2)
    assert {(await record_of(registry, each)).phase for each in ("bound", "again")} == {Phase.QUEUED}
    await begun(registry, "bound", ADA)


async def test_what_a_worker_served_that_drained_is_soon_served_by_nobody(
    registry: ProcessRegistry, crew: Crew, server: ServerTime
) -> None:
    """Not only after a minute: whoever submits then is told. While it drains, it does not look at its lanes."""
    worker = crew.worker(Bench().task(), poll_ms=100, grace_ms=60_000)  # so that it waits for a look on its way

    async def is_served(*, everywhere: bool) -> bool:
        found = [await registry.served(each, [lane("default", "work")]) for each in range(registry.partitions)]
        return {service.is_served for by_lane in found for service in by_lane.values()} == {everywhere}

    async with crew.running(worker):
        await wait_until(lambda: is_served(everywhere=True), "it serves its lane")
        await worker.drain()
        await worker.probe.looking.step()

    await server.pass_until(await server.now_ms() + 700)
    await wait_until(lambda: is_served(everywhere=False), "its list lives no more")


async def test_a_look_on_its_way_is_answered_before_a_drain_ends_what_is_served(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that reached its partition later would note there that the worker lives, for a minute."""
    worker = crew.worker(Bench().task(), grace_ms=60_000)
    filled_lanes, close_claims = worker.registry.filled_lanes, worker.registry.close_claims
    calls: list[str] = []
    heard: list[Event] = []
    arrives = asyncio.Event()

    async def late_look(*args: Any) -> dict[str, bytes]:
        calls.append("look")
        await arrives.wait()
        found = await filled_lanes(*args)
        calls.append("looked")
        return found

    async def close(*args: Any, **options: Any) -> Any:
        calls.append("close")
        return await close_claims(*args, **options)

    monkeypatch.setattr(worker.registry, "close_claims", close)
    with subscribed(heard.append):
        async with crew.running(worker):
            await crew.at_rest(worker)
            monkeypatch.setattr(worker.registry, "filled_lanes", late_look)
            looking = asyncio.create_task(worker.probe.looking.look(0))
            await wait_until(lambda: calls, "a look is on its way")
            draining = asyncio.create_task(worker.drain())
            await wait_until(lambda: any(isinstance(each, WorkerDraining) for each in heard), "it drains")
            arrives.set()
            await asyncio.gather(looking, draining)
    looks = calls.count("look")  # the worker may have looked by itself too
    assert calls[2 * looks :] == ["close"] * registry.partitions
    assert calls.count("looked") == looks


async def test_what_is_not_started_is_given_back_before_the_grace(registry: ProcessRegistry, crew: Crew) -> None:
    """Another worker can have it while the work of this one is still given time to end."""
    bench = Bench()
    worker = crew.worker(bench.task(), grace_ms=60_000)
    await registry.register(work("runs", RERUNNABLE, "runs"))
    async with crew.running(worker):
        await wait_until(lambda: bench.begun == ["runs"], "it runs")
        crew.faults_of(worker).loses_renewals = True  # which would find that lease too
        await registry.register(work("bound", OWNER_BOUND, task="unknown"))
        await held(registry, "bound", worker.owner)
        draining = asyncio.create_task(worker.drain())
        await is_in(registry, "bound", Phase.QUEUED)
        assert worker.probe.running == 1
        bench.let_go("runs")
        assert await draining == DrainReport(released=1, finished=1)


async def test_a_drain_settles_what_its_owner_started_under_no_lease(registry: ProcessRegistry, crew: Crew) -> None:
    """Uncertain work of this very incarnation: its index finds it, leased or not."""
    worker = await a_leaver(crew)
    await registry.register(work("p", OWNER_BOUND))
    await registry.release(await begun(registry, "p", worker.owner))
    await is_in(registry, "p", Phase.UNCERTAIN)

    assert (await worker.drain()).abandoned == ["p"]


async def test_a_process_held_by_a_live_foreign_lease_is_deferred_with_the_reason(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """This owner started it, ADA holds it now: nothing happens to it, and the report says why."""
    worker = await a_leaver(crew)
    await registry.register(work("p", OWNER_BOUND))
    await registry.record_first_started("p", ProcessStarted(worker.owner, 1))
    lease = await held(registry, "p", ADA)

    assert await worker.drain() == DrainReport(deferred=[Deferred("p", "held by ada")])
    assert await registry.lease("p") == lease
    assert (await record_of(registry, "p")).status is ProcessStatus.RUNNING


async def test_another_incarnation_of_the_same_name_is_left_alone(registry: ProcessRegistry, crew: Crew) -> None:
    """Names are reused: the drain of this life settles nothing of another."""
    worker = await a_leaver(crew, owner=LeaseOwner.opaque("pod-0", "life-2"))
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun(registry, "p", LeaseOwner.opaque("pod-0", "life-1"))

    assert await worker.drain() == DrainReport()
    assert await registry.lease("p") == lease


@asynccontextmanager
async def both_draining(registry: ProcessRegistry, crew: Crew, bench: Bench, bound: Bench) -> AsyncIterator[Draining]:
    """Begin rerunnable ``a`` and owner-bound ``b`` on one worker, and its drain, whose grace is a minute."""
    worker = crew.worker(bench.task(), bound.task(BOUND, name="bound"), grace_ms=60_000)
    await registry.register_many([work("a", RERUNNABLE, "a"), work("b", OWNER_BOUND, "b", task="bound")])
    async with crew.running(worker):
        await wait_until(lambda: len(bench.begun + bound.begun) == 2, "both have begun")
        draining = asyncio.create_task(worker.drain())
        await wait_until(lambda: worker.is_draining, "it drains")
        yield worker, draining


async def test_work_finishes_within_the_grace(registry: ProcessRegistry, crew: Crew) -> None:
    """What ends by itself in time is written as what it is; nothing new is begun."""
    bench, bound = Bench(), Bench()
    async with both_draining(registry, crew, bench, bound) as (_, draining):
        await registry.register(work("new", RERUNNABLE, "new"))
        bench.let_go("a")
        bound.let_go("b")
        report = await draining

    assert report == DrainReport(finished=2)
    assert await outcomes(registry, "a", "b") == [Success("a done"), Success("b done")]
    assert (await record_of(registry, "new")).phase is Phase.QUEUED
    assert (bench.stopped, bound.stopped) == ([], [])


async def test_leases_are_renewed_while_draining(registry: ProcessRegistry, crew: Crew, server: ServerTime) -> None:
    """A grace longer than the lease costs no lease: the work that ends late in it is written."""
    if server.is_fake:
        pytest.skip("needs time that passes")
    bench = Bench()
    async with crew.at_work(bench, lease_ttl_ms=4_000, grace_ms=60_000) as worker:
        lease = await lease_of(registry, "p")
        draining = asyncio.create_task(worker.drain())
        await server.pass_until(lease.expires_at_ms + 200)
        bench.let_go("p")
        assert await draining == DrainReport(finished=1)
    assert await outcomes(registry, "p") == [Success("p done")]


async def test_what_a_cancelled_task_says_in_the_end_is_its_result(registry: ProcessRegistry, crew: Crew) -> None:
    """Interrupted at the end of the grace it returned all the same: completed, not abandoned."""
    bound = Bench()
    bound.stays.add("p")
    async with crew.at_work(bound, BOUND) as worker:
        draining = asyncio.create_task(worker.drain())
        await wait_until(lambda: bound.stopped, "it was interrupted")
        bound.let_go("p")
        assert await draining == DrainReport(finished=1)
    assert await outcomes(registry, "p") == [Success("p done")]


async def test_work_that_ignored_a_cancel_request_is_interrupted_again_by_the_drain(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """It went on after the first wish to stop; the drain still ends it, and it was cancelled as requested."""
    bench = Bench()
    bench.stays.add("p")
    async with crew.at_work(bench) as worker:
        await registry.request_cancel("p", cancel())
        await wait_until(lambda: bench.stopped, "the request reached it")
        bench.stays.clear()
        assert (await worker.drain()).deferred == []
    assert await outcomes(registry, "p") == [Cancelled("enough")]


async def test_plain_work_is_interrupted_in_its_thread(registry: ProcessRegistry, crew: Crew) -> None:
    """``StopRequested`` ends it: rerunnable work is given back, owner-bound work abandoned."""
    plain, bound = PlainBench(), PlainBench()
    worker = crew.worker(plain.task(), bound.task(BOUND, name="bound"))
    await registry.register_many([work("a", RERUNNABLE, "a", task="plain"), work("b", OWNER_BOUND, "b", task="bound")])
    async with crew.running(worker):
        await wait_until(lambda: plain.begun and bound.begun, "both have begun")
        report = await worker.drain()

    assert report == DrainReport(abandoned=["b"], released=1)
    assert (plain.stopped, bound.stopped) == (["a"], ["b"])
    assert (await record_of(registry, "a")).phase is Phase.QUEUED


async def test_a_thread_that_will_not_stop_is_deferred_as_still_running(registry: ProcessRegistry, crew: Crew) -> None:
    """It cannot be ended from inside, so nothing is written about it: it stays leased, and is reported."""
    plain = PlainBench()
    plain.stays.update({"a", "b"})
    worker = crew.worker(plain.task(BOUND), interrupt_ms=100)
    await registry.register_many([work(each, OWNER_BOUND, each, task="plain") for each in "ab"])
    async with crew.running(worker):
        await wait_until(lambda: len(plain.begun) == 2, "both have begun")
        report = await worker.drain()
        for each in "ab":
            lease = await lease_of(registry, each)
            assert lease.owner == worker.owner
        plain.let_go("a", "b")

    assert sorted(report.deferred, key=lambda each: each.process_id) == [
        Deferred("a", STILL_RUNNING), Deferred("b", STILL_RUNNING),
    ]  # fmt: skip
    assert report.abandoned == []


async def test_a_second_drain_is_the_same_drain(registry: ProcessRegistry, crew: Crew) -> None:
    """It reports the same, at once or later, and begins nothing anew."""
    bound = Bench()
    async with crew.at_work(bound, BOUND) as worker:
        one, two = await asyncio.gather(worker.drain(), worker.drain())
        assert one is two
        assert await worker.drain() is one
    assert one.abandoned == ["p"]


async def test_hurry_shortens_the_grace_to_nothing_and_still_drains(registry: ProcessRegistry, crew: Crew) -> None:
    """A second signal moves the deadline, never the path."""
    bench, bound = Bench(), Bench()
    async with both_draining(registry, crew, bench, bound) as (worker, draining):
        began = boottime_ms()
        worker.hurry()
        report = await draining

    assert report == DrainReport(abandoned=["b"], released=1)
    assert boottime_ms() - began < worker.settings.grace_ms


async def test_a_row_that_a_late_claim_takes_again_is_counted_once(
    registry: ProcessRegistry, far_registry: ProcessRegistry, crew: Crew, proxy: Proxy
) -> None:
    """It was given back, the late copy took it again, and it is given back once more: one row, released."""
    bench = Bench()
    worker = crew.worker(bench.task(), registry=far_registry, grace_ms=0, last_writes_ms=20_000)
    (mine,) = ids_of(1, 0, registry.partitions)
    await registry.register(work(mine, RERUNNABLE, mine))
    async with crew.running(worker):
        await wait_until(lambda: bench.begun, "it runs")
        await crew.at_rest(worker)
        late = proxy.hold("claim_next", before=True)
        worker.probe.claiming.resume()
        worker.probe.in_flight.claimer.may_have_more.add(0)
        worker.probe.changes.notify()
        await wait_until(lambda: late.struck, "a claim is on its way")
        refused = proxy.answer("close_claims", "LOADING not yet", before=True, times=None)
        draining = asyncio.create_task(worker.drain())
        await is_in(registry, mine, Phase.QUEUED)
        late.end()
        await is_in(registry, mine, Phase.STARTED)
        refused.end()
        assert await draining == DrainReport(released=1)
    await is_in(registry, mine, Phase.QUEUED)


async def test_what_an_unanswered_claim_started_is_given_back_though_a_peer_thinks_it_uncertain(
    registry: ProcessRegistry, crew: Crew, server: ServerTime
) -> None:
    """Its lease lapsed and a sweep has seen that; its starter knows that it never began."""
    bench = Bench()
    worker = crew.worker(bench.task(BOUND), grace_ms=0, last_writes_ms=20_000, lease_ttl_ms=3_000)
    faults = crew.faults_of(worker)
    async with crew.running(worker):
        await crew.at_rest(worker)
        faults.lose_replies("claim_next", 10_000)
        await registry.register(work("p", OWNER_BOUND, "p"))
        await is_in(registry, "p", Phase.STARTED)
        faults.go_away()
        faults.lose_requests("claim_next", 10_000)
        await server.lapse(registry, "p")
        await Sweep(registry, LeaseOwner.opaque("peer", "1")).run_once()
        await is_in(registry, "p", Phase.UNCERTAIN)
        faults.come_back()
        report = await worker.drain()

    assert report == DrainReport(released=1)
    assert bench.begun == []
    assert (await record_of(registry, "p")).first_started is None


async def test_what_a_drain_has_stopped_is_not_given_back_by_a_renewal(registry: ProcessRegistry, crew: Crew) -> None:
    """Its lease is live until the drain settles it, and a renewal may name it: it is abandoned and not released."""
    bound = Bench()
    async with crew.at_work(bound, BOUND) as worker:
        in_flight = worker.probe.in_flight
        lease = await lease_of(registry, "p")
        await crew.at_rest(worker)
        in_flight.stop_all()
        await wait_until(lambda: in_flight.stopped_by_drain, "it is stopped, as a drain stops it")
        renewed = RenewedRow(owner_digest(worker.owner), "p", lease.token, lease.fencing_token)
        in_flight.keeper.apply(Renewal(registry.partition_of("p"), boottime_ms(), [renewed]))
        assert in_flight.outbox.is_empty
        assert await worker.drain() == DrainReport(abandoned=["p"])


async def test_hurry_does_not_wait_for_a_claim_that_is_not_answered(
    far_registry: ProcessRegistry, crew: Crew, proxy: Proxy
) -> None:
    """The grace is over for it too, and its number is closed."""
    worker = crew.worker(registry=far_registry, grace_ms=600_000)
    async with crew.running(worker):
        await crew.at_rest(worker)
        proxy.swallow("claim_next", before=True, times=None)
        worker.probe.in_flight.claimer.ask_all()
        worker.probe.changes.notify()
        await wait_until(lambda: worker.probe.in_flight.claimer.unanswered, "a claim is on its way")
        draining = asyncio.create_task(worker.drain())
        await wait_until(lambda: worker.is_draining, "it drains")
        worker.hurry()
        assert await draining == DrainReport()


async def test_a_drain_that_is_given_up_by_its_caller_goes_on(registry: ProcessRegistry, crew: Crew) -> None:
    """Whoever waits for it may be cancelled; the drain is not."""
    bound = Bench()
    async with crew.at_work(bound, BOUND) as worker:
        caller = asyncio.create_task(worker.drain())
        await wait_until(lambda: worker.is_draining, "it drains")
        caller.cancel()
        assert (await worker.drain()).abandoned == ["p"]


async def test_a_drain_without_a_run_leaves_nothing_behind(registry: ProcessRegistry, crew: Crew) -> None:
    """A worker that only drove pending work, or did nothing, can drain too."""
    bench = Bench(is_open=True)
    worker = crew.worker(bench.task())
    await registry.register(work("p", RERUNNABLE, "p"))
    await worker.drive_pending()

    assert await worker.drain() == DrainReport(), "what had ended before it began does not count"


async def test_after_a_drain_no_late_copy_of_a_claim_can_lease_anything(registry: ProcessRegistry, crew: Crew) -> None:
    """The closing claim makes every number before it stale, in every partition."""
    worker = await a_leaver(crew)
    await worker.drain()
    await registry.register_many([work(f"p{number}") for number in range(8)])

    for partition in range(registry.partitions):
        late = batch_claim(registry, worker.owner, number=0, count=8, ttl_ms=LONG_MS, partition=partition)
        assert (await registry.claim_next(late)).stale


async def test_a_drain_settles_more_than_a_page(registry: ProcessRegistry, crew: Crew) -> None:
    """Rows leave the owner's index while its pages are read, and none is passed over."""
    worker = crew.worker(Bench().task(), registry=registry, last_writes_ms=60_000)  # a fake server may be slow
    ids = [f"p{number}" for number in range(1200)]
    await registry.register_many([work(each, OWNER_BOUND) for each in ids])
    for partition in range(registry.partitions):
        for _ in range(5):
            await worker.probe.in_flight.claimer.claim(partition, 150)

    report = await worker.drain()
    assert sorted(report.abandoned) == sorted(ids)
    assert report.deferred == []

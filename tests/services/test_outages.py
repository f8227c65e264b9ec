"""Redis is away for longer than a lease: owner-bound work goes on, rerunnable work is stopped and given back."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from lash_redis.core.errors import AlreadyStarted, LeaseLost
from lash_redis.core.model import Acquired, DrainReport, Phase, ProcessStatus
from lash_redis.core.outcomes import Success
from lash_redis.core.timing import boottime_ms
from lash_redis.recovery.leftovers import NOT_GIVEN_BACK, NOT_WRITTEN
from lash_redis.recovery.sweep import Sweep, SweepReport
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.trust import margin_ms
from tests.conformance.actors import (
    ADA,
    BOB,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    begun,
    begun_and_lapsed,
    held,
    work,
)
from tests.conftest import ServerTime
from tests.look import ended, is_in, lease_of, outcomes, record_of
from tests.services.benches import Bench
from tests.services.conftest import Crew
from tests.support import wait_until

BOUND = "owner_bound"
TTL_MS = 3_000  # trusted for 2.5 s, renewed each second: a busy machine may be late by another


async def test_owner_bound_work_outlives_an_outage_and_rerunnable_work_is_given_back(
    registry: ProcessRegistry, crew: Crew, server: ServerTime
) -> None:
    """Longer than the lease: the one goes on and is written later; the other is stopped in time, and it is no loss."""
    bench, bound = Bench(), Bench()
    worker = crew.worker(bench.task(), bound.task(BOUND, name="bound"), lease_ttl_ms=TTL_MS)
    faults = crew.faults_of(worker)
    await registry.register_many(
        [work("again", RERUNNABLE, "again"), work("bound", OWNER_BOUND, "bound", task="bound")]
    )
    async with crew.running(worker):
        await wait_until(lambda: bench.begun and bound.begun, "both have begun")
        attempt = worker.probe.attempt("again")
        assert attempt is not None
        faults.go_away()
        old = await lease_of(registry, "bound")
        await wait_until(lambda: bench.stopped == ["again"], "rerunnable work is stopped")
        lease, late_ms = await registry.lease("again"), boottime_ms() - attempt.trusted_until_ms
        assert lease is not None or late_ms >= margin_ms(TTL_MS), "trust ends before the lease does"
        await server.end(registry, old)
        bound.let_go("bound")
        await wait_until(lambda: not worker.probe.running, "its code has ended")
        assert (await record_of(registry, "bound")).status is ProcessStatus.RUNNING
        faults.come_back()
        record = await ended(registry, "bound")
        assert record.outcome == Success("bound done")
        with pytest.raises(LeaseLost):
            await registry.renew(old, LONG_MS)
        await wait_until(lambda: bench.begun == ["again", "again"], "it runs again, at once and here")
        assert (await record_of(registry, "again")).losses == 0
        bench.let_go("again")
        await ended(registry, "again")
    assert bound.begun == ["bound"]
    assert bound.stopped == []


async def test_a_loss_is_taken_back_when_its_holder_returns(
    registry: ProcessRegistry, crew: Crew, server: ServerTime
) -> None:
    """A sweep saw the lapse and counted it; the returning holder gives the work up, so that it was none."""
    bench = Bench()
    async with crew.at_work(bench, lease_ttl_ms=TTL_MS) as worker:
        faults = crew.faults_of(worker)
        faults.go_away()
        await server.lapse(registry, "p")
        assert await Sweep(registry, ADA).run_once() == SweepReport(requeued=1)
        assert (await record_of(registry, "p")).losses == 1
        theirs = await begun(registry, "p", BOB)
        await wait_until(lambda: bench.stopped, "it is stopped")
        faults.come_back()

        async def is_taken_back() -> bool:
            return (await record_of(registry, "p")).losses == 0

        await wait_until(is_taken_back, "the loss is taken back")
        assert await registry.lease("p") == theirs, "and the new holder is not disturbed"


async def test_owner_bound_work_whose_lease_lapsed_is_claimed_again_under_its_token_and_a_new_fence(
    registry: ProcessRegistry, crew: Crew, server: ServerTime
) -> None:
    """While it still runs, the renewal says that the lease is gone: the starter claims again, and nobody else can."""
    bound = Bench()
    async with crew.at_work(bound, BOUND, lease_ttl_ms=TTL_MS) as worker:
        faults = crew.faults_of(worker)
        faults.go_away()
        (old,) = await server.lapse(registry, "p")
        with pytest.raises(AlreadyStarted):
            await registry.claim("p", BOB, LONG_MS)
        assert await Sweep(registry, ADA).run_once() == SweepReport(uncertain=1)
        with pytest.raises(AlreadyStarted):
            await registry.claim("p", BOB, LONG_MS)
        faults.come_back()
        await is_in(registry, "p", Phase.STARTED)
        new = await lease_of(registry, "p")
        assert (new.owner, new.token) == (worker.owner, old.token)
        assert new.fencing_token > old.fencing_token
        with pytest.raises(LeaseLost):
            await registry.complete(old, Success("under the old fence"))
        bound.let_go("p")
        assert await outcomes(registry, "p") == [Success("p done")]
    assert (bound.begun, bound.stopped) == (["p"], [])


async def test_a_result_is_not_written_under_another_owners_lease(
    registry: ProcessRegistry, crew: Crew, server: ServerTime
) -> None:
    """Rerunnable work that returned after its lapse, and that another owner holds now: the fence refuses."""
    bench = Bench()
    bench.stays.add("p")
    async with crew.at_work(bench, lease_ttl_ms=TTL_MS) as worker:
        faults = crew.faults_of(worker)
        faults.go_away()
        await server.lapse(registry, "p")
        theirs = await held(registry, "p", BOB)
        bench.let_go("p")
        await wait_until(lambda: not worker.probe.running, "it has returned")
        faults.come_back()
        await wait_until(lambda: worker.probe.unfinished == 0, "the worker has nothing left to write")
        assert await registry.lease("p") == theirs
        assert (await record_of(registry, "p")).status is ProcessStatus.RUNNING


async def test_a_result_of_rerunnable_work_that_nobody_took_is_written_after_the_outage(
    registry: ProcessRegistry, crew: Crew, server: ServerTime
) -> None:
    """It ended before its trust did; that the lease lapsed meanwhile costs no second run."""
    bench = Bench()
    async with crew.at_work(bench, lease_ttl_ms=TTL_MS) as worker:
        faults = crew.faults_of(worker)
        faults.go_away()
        bench.let_go("p")
        await server.lapse(registry, "p")
        faults.come_back()
        assert await outcomes(registry, "p") == [Success("p done")]
    assert bench.begun == ["p"]


async def test_a_worker_that_cannot_renew_does_not_claim(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claims that would still get through hand out nothing to a worker whose renewals do not."""
    bench = Bench(is_open=True)
    worker = crew.worker(bench.task(), lease_ttl_ms=TTL_MS, poll_ms=20)
    faults = crew.faults_of(worker)
    faults.loses_renewals = True
    may_claim = worker.probe.in_flight.keeper.may_claim
    async with crew.running(worker):
        await wait_until(lambda: not may_claim(0) and not may_claim(1), "its renewals are overdue")
        await wait_until(lambda: not worker.probe.in_flight.claimer.unanswered, "no claim is on its way")
        await registry.register(work("p", RERUNNABLE, "p"))
        before, asked = faults.sent["claim_next"], Counter[int]()
        claimer = worker.probe.in_flight.claimer
        ask = claimer.ask

        def count(partition: int) -> None:
            asked[partition] += 1
            ask(partition)

        monkeypatch.setattr(claimer, "ask", count)
        # Each partition is asked at a slow poll, and the row's now and then for another reason.
        await wait_until(lambda: min(asked[0], asked[1]) >= 10, "it has polled five times and more")
        assert (bench.begun, faults.sent["claim_next"]) == ([], before)
        faults.loses_renewals = False
        await ended(registry, "p")


async def test_a_cancelled_row_stops_owner_bound_work_whose_lease_lapsed(
    registry: ProcessRegistry, crew: Crew, server: ServerTime
) -> None:
    """Its row has a terminal fact: claiming again says so, and the work is stopped, for nothing is left to write."""
    bound = Bench()
    async with crew.at_work(bound, BOUND, lease_ttl_ms=TTL_MS) as worker:
        faults = crew.faults_of(worker)
        faults.go_away()
        await server.lapse(registry, "p")
        await registry.request_abandon("p", abandon())
        assert await Sweep(registry, ADA).run_once() == SweepReport(abandoned=1)
        faults.come_back()
        await wait_until(lambda: bound.stopped == ["p"], "it is stopped")
        await wait_until(lambda: worker.probe.unfinished == 0, "it is forgotten")
        report = await worker.drain()
    assert report == DrainReport()


async def test_a_drain_while_redis_is_away_ends_within_its_budget_and_reports(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """What could not be written is deferred by name, and that there may be more: nobody answers who could say."""
    bench, bound = Bench(), Bench()
    worker = crew.worker(
        bench.task(), bound.task(BOUND, name="bound"), grace_ms=100, interrupt_ms=100, last_writes_ms=600
    )
    faults = crew.faults_of(worker)
    await registry.register_many(
        [
            work("a", RERUNNABLE, "a"),
            work("b", OWNER_BOUND, "b", task="bound"),
            work("c", OWNER_BOUND, "c", task="bound"),
        ]
    )
    async with crew.running(worker):
        await wait_until(lambda: len(bench.begun + bound.begun) == 3, "all have begun")
        faults.go_away()
        bound.let_go("c")
        began = boottime_ms()
        report = await worker.drain()
        took = boottime_ms() - began
    left = {each.process_id: each.reason for each in report.deferred}
    assert took < worker.settings.must_allow_s * 1000
    assert left.keys() == {"a", "b", "c", "*"}
    assert (left["a"], left["c"]) == (NOT_GIVEN_BACK, NOT_WRITTEN)
    assert "registry" in left["b"]
    assert report.abandoned == []


async def test_a_drain_goes_on_where_redis_comes_back_in_time(registry: ProcessRegistry, crew: Crew) -> None:
    """An outage that ends within the budget costs nothing but time."""
    bound = Bench()
    async with crew.at_work(bound, BOUND, grace_ms=0, last_writes_ms=10_000) as worker:
        faults = crew.faults_of(worker)
        faults.go_away()
        draining = asyncio.create_task(worker.drain())
        await wait_until(lambda: bound.stopped, "it is stopped")
        faults.come_back()
        assert await draining == DrainReport(abandoned=["p"])


async def test_a_starter_claims_alone(registry: ProcessRegistry, server: ServerTime) -> None:
    """Started owner-bound work whose lease lapsed: its starter gets its token and a new fence, others a refusal."""
    await registry.register(work("p", OWNER_BOUND))
    old = await begun_and_lapsed(registry, server, "p", ADA)

    with pytest.raises(AlreadyStarted):
        await registry.claim("p", BOB, LONG_MS)
    again = await registry.claim("p", ADA, LONG_MS)

    assert isinstance(again, Acquired)
    assert again.lease.token == old.token
    assert again.lease.fencing_token > old.fencing_token
    with pytest.raises(LeaseLost):
        await registry.complete(old, Success("late"))
    assert (await registry.complete(again.lease, Success("mine"))).outcome == Success("mine")

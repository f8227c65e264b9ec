"""Replies that are lost, late or doubled under a worker: nothing runs twice that may not, nothing is left behind."""

from __future__ import annotations

import asyncio

import pytest

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.model import DrainReport, Phase, ProcessStatus
from lash_redis.core.outcomes import Success
from lash_redis.core.timing import boottime_ms
from lash_redis.registry.answers import BatchClaim, ClaimedBatch, RenewedRow
from lash_redis.registry.keys import owner_digest, partition_of
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.attempt import Stop
from lash_redis.worker.lease_keeper import Renewal
from tests.conformance.actors import LANE, OWNER_BOUND, RERUNNABLE, abandon, cancel, held, ids_of, outside, work
from tests.conftest import ServerTime
from tests.look import ended, is_in, lease_of, outcomes, record_of
from tests.services.benches import Bench
from tests.services.conftest import NEVER_MS, Crew
from tests.support import wait_until

BOUND = "owner_bound"
SENT_BY_A_WORKER = ["claim_next", "terminalize", "release", "settle", "page", "glance", "open", "get", "wake"]


@pytest.mark.parametrize("trouble", ["lose_replies", "lose_requests", "repeat"])
@pytest.mark.parametrize("script", SENT_BY_A_WORKER)
async def test_a_life_with_trouble_ends_as_one_without(
    registry: ProcessRegistry, crew: Crew, script: str, trouble: str
) -> None:
    """Whatever a worker sends may be lost, answered in vain, or arrive twice."""
    bench, bound, stay = Bench(is_open=True), Bench(is_open=True), Bench()
    worker = crew.worker(
        bench.task(), bound.task(BOUND, name="bound"), stay.task(BOUND, name="stay"), stay.task(name="back"),
        sweep_ms=20,
    )  # fmt: skip
    getattr(crew.faults_of(worker), trouble)(script)
    again, once = [f"again-{number}" for number in range(4)], [f"once-{number}" for number in range(4)]
    await registry.register_many(
        [work(each, RERUNNABLE, each) for each in again]
        + [work(each, OWNER_BOUND, each, task="bound") for each in once]
        + [
            outside("desk"),
            work("stay", OWNER_BOUND, "stay", task="stay"),
            work("back", RERUNNABLE, "back", task="back"),
        ]
    )
    async with crew.running(worker):
        assert await outcomes(registry, *again, *once) == [Success(f"{each} done") for each in again + once]
        await wait_until(lambda: len(stay.begun) == 2, "the others have begun")
        report = await worker.drain()

    assert sorted(bench.begun + bound.begun) == again + once
    assert sorted(stay.begun) == sorted(stay.stopped) == ["back", "stay"]
    assert (report.abandoned, report.deferred) == (["stay"], [])
    back = await record_of(registry, "back")
    assert (back.phase, back.losses) == (Phase.QUEUED, 0)
    assert (await record_of(registry, "desk")).phase is Phase.OUTSIDE


@pytest.mark.parametrize("times", [1, 3])
async def test_a_claim_whose_answer_is_lost_hands_out_the_same_again(
    registry: ProcessRegistry, crew: Crew, times: int
) -> None:
    """Sent under its own number until it is answered: each row runs once, and none waits for its lease to lapse."""
    bench, bound = Bench(is_open=True), Bench(is_open=True)
    worker = crew.worker(bench.task(), bound.task(BOUND, name="bound"))
    await crew.lanes_named(worker)
    crew.faults_of(worker).lose_replies("claim_next", times)
    await registry.register_many([work("a", RERUNNABLE, "a"), work("b", OWNER_BOUND, "b", task="bound")])
    async with crew.running(worker):
        await outcomes(registry, "a", "b")
    assert (bench.begun, bound.begun) == (["a"], ["b"])


async def test_a_claim_whose_answer_is_lost_as_the_drain_begins_is_run_within_the_grace(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """Everything that it handed out is run, and no owner-bound process is abandoned that a wait could have run."""
    bench, bound = Bench(is_open=True), Bench(is_open=True)
    worker = crew.worker(bench.task(), bound.task(BOUND, name="bound"), grace_ms=60_000)
    faults = crew.faults_of(worker)
    async with crew.running(worker):
        await crew.at_rest(worker)
        ids = [f"p{number}" for number in range(8)]
        faults.lose_replies("claim_next", 4)
        await registry.register_many(
            [work(each, OWNER_BOUND, each, task="bound") for each in ids[:4]]
            + [work(each, RERUNNABLE, each) for each in ids[4:]]
        )
        await wait_until(lambda: worker.probe.in_flight.claimer.unanswered, "a claim has lost its answer")
        report = await worker.drain()

    started = [each for each in ids if (await record_of(registry, each)).first_started is not None]
    assert started, "the lost claim handed something out"
    assert report == DrainReport(finished=len(started))
    assert sorted(bench.begun + bound.begun) == started
    assert await outcomes(registry, *started) == [Success(f"{each} done") for each in started]


async def test_what_an_unanswered_claim_started_is_given_back_whole(registry: ProcessRegistry, crew: Crew) -> None:
    """The grace ends first. No code of it was entered here, nor will be: it looks as if nobody had started it."""
    bench, bound = Bench(is_open=True), Bench(is_open=True)
    worker = crew.worker(bench.task(), bound.task(BOUND, name="bound"), grace_ms=100)
    faults = crew.faults_of(worker)
    await crew.lanes_named(worker)
    faults.lose_replies("claim_next", 1_000)
    a, b = ids_of(2, 0, registry.partitions)
    await registry.register_many([work(a, RERUNNABLE, a), work(b, OWNER_BOUND, b, task="bound")])
    async with crew.running(worker):

        async def both_are_started() -> bool:
            return all([(await record_of(registry, each)).first_started is not None for each in (a, b)])

        await wait_until(both_are_started, "both are handed out")
        report = await worker.drain()

    assert report == DrainReport(released=2)
    assert (bench.begun, bound.begun) == ([], [])
    for record in [await record_of(registry, each) for each in (a, b)]:
        assert (record.phase, record.first_started, record.losses) == (Phase.QUEUED, None, 0)


async def test_a_partition_whose_claims_fail_holds_up_no_other(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is damaged there. Its rows may have been handed out, until its claim is closed: then others may run."""
    bench = Bench(is_open=True)
    worker = crew.worker(bench.task(), concurrency=2)
    claim_next = worker.registry.claim_next

    async def fails_in_one(claim: BatchClaim) -> ClaimedBatch:
        if claim.partition == 0:
            raise RegistryUnavailable("claim_next", "ERR attempt to compare nil with number", maybe_applied=True)
        return await claim_next(claim)

    monkeypatch.setattr(worker.registry, "claim_next", fails_in_one)
    ids = ids_of(3, 1, registry.partitions)
    await registry.register_many([work(each, RERUNNABLE, each) for each in ids])
    async with crew.running(worker):
        await outcomes(registry, *ids)


async def test_a_drain_does_not_wait_for_a_partition_that_cannot_answer(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It closes the claim there, and goes on long before its grace is over."""
    worker = crew.worker(Bench().task(), grace_ms=300_000)

    async def fails(_claim: BatchClaim) -> ClaimedBatch:
        raise RegistryUnavailable("claim_next", "ERR attempt to compare nil with number", maybe_applied=True)

    monkeypatch.setattr(worker.registry, "claim_next", fails)
    async with crew.running(worker):
        await wait_until(lambda: worker.probe.in_flight.claimer.unanswered, "a claim has no answer")
        async with asyncio.timeout(60):
            assert await worker.drain() == DrainReport()


async def test_a_worker_never_runs_more_than_its_slots_though_answers_are_lost(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """What a claim may have started whose answer is missing takes a slot, whichever partition it is in."""
    worker = crew.worker(Bench().task(), concurrency=3)
    in_flight = worker.probe.in_flight
    crew.faults_of(worker).lose_replies("claim_next", 2)
    with pytest.raises(RegistryUnavailable):
        await in_flight.claim(0)
    assert in_flight.room == 0
    assert not worker.probe.claiming.may_claim
    assert in_flight.claimer.next_partition(worker.probe.claiming.may_claim_from) == 0


async def test_what_a_claim_started_that_was_let_go_is_given_back_whole(registry: ProcessRegistry, crew: Crew) -> None:
    """Nothing of it began: once a renewal names it, it is as it was registered, and runs."""
    bench, bound = Bench(is_open=True), Bench(is_open=True)
    worker = crew.worker(bench.task(), bound.task(BOUND, name="bound"), lease_ttl_ms=4_000)
    await crew.lanes_named(worker)
    crew.faults_of(worker).lose_replies("claim_next", 5)
    a, b = ids_of(2, 0, registry.partitions)
    await registry.register_many([work(a, RERUNNABLE, a), work(b, OWNER_BOUND, b, task="bound")])
    async with crew.running(worker):
        assert await outcomes(registry, a, b) == [Success(f"{each} done") for each in (a, b)]
    assert (bench.begun, bound.begun) == ([a], [b])
    assert [(await record_of(registry, each)).losses for each in (a, b)] == [0, 0]


async def test_a_lease_that_nobody_knows_is_given_back_while_a_claim_elsewhere_has_no_answer(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """A claim explains leases of its own partition alone."""
    bench = Bench(is_open=True)
    worker = crew.worker(bench.task(), registry=registry)
    in_flight = worker.probe.in_flight
    here, elsewhere = ids_of(1, 0, registry.partitions)[0], ids_of(1, 1, registry.partitions)[0]
    faults = crew.faults_of(worker)
    faults.loses_renewals = True  # but for those below
    late = faults.delay_reply("claim_next")
    async with crew.running(worker):
        await wait_until(lambda: late.has_happened, "a claim has no answer yet")
        for partition, each in ((0, here), (1, elsewhere)):
            await registry.register(work(each, RERUNNABLE, each, task="unknown"))
            lease = await held(registry, each, worker.owner)
            renewed = RenewedRow(owner_digest(worker.owner), each, lease.token, lease.fencing_token)
            in_flight.keeper.apply(Renewal(partition, boottime_ms(), [renewed]))
        assert in_flight.claimer.unanswered == [0]
        rows = [await registry.row(each) for each in (here, elsewhere)]
        assert [row is not None and in_flight.is_in_flight(row) for row in rows] == [True, False]
        await is_in(registry, elsewhere, Phase.QUEUED)
        assert await registry.lease(here) is not None
        late.arrive()


async def test_rerunnable_work_of_a_late_answer_is_run_elsewhere(
    registry: ProcessRegistry, crew: Crew, server: ServerTime
) -> None:
    """Outside the trust window it is given back and not begun; owner-bound work is begun: nobody else may run it."""
    if server.is_fake:
        pytest.skip("needs time that passes")
    bench, bound = Bench(is_open=True), Bench(is_open=True)
    worker = crew.worker(bench.task(), bound.task(BOUND, name="bound"), lease_ttl_ms=3_000)
    faults = crew.faults_of(worker)
    faults.loses_renewals = True
    await crew.lanes_named(worker)
    late = faults.delay_reply("claim_next")
    again, once = ids_of(2, 0, registry.partitions)  # the partition that is claimed from first
    await registry.register_many([work(again, RERUNNABLE, again), work(once, OWNER_BOUND, once, task="bound")])
    async with crew.running(worker):
        await wait_until(lambda: late.has_happened, "both are handed out")
        await server.lapse(registry, again, once)
        late.arrive()
        await is_in(registry, again, Phase.QUEUED)
        assert (await record_of(registry, again)).losses == 0
        assert (await ended(registry, once)).outcome == Success(f"{once} done")
    assert (bench.begun, bound.begun) == ([], [once])


async def test_a_lease_that_a_renewal_names_and_nobody_knows_is_given_back(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """A late copy of a claim made it; it would be renewed for ever."""
    bench = Bench()
    async with crew.at_work(bench, lease_ttl_ms=4_000, registry=registry) as worker:
        await registry.register(work("lost", RERUNNABLE, "lost", task="unknown"))
        await registry.claim("lost", worker.owner, 60_000)
        await is_in(registry, "lost", Phase.QUEUED)
        assert await registry.lease("p") is not None
        bench.let_go("p")
        await ended(registry, "p")


async def test_a_lease_that_an_answer_on_its_way_explains_is_kept(registry: ProcessRegistry, crew: Crew) -> None:
    """A renewal may name what a claim has handed out before the claim is answered."""
    bench = Bench()
    worker = crew.worker(bench.task())
    faults = crew.faults_of(worker)
    faults.loses_renewals = True  # but for the one below
    await crew.lanes_named(worker)
    late = faults.delay_reply("claim_next")
    (first,) = ids_of(1, 0, registry.partitions)  # in the partition that is claimed from first
    await registry.register(work(first, RERUNNABLE, first))
    async with crew.running(worker):
        await wait_until(lambda: late.has_happened, "it is handed out")
        lease = await lease_of(registry, first)
        renewed = RenewedRow(owner_digest(worker.owner), first, lease.token, lease.fencing_token)
        worker.probe.in_flight.keeper.apply(Renewal(0, boottime_ms(), [renewed]))
        late.arrive()
        await wait_until(lambda: bench.begun == [first], "it has begun")
        bench.let_go(first)
        await ended(registry, first)
        assert faults.sent["release"] == 0


async def test_a_request_reaches_the_work_by_the_renewal_if_its_message_is_lost(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publish is a hint: the renewal brings the request all the same."""
    bench = Bench()
    async with crew.at_work(bench, lease_ttl_ms=3_000) as worker:
        monkeypatch.setattr(worker.probe.in_flight.requests, "look_at", lambda _id: None)
        await registry.request_cancel("p", cancel())
        assert (await ended(registry, "p")).status is ProcessStatus.CANCELLED
    assert bench.stopped == ["p"]


async def test_a_request_whose_message_arrives_reaches_the_work_at_once(registry: ProcessRegistry, crew: Crew) -> None:
    """No renewal is due for twenty minutes, and none is waited for."""
    bench = Bench()
    async with crew.at_work(bench, lease_ttl_ms=NEVER_MS):
        await registry.request_cancel("p", cancel())
        assert (await ended(registry, "p")).status is ProcessStatus.CANCELLED


async def test_an_abandon_request_reaches_its_holder_as_a_cancel(registry: ProcessRegistry, crew: Crew) -> None:
    """On a live lease it waits, and its work is asked to stop; having stopped, it was cancelled and not abandoned."""
    bound = Bench()
    async with crew.at_work(bound, BOUND, lease_ttl_ms=NEVER_MS):
        await registry.request_abandon("p", abandon())
        assert (await ended(registry, "p")).status is ProcessStatus.CANCELLED


async def test_a_wake_up_that_overtakes_the_answer_of_a_claim_is_not_lost(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """The claim found nothing; what was registered after it and before its answer arrived runs at once."""
    bench = Bench(is_open=True)
    worker = crew.worker(bench.task())
    faults = crew.faults_of(worker)
    received = crew.wake_ups_of(worker)
    async with crew.running(worker):
        await crew.at_rest(worker)
        await crew.lanes_named(worker)
        late = faults.delay_reply("claim_next")
        worker.probe.wake_ups.received(partition_of("p", registry.partitions), f"lane {LANE}")
        await wait_until(lambda: late.has_happened, "it has looked again")
        await registry.register(work("p", RERUNNABLE, "p"))
        await wait_until(lambda: len(received) == 2, "the wake-up of the registration has come")
        late.arrive()
        await ended(registry, "p")
    assert bench.begun == ["p"]


async def test_a_row_that_comes_back_before_its_release_is_answered_is_begun_at_once(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """The release was applied and its answer lost; the row is claimed again here, and must not wait for a renewal."""
    bench = Bench()
    async with crew.at_work(bench, lease_ttl_ms=NEVER_MS) as worker:
        faults = crew.faults_of(worker)
        faults.lose_replies("release", 2)
        attempt = worker.probe.attempt("p")
        assert attempt is not None
        attempt.ask_to_stop(Stop.TRUST)
        await wait_until(lambda: bench.begun == ["p", "p"], "it runs again, before any renewal")
        bench.let_go("p")
        assert (await ended(registry, "p")).losses == 0

"""Results are written in batches, until they are answered, and by nobody who may not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lash_redis.core.errors import LashError, PayloadError
from lash_redis.core.model import Deferred, Phase, ProcessLease, ProcessStatus
from lash_redis.core.outcomes import Failure, Success
from lash_redis.recovery.leftovers import NOT_WRITTEN
from lash_redis.registry.answers import BatchClaim, TerminalFact
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.declaration import declare
from lash_redis.worker.attempt import Attempt
from lash_redis.worker.worker import Worker
from tests.conformance.actors import BOB, LONG_MS, OWNER_BOUND, RERUNNABLE, claimed_row, held, work
from tests.look import ended, is_in, outcomes, record_of
from tests.services.benches import Bench
from tests.services.conftest import Crew
from tests.support import wait_until


async def test_what_ends_while_one_write_is_under_way_is_written_by_the_next(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """However many: one call a partition for all of them."""
    bench = Bench()
    ids = [f"p{number}" for number in range(8)]
    worker = crew.worker(bench.task())
    faults = crew.faults_of(worker)
    await registry.register_many([work(each, RERUNNABLE, each) for each in ids])
    async with crew.running(worker):
        await wait_until(lambda: len(bench.begun) == 8, "all run")
        late = faults.delay_reply("terminalize")
        bench.let_go(ids[0])
        await wait_until(lambda: late.has_happened, "the first is written")
        bench.let_go(*ids[1:])
        await wait_until(lambda: not worker.probe.running, "all have ended")
        late.arrive()
        for each in ids:
            await ended(registry, each)
    assert faults.sent["terminalize"] <= 1 + registry.partitions


async def test_a_result_is_written_once_redis_answers_again(registry: ProcessRegistry, crew: Crew) -> None:
    """Sent until it is answered; the worker has it in hand until then."""
    bench = Bench()
    async with crew.at_work(bench) as worker:
        faults = crew.faults_of(worker)
        faults.lose_requests("terminalize", 2)
        faults.lose_replies("terminalize", 2)
        bench.let_go("p")
        await wait_until(lambda: worker.probe.unfinished == 0, "it is written and forgotten")
        assert await outcomes(registry, "p") == [Success("p done")]
    assert worker.probe.in_flight.outbox.finished == 0, "no drain had begun"


async def test_a_refused_result_leaves_the_row_to_its_holder(registry: ProcessRegistry, crew: Crew) -> None:
    """The lease was given back under the run, and another owner has it: refused, forgotten, and nobody disturbed."""
    bench = Bench()
    async with crew.at_work(bench) as worker:
        attempt = worker.probe.attempt("p")
        assert attempt is not None
        await crew.at_rest(worker)
        worker.probe.claiming.pause(LashError("a test keeps the row for Bob"))
        await registry.release(attempt.lease)
        await held(registry, "p", BOB, LONG_MS)
        lease = await registry.lease("p")
        bench.let_go("p")
        await wait_until(lambda: worker.probe.unfinished == 0, "nothing is left to write")
        assert await registry.lease("p") == lease
        assert (await record_of(registry, "p")).status is ProcessStatus.RUNNING


async def test_a_result_that_is_too_long_is_a_failure(
    registry: ProcessRegistry, crew: Crew, make_registry: Any
) -> None:
    """It could never be written; what else ended is not held up by it."""

    async def shout(count: int) -> str:
        return "x" * count

    small = make_registry(max_payload_bytes=1_000)
    worker = crew.worker(declare(shout, recovery="rerunnable", name="shout"), registry=small)
    await registry.register_many(
        [work("long", RERUNNABLE, 2_000, task="shout"), work("short", RERUNNABLE, 3, task="shout")]
    )
    async with crew.running(worker):
        long, short = await outcomes(registry, "long", "short")
    assert short == Success("xxx")
    assert isinstance(long, Failure)
    assert long.code.endswith(PayloadError.__name__)


async def test_a_failure_that_is_too_long_is_cut(registry: ProcessRegistry, crew: Crew, make_registry: Any) -> None:
    """A small payload limit and a long traceback: still a failure, and still written."""

    async def fail() -> None:
        raise ValueError("x" * 100_000)

    small = make_registry(max_payload_bytes=500)
    await registry.register(work("p", OWNER_BOUND, task="fail"))
    async with crew.running(crew.worker(declare(fail, recovery="owner_bound", name="fail"), registry=small)):
        assert (await ended(registry, "p")).status is ProcessStatus.FAILED


async def test_what_is_given_back_is_free_at_once(registry: ProcessRegistry, crew: Crew) -> None:
    """Released leases go with the next write, and the row is queued again."""
    worker = crew.worker()
    await registry.register(work("p"))
    async with crew.running(worker):
        worker.probe.in_flight.outbox.release(await held(registry, "p", worker.owner))
        await wait_until(lambda: worker.probe.in_flight.outbox.is_empty, "it is given back")
        assert (await record_of(registry, "p")).phase is Phase.QUEUED
    assert worker.probe.in_flight.outbox.is_empty


@pytest.mark.parametrize("count", [1, 7])
async def test_the_last_results_are_written_before_the_worker_leaves(
    registry: ProcessRegistry, crew: Crew, count: int
) -> None:
    """A drain that finds everything ended still writes it first."""
    bench = Bench()
    ids = [f"p{number}" for number in range(count)]
    worker = crew.worker(bench.task())
    faults = crew.faults_of(worker)
    await registry.register_many([work(each, RERUNNABLE, each) for each in ids])
    async with crew.running(worker):
        await wait_until(lambda: len(bench.begun) == count, "all run")
        faults.lose_replies("terminalize", 2)
        bench.let_go(*ids)
        assert (await worker.drain()).finished == count


async def test_a_lease_that_is_given_back_twice_is_given_back_once(registry: ProcessRegistry, crew: Crew) -> None:
    """Two renewals may list a lease that nobody here knows before its release is answered; results are written on."""
    bench = Bench()
    worker = crew.worker(bench.task())
    faults = crew.faults_of(worker)
    await registry.register_many(
        [work("here", RERUNNABLE, "here"), work("unknown", RERUNNABLE, "unknown", task="else")]
    )
    async with crew.running(worker):
        await wait_until(lambda: bench.begun, "it runs")
        lease = await held(registry, "unknown", worker.owner)
        faults.lose_requests("release", 1)
        for _ in range(2):
            worker.probe.in_flight.outbox.release(lease)
        bench.let_go("here")
        await ended(registry, "here")
        await wait_until(lambda: worker.probe.in_flight.outbox.is_empty, "all is written")
    assert (await record_of(registry, "unknown")).phase is Phase.QUEUED


async def test_a_fact_that_can_never_be_written_holds_up_no_other(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent alone after a while, and again and again; the results of the others are written, early and late."""
    bench = Bench(is_open=True)
    worker = crew.worker(bench.task(), last_writes_ms=300)
    write, turn = worker.registry.terminalize_many, worker.registry.turn

    def refuse(facts: Sequence[TerminalFact]) -> None:
        if any(fact.lease.process_id == "bad" for fact in facts):
            raise ZeroDivisionError("a bug that one fact meets")

    async def refuses_one(facts: Sequence[TerminalFact], *, attempts: int) -> list[str]:
        refuse(facts)
        return await write(facts, attempts=attempts)

    async def refuses_one_beside_a_claim(claim: BatchClaim, facts: Sequence[TerminalFact]) -> Any:
        refuse(facts)
        return await turn(claim, facts)

    monkeypatch.setattr(worker.registry, "terminalize_many", refuses_one)
    monkeypatch.setattr(worker.registry, "turn", refuses_one_beside_a_claim)
    ids = [f"p{number}" for number in range(7)]
    await registry.register_many([work(each, OWNER_BOUND, each) for each in ["bad", *ids]])
    async with crew.running(worker):
        await outcomes(registry, *ids)
        await registry.register(work("late", OWNER_BOUND, "late"))
        await outcomes(registry, "late")
        report = await worker.drain()
    assert report.deferred == [Deferred("bad", NOT_WRITTEN)]


async def test_what_never_began_is_given_back_whole(registry: ProcessRegistry, crew: Crew) -> None:
    """It runs elsewhere, or here later; that it was started is forgotten, and it is no loss."""
    worker, other = crew.worker(), Bench(is_open=True)
    await registry.register(work("p", OWNER_BOUND, "p"))
    lease = await _started(registry, worker)
    async with crew.running(worker):
        await _unstart(worker, lease)
        record = await record_of(registry, "p")
        assert (record.phase, record.first_started, record.losses) == (Phase.QUEUED, None, 0)
        async with crew.running(crew.worker(other.task(OWNER_BOUND.value))):
            assert (await ended(registry, "p")).outcome == Success("p done")


async def test_what_never_began_and_lost_its_lease_is_claimed_again_and_given_back(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """Owner-bound work would stay uncertain otherwise, although no line of it ran."""
    worker = crew.worker()
    await registry.register(work("p", OWNER_BOUND, "p"))
    lease = await _started(registry, worker)
    await registry.release(lease)
    await is_in(registry, "p", Phase.UNCERTAIN)
    async with crew.running(worker):
        await _unstart(worker, lease)
        assert (await record_of(registry, "p")).phase is Phase.QUEUED


@pytest.mark.parametrize("lost", ["lose_requests", "lose_replies"])
async def test_what_never_began_is_sent_until_it_is_answered(registry: ProcessRegistry, crew: Crew, lost: str) -> None:
    """As results are."""
    worker = crew.worker()
    await registry.register(work("p", OWNER_BOUND, "p"))
    lease = await _started(registry, worker)
    getattr(crew.faults_of(worker), lost)("unstart", 3)
    async with crew.running(worker):
        await _unstart(worker, lease)
        assert (await record_of(registry, "p")).phase is Phase.QUEUED


async def _started(registry: ProcessRegistry, worker: Worker) -> ProcessLease:
    """Lease and start ``p`` for a worker whose own claims have not begun."""
    lease = await held(registry, "p", worker.owner, LONG_MS)
    await registry.start(lease)
    return lease


async def _unstart(worker: Worker, lease: ProcessLease) -> None:
    """Have a worker give back what its owner has started and never begun."""
    attempt = Attempt(lease, claimed_row(lease, bound=True), worker.registry.partition_of(lease.process_id))
    outbox = worker.probe.in_flight.outbox
    outbox.unstart(attempt)
    await wait_until(lambda: outbox.is_empty, "it is given back")


async def test_what_strikes_behind_an_answer_leaves_nothing_in_hand(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the handler of a signal raises there: it is sent once more, and the drain has nothing left to defer."""
    bench = Bench()
    async with crew.at_work(bench) as worker:
        roster, strikes = worker.probe.in_flight.roster, [TimeoutError("the handler of a signal")]
        forget = roster.forget

        def struck(attempt: Attempt) -> None:
            if strikes:
                raise strikes.pop()
            forget(attempt)

        monkeypatch.setattr(roster, "forget", struck)
        bench.let_go("p")
        await wait_until(lambda: worker.probe.unfinished == 0, "it is written and forgotten")
        assert (await worker.drain()).deferred == []
    assert await outcomes(registry, "p") == [Success("p done")]

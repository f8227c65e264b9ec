"""What has ended goes along with the claim of what comes next, and waits for no claim."""

from __future__ import annotations

import pytest

from lash_redis.core.model import Phase
from lash_redis.core.outcomes import Success
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import RERUNNABLE, work
from tests.conftest import ServerTime
from tests.look import ended, is_in, lease_of, outcomes
from tests.services.benches import Bench
from tests.services.conftest import Crew
from tests.support import wait_until


@pytest.fixture
def partitions() -> int:
    """Return one: so the order of what runs is known."""
    return 1


async def queued(registry: ProcessRegistry, count: int) -> list[str]:
    """Register work; return the ids, in the order in which it runs."""
    ids = [f"p{number}" for number in range(count)]
    await registry.register_many([work(each, RERUNNABLE, each) for each in ids])
    return ids


async def test_an_end_and_the_next_claim_are_one_call(registry: ProcessRegistry, crew: Crew) -> None:
    """As long as there is more to claim: one script call for each piece of work that follows another."""
    bench = Bench()
    worker = crew.worker(bench.task(), concurrency=1)
    faults = crew.faults_of(worker)
    ids = await queued(registry, 4)
    async with crew.running(worker):
        await wait_until(lambda: len(bench.begun) == 1, "the first runs")
        claims = faults.sent["claim_next"]
        for number, each in enumerate(ids[:-1], start=1):
            bench.let_go(each)
            await wait_until(lambda number=number: len(bench.begun) == number + 1, "the next runs")  # type: ignore[misc]
        assert (faults.sent["turn"], faults.sent["terminalize"], faults.sent["claim_next"]) == (3, 0, claims)
        bench.let_go(ids[-1])
        await ended(registry, ids[-1])
    assert bench.begun == ids
    assert await outcomes(registry, *ids) == [Success(f"{each} done") for each in ids]


async def test_with_nothing_to_claim_an_end_goes_by_itself(registry: ProcessRegistry, crew: Crew) -> None:
    """A call that claims too would be refused by a server that is full."""
    bench = Bench()
    async with crew.at_work(bench) as worker:
        await crew.at_rest(worker)
        faults = crew.faults_of(worker)
        bench.let_go("p")
        await ended(registry, "p")
        assert (faults.sent["turn"], faults.sent["terminalize"], faults.sent["claim_next"]) == (0, 1, 0)


@pytest.mark.parametrize("lost", ["requests", "replies"])
async def test_after_a_lost_answer_each_half_is_sent_again_by_itself(
    registry: ProcessRegistry, crew: Crew, lost: str
) -> None:
    """The result is written, and what the claim handed out runs once."""
    bench = Bench()
    worker = crew.worker(bench.task(), concurrency=1)
    faults = crew.faults_of(worker)
    ids = await queued(registry, 3)
    async with crew.running(worker):
        await wait_until(lambda: len(bench.begun) == 1, "the first runs")
        {"requests": faults.lose_requests, "replies": faults.lose_replies}[lost]("turn")
        claims = faults.sent["claim_next"]
        bench.let_go(ids[0])
        await ended(registry, ids[0])
        await wait_until(lambda: len(bench.begun) == 2, "the second runs")
        assert faults.sent["terminalize"] == 1
        assert faults.sent["claim_next"] == claims + 1
        bench.let_go(*ids[1:])
        for each in ids:
            await ended(registry, each)
    assert bench.begun == ids
    assert await outcomes(registry, *ids) == [Success(f"{each} done") for each in ids]


async def test_what_ends_while_a_claim_is_on_its_way_is_written_at_once(registry: ProcessRegistry, crew: Crew) -> None:
    """No end waits for a claim, whatever that takes along."""
    bench = Bench()
    worker = crew.worker(bench.task(), concurrency=2)
    faults = crew.faults_of(worker)
    ids = await queued(registry, 4)
    async with crew.running(worker):
        await wait_until(lambda: len(bench.begun) == 2, "two run")
        late = faults.delay_reply("turn")
        bench.let_go(ids[0])
        await wait_until(lambda: late.has_happened, "the first is written, and the third is claimed")
        bench.let_go(ids[1])
        await ended(registry, ids[1])
        assert faults.sent["terminalize"] == 1
        assert len(bench.begun) == 2
        late.arrive()
        await wait_until(lambda: len(bench.begun) == 4, "the others run")
        bench.let_go(*ids)
        for each in ids:
            await ended(registry, each)


async def test_what_a_lapsed_lease_refuses_is_written_by_the_outbox(
    registry: ProcessRegistry, crew: Crew, server: ServerTime
) -> None:
    """Which claims it again first (rule 3.5)."""
    bench = Bench()
    worker = crew.worker(bench.task(), concurrency=1)
    faults = crew.faults_of(worker)
    ids = await queued(registry, 2)
    async with crew.running(worker):
        await wait_until(lambda: len(bench.begun) == 1, "the first runs")
        await server.end(registry, await lease_of(registry, ids[0]))
        bench.let_go(*ids)
        for each in ids:
            await ended(registry, each)
        assert faults.sent["turn"] >= 1
        assert faults.sent["claim"] == 1
    assert await outcomes(registry, *ids) == [Success(f"{each} done") for each in ids]


async def test_a_drain_while_the_answer_of_a_turn_is_missing_loses_nothing(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """What ended is written, and what the claim handed out goes back: it never began."""
    bench = Bench()
    worker = crew.worker(bench.task(), concurrency=1)
    faults = crew.faults_of(worker)
    ids = await queued(registry, 2)
    async with crew.running(worker):
        await wait_until(lambda: len(bench.begun) == 1, "the first runs")
        late = faults.delay_reply("turn")
        bench.let_go(ids[0])
        await wait_until(lambda: late.has_happened, "the first is written, and the second is claimed")
        report = await worker.drain()
    late.arrive()
    assert await outcomes(registry, ids[0]) == [Success("p0 done")]
    assert not report.deferred
    await is_in(registry, ids[1], Phase.QUEUED)
    assert bench.begun == ids[:1]

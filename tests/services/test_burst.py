"""Running until empty: a worker leaves once nothing runs and nothing waits for it (rule 9.15)."""

from __future__ import annotations

import asyncio

import pytest

from lash_redis.core.events import Event, WorkerBurstWaits
from lash_redis.core.model import PauseRequest, Phase, ProcessStatus
from lash_redis.core.outcomes import AbandonWriter, Resolution, ResolutionKind
from lash_redis.core.policies import Policy
from lash_redis.core.subscribers import subscribed
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.served_lanes import ServedLanes
from lash_redis.tasks.declaration import declare
from lash_redis.worker.loops import leaving
from lash_redis.worker.loops.leaving import Leaving
from tests.conformance.actors import (
    ADA,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    abandoned,
    cancel,
    held,
    settled,
    work,
)
from tests.conftest import ServerTime
from tests.look import record_of
from tests.services.benches import Bench
from tests.services.conftest import Crew
from tests.support import PATIENCE_S, wait_until


async def test_a_burst_runs_what_waits_and_what_that_submits_and_then_leaves(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """It drains by itself: nothing is left of it, and its report says that all has finished."""

    async def split(piece: str) -> None:
        if len(piece) < 3:
            await registry.register_many([work(f"{piece}{end}", OWNER_BOUND, f"{piece}{end}") for end in "ab"])

    worker = crew.worker(declare(split, recovery="owner_bound", name="work"), burst=True)
    await registry.register_many([work("a", OWNER_BOUND, "a"), work("elsewhere", queue="elsewhere")])

    async with asyncio.timeout(PATIENCE_S):
        await worker.run()

    for process_id in ("a", "aa", "ab", "aaa", "aab", "aba", "abb"):
        assert (await record_of(registry, process_id)).status is ProcessStatus.COMPLETED
    assert (await record_of(registry, "elsewhere")).phase is Phase.QUEUED
    report = await worker.drain()
    assert (report.abandoned, report.deferred, report.released) == ([], [], 0)


async def test_a_burst_stays_while_something_runs(registry: ProcessRegistry, crew: Crew) -> None:
    """Also if nothing waits; then it leaves at once."""
    bench = Bench()
    worker = crew.worker(bench.task(), burst=True)
    await registry.register(work("p", RERUNNABLE, "p"))
    run = asyncio.create_task(worker.run())
    await wait_until(lambda: bench.begun, "it runs")
    in_flight, left = worker.probe.in_flight, list[int]()
    look = Leaving(worker.registry, in_flight, lambda: left.append(1), waits_for_delayed=False)

    await wait_until(lambda: in_flight.claimer.is_quiet, "all partitions were asked in vain")
    await look.step()
    assert not left
    assert not worker.is_draining
    bench.let_go("p")

    async with asyncio.timeout(PATIENCE_S):
        await run
    assert (await record_of(registry, "p")).status is ProcessStatus.COMPLETED


async def test_a_burst_waits_for_what_is_delayed_only_if_it_is_asked_to(
    registry: ProcessRegistry, crew: Crew, server: ServerTime
) -> None:
    """What runs tomorrow does not hold up a build."""
    bench = Bench(is_open=True)
    await registry.register(work("tomorrow", RERUNNABLE, "tomorrow", delay_ms=86_400_000))

    async with asyncio.timeout(PATIENCE_S):
        await crew.worker(bench.task(), burst=True).run()
        assert (await record_of(registry, "tomorrow")).phase is Phase.DELAYED
        await registry.request_cancel("tomorrow", cancel())
        due_at_ms = (await registry.register(work("p", RERUNNABLE, "p", delay_ms=400))).due_at_ms
        assert due_at_ms is not None
        run = asyncio.create_task(crew.worker(bench.task(), burst_delayed=True).run())
        await server.pass_until(due_at_ms)
        await run

    assert (await record_of(registry, "p")).status is ProcessStatus.COMPLETED


async def test_a_burst_does_not_wait_for_what_is_paused(registry: ProcessRegistry, crew: Crew) -> None:
    """Nobody runs it."""
    await registry.pause(PauseRequest("ada", 1), task="work")
    await registry.register(work("p", RERUNNABLE, "p"))

    async with asyncio.timeout(PATIENCE_S):
        await crew.worker(Bench(is_open=True).task(), burst=True).run()

    assert (await record_of(registry, "p")).phase is Phase.QUEUED


@pytest.mark.parametrize("setting", ["burst", "burst_delayed"])
async def test_a_burst_with_nothing_to_do_leaves_at_once(crew: Crew, setting: str) -> None:
    """Also if there was never a row."""
    async with asyncio.timeout(PATIENCE_S):
        await crew.worker(Bench().task(), burst=setting == "burst", burst_delayed=setting != "burst").run()


async def test_a_burst_that_stays_says_once_for_what(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a halted sequence it would stay in silence, until somebody kills it."""
    monkeypatch.setattr(leaving, "TOLD_AFTER_MS", 200)
    heard, ran = list[Event](), list[str]()

    async def do(piece: str) -> None:
        ran.append(piece)

    task = declare(do, recovery="owner_bound", name="work", sequence=True, after_loss="halt")
    scopes = task.limits.scopes
    await registry.register_many(
        [work(id_, OWNER_BOUND, id_, key="ada", scopes=scopes) for id_ in ("ada::1", "ada::2")]
    )
    lease = await held(registry, "ada::1", ADA)
    await registry.start(lease)
    await registry.release(lease)

    def told() -> list[WorkerBurstWaits]:
        return [each for each in heard if isinstance(each, WorkerBurstWaits)]

    with subscribed(heard.append):
        run = asyncio.create_task(crew.worker(task, burst=True).run())
        await wait_until(told, "it says for what it stays")
        assert not run.done()
        await registry.request_abandon("ada::1", abandon())
        await settled(registry, "ada::1", "fact", abandoned(AbandonWriter.RECONCILED_REQUEST, ADA))
        await registry.resolve("ada::1", Resolution(ResolutionKind.ACCEPTED, "ops", 1))
        async with asyncio.timeout(PATIENCE_S):
            await run

    (event,) = told()
    assert event.process_id == "ada::2"
    assert event.reason == "ada::1 is the first of its sequence, and goes before it"
    assert event.then.startswith("lash-redis show ada::2 ")
    assert ran == ["ada::2"]


@pytest.mark.parametrize("losses", [0, 2])
async def test_what_waits_is_found_however_many_lanes_there_are(registry: ProcessRegistry, losses: int) -> None:
    """Also of a key that may not run now, and of a row that is to run alone after two losses."""
    lanes = [*(f"default|t{number}||a," for number in range(700)), "default|work||a,"]
    served = ServedLanes([("default", lanes)])
    first, second = (f"ada::{number}" for number in range(2))
    partition = registry.partition_of(first)
    await registry.name_policies(partition, [Policy("a", keyed=True, limit=registry.partitions)])
    for _ in range(losses):
        await registry.register(work(second, key="ada", scopes="a,"))
        await registry.start(await held(registry, second, ADA))
        await settled(registry, second, "queue", even_if_live=True)

    await registry.register_many([work(each, key="ada", scopes="a,") for each in (first, second)])
    await held(registry, first, ADA)

    assert await registry.waiting(partition, served) == (second, 0)
    await registry.request_cancel(second, cancel())
    assert await registry.waiting(partition, served) == ("", 0)

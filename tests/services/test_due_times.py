"""Delayed work begins at its time: one worker is told of it, another one knows of it too, and nobody polls for it."""

from __future__ import annotations

import pytest

from lash_redis.core.model import Phase, ProcessRegistration
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.worker import Worker
from tests.conformance.actors import LONG_MS, RERUNNABLE, ids_of, work
from tests.conftest import Backend, ServerTime
from tests.look import ended, record_of
from tests.services.benches import Bench
from tests.services.conftest import Crew
from tests.support import wait_until

AT_ONCE_S = 5  # far below any poll
LATER_MS = 2_000  # what a test does meanwhile is done by then, also on a busy machine


def delayed(name: str, delay_ms: int) -> ProcessRegistration:
    """Return the registration of work that may run so much later."""
    return work(name, RERUNNABLE, name, delay_ms=delay_ms)


def knows_when(worker: Worker) -> bool:
    """Say whether a worker will claim by itself, since something becomes due."""
    return bool([*worker.probe.in_flight.claimer.due.at_ms])


async def one_knows(workers: list[Worker]) -> None:
    """Wait until one of these workers knows."""
    await wait_until(lambda: any(map(knows_when, workers)), f"one of {len(workers)} knows")


@pytest.fixture
def time_passes(backend: Backend) -> None:
    """Skip a test on a fake server, whose time stands still."""
    if backend.is_fake:
        pytest.skip("the time of a fake server stands still")


@pytest.mark.usefixtures("time_passes")
async def test_delayed_work_begins_at_its_time(registry: ProcessRegistry, crew: Crew) -> None:
    """The next poll is an hour away; what is due before that which is known is told of too."""
    bench = Bench(is_open=True)
    late, soon = ids_of(2, 1, registry.partitions)
    async with crew.running(crew.worker(bench.task())) as worker:
        await crew.at_rest(worker)
        await registry.register(delayed(late, LATER_MS))
        await wait_until(lambda: knows_when(worker), "it was told")
        await registry.register(delayed(soon, 100))
        records = [await ended(registry, each, AT_ONCE_S) for each in (soon, late)]
    assert bench.begun == [soon, late]
    for record in records:
        assert record.first_started is not None
        assert record.first_started.started_at_ms >= (record.due_at_ms or 0), "not early"


async def test_one_more_worker_knows_when_something_becomes_due(registry: ProcessRegistry, crew: Crew) -> None:
    """Whoever was told may die before: no third one is disturbed."""
    workers = [crew.worker(Bench().task()) for _ in range(3)]
    received = [crew.wake_ups_of(worker) for worker in workers]
    async with crew.running(workers[0]), crew.running(workers[1]), crew.running(workers[2]):
        await crew.at_rest(*workers)
        for delay_ms in (9 * LONG_MS, 8 * LONG_MS, 7 * LONG_MS):  # the first one makes a watcher
            for texts in received:
                texts.clear()
            await registry.register(delayed(f"one::{delay_ms}", delay_ms))
            await wait_until(lambda: sum(map(bool, received)) == 2, "two were told")
            await crew.at_rest(*workers)
            assert sum(map(bool, received)) == 2
        assert sum(map(knows_when, workers)) >= 2


async def test_who_leaves_hands_on_when_something_becomes_due(registry: ProcessRegistry, crew: Crew) -> None:
    """In a deploy all that know of it leave, one after the other; the last one that is there knows."""
    there = [crew.worker(Bench().task()) for _ in range(4)]
    async with crew.running(there[0]), crew.running(there[1]), crew.running(there[2]), crew.running(there[3]):
        await crew.at_rest(*there)
        await registry.register(delayed("p", LONG_MS))
        while len(there) > 1:
            await one_knows(there)
            leaving = [worker for worker in there if knows_when(worker)][: len(there) - 1]
            there = [worker for worker in there if worker not in leaving]
            for worker in leaving:
                worker.probe.in_flight.claimer.leave()  # all of them are told at once, and close one after the other
            for worker in leaving:
                worker.hurry()
                await worker.drain()
        await one_knows(there)


@pytest.mark.usefixtures("time_passes")
async def test_a_full_worker_wakes_another_one_for_what_is_due(registry: ProcessRegistry, crew: Crew) -> None:
    """It has no slot for it, and is the only one that knows when."""
    busy, free = Bench(), Bench(is_open=True)
    here, later = ids_of(2, 1, registry.partitions)
    full = crew.worker(busy.task(), concurrency=1)
    async with crew.running(full):
        await crew.at_rest(full)
        await registry.register(delayed(later, LATER_MS))
        await wait_until(lambda: knows_when(full), "it was told")
        await registry.register(work(here, RERUNNABLE, here))
        await wait_until(lambda: busy.begun, "it is full")
        async with crew.running(crew.worker(free.task())) as other:
            other.probe.in_flight.claimer.due.told = lambda *_: None  # type: ignore[method-assign]  # it knows nothing
            await crew.at_rest(other)
            assert not knows_when(other)
            await ended(registry, later, AT_ONCE_S)
        busy.let_go(here)
        await ended(registry, here)
    assert (busy.begun, free.begun) == ([here], [later])


@pytest.mark.usefixtures("time_passes")
async def test_a_full_worker_begins_what_became_due_once_it_has_room(
    registry: ProcessRegistry, crew: Crew, server: ServerTime
) -> None:
    """There is no other one."""
    bench = Bench()
    here, later = ids_of(2, 1, registry.partitions)
    async with crew.running(worker := crew.worker(bench.task(), concurrency=1)):
        await crew.at_rest(worker)
        await registry.register(work(here, RERUNNABLE, here))
        await wait_until(lambda: bench.begun, "it is full")
        await registry.register(delayed(later, 50))
        due_at_ms = (await record_of(registry, later)).due_at_ms or 0
        bench.let_go(later)
        await server.pass_until(due_at_ms)
        assert bench.begun == [here]
        bench.let_go(here)
        await ended(registry, later, AT_ONCE_S)


async def test_nobody_polls_for_what_is_delayed(registry: ProcessRegistry, crew: Crew) -> None:
    """A worker at rest claims nothing, with a delayed row in each partition; only its sweeps are to be seen."""
    worker = crew.worker(Bench().task(), sweep_ms=200)
    faults = crew.faults_of(worker)
    for partition in range(registry.partitions):
        await registry.register(delayed(ids_of(1, partition, registry.partitions)[0], LONG_MS))
    async with crew.running(worker):
        await crew.at_rest(worker)
        assert knows_when(worker)
        faults.sent.clear()
        await wait_until(lambda: faults.sent["glance"] >= 5 * registry.partitions, "it swept five times")
    assert faults.sent.keys() <= {"glance", "page", "other_lanes", "forget_owners", "close_claims"}


@pytest.mark.parametrize("backend", ["fakeredis"], indirect=True)
async def test_the_clock_of_the_server_says_what_is_due(
    registry: ProcessRegistry, crew: Crew, backend: Backend
) -> None:
    """The time of the worker passes, and that of the server stands still, and steps back and on."""
    assert backend.clock is not None
    bench = Bench(is_open=True)
    async with crew.running(worker := crew.worker(bench.task())):
        faults = crew.faults_of(worker)
        await crew.at_rest(worker)
        await registry.register(delayed("p", 20))
        due_at_ms = (await record_of(registry, "p")).due_at_ms or 0
        for step_ms in (0, 19, -5):
            backend.clock.advance(step_ms)
            faults.sent.clear()
            await wait_until(lambda: faults.sent["claim_next"] >= 3, "it claimed when it thought that it was due")
            assert (await record_of(registry, "p")).phase is Phase.DELAYED
        backend.clock.move_to(due_at_ms)
        await ended(registry, "p", AT_ONCE_S)

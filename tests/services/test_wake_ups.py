"""Work starts at once: one idle worker is woken, who cannot serve passes it on, and who has nothing to do is quiet."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.outcomes import Success
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import LANE, RERUNNABLE, ids_of, work
from tests.conftest import Backend, ServerTime
from tests.look import ended
from tests.services.benches import Bench
from tests.services.conftest import Crew
from tests.support import wait_until

AT_ONCE_S = 5  # far below any poll


async def test_registered_work_starts_at_once(registry: ProcessRegistry, crew: Crew) -> None:
    """The next poll is an hour away, in whatever partition it comes."""
    bench = Bench(is_open=True)
    async with crew.running(crew.worker(bench.task())) as worker:
        await crew.at_rest(worker)
        for number in range(6):
            await registry.register(work(f"p{number}", RERUNNABLE, f"p{number}"))
            await ended(registry, f"p{number}", AT_ONCE_S)


async def test_one_idle_worker_of_three_is_woken(registry: ProcessRegistry, crew: Crew) -> None:
    """No thundering herd: one registration, one wake-up."""
    bench = Bench(is_open=True)
    workers = [crew.worker(bench.task()) for _ in range(3)]
    received = [crew.wake_ups_of(worker) for worker in workers]
    async with crew.running(workers[0]), crew.running(workers[1]), crew.running(workers[2]):
        await crew.at_rest(*workers)
        await registry.register(work("p", RERUNNABLE, "p"))
        await ended(registry, "p", AT_ONCE_S)
    assert sorted(len(each) for each in received) == [0, 0, 1]


async def test_a_worker_that_does_not_know_the_task_passes_the_wake_up_on(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """It waited longest, so the wake-up goes to it first; the one that knows the task still begins at once."""
    bench = Bench(is_open=True)
    stranger, knows = crew.worker(Bench().task(name="other")), crew.worker(bench.task())
    async with crew.running(stranger):
        await crew.at_rest(stranger)
        async with crew.running(knows):
            await crew.at_rest(knows)
            await registry.register(work("p", RERUNNABLE, "p"))
            await ended(registry, "p", AT_ONCE_S)


async def test_a_full_worker_passes_the_wake_up_on(registry: ProcessRegistry, crew: Crew) -> None:
    """It has no slot free: another worker has."""
    busy, free = Bench(), Bench(is_open=True)
    here, there = ids_of(1, 0, registry.partitions)[0], ids_of(1, 1, registry.partitions)[0]
    full = crew.worker(busy.task(), concurrency=1)
    async with crew.running(full):
        await crew.at_rest(full)
        await registry.register(work(here, RERUNNABLE, here))
        await wait_until(lambda: busy.begun, "it is full")
        async with crew.running(crew.worker(free.task())) as other:
            await crew.at_rest(other)
            await registry.register(work(there, RERUNNABLE, there))
            await ended(registry, there, AT_ONCE_S)
        busy.let_go(here)
        await ended(registry, here)
    assert (busy.begun, free.begun) == ([here], [there])


async def test_a_full_worker_remembers_what_nobody_else_was_there_to_take(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """The wake-up came while the only worker had no free slot: it claims once it has one, before the next poll."""
    bench = Bench()
    here, there = ids_of(1, 0, registry.partitions)[0], ids_of(1, 1, registry.partitions)[0]
    worker = crew.worker(bench.task(), concurrency=1)
    async with crew.running(worker):
        await crew.at_rest(worker)
        await registry.register(work(here, RERUNNABLE, here))
        await wait_until(lambda: bench.begun == [here], "it is full")
        await registry.register(work(there, RERUNNABLE, there))
        bench.let_go(here, there)
        await ended(registry, there, AT_ONCE_S)


async def test_whoever_leaves_a_row_behind_wakes_the_next(registry: ProcessRegistry, crew: Crew) -> None:
    """A burst wakes one worker; what that one has no slot for wakes the others, so that all run at once."""
    bench = Bench()
    workers = [crew.worker(bench.task(), concurrency=2) for _ in range(3)]
    ids = ids_of(6, 0, registry.partitions)
    async with crew.running(workers[0]), crew.running(workers[1]), crew.running(workers[2]):
        await crew.at_rest(*workers)
        await registry.register_many([work(each, RERUNNABLE, each) for each in ids])
        await wait_until(lambda: len(bench.begun) == 6, "all six run", AT_ONCE_S)
        bench.let_go(*ids)
        for each in ids:
            await ended(registry, each)


async def test_work_given_back_wakes_another_worker(registry: ProcessRegistry, crew: Crew) -> None:
    """What a drain releases runs elsewhere at once."""
    bench, free = Bench(), Bench(is_open=True)
    leaving, staying = crew.worker(bench.task(), concurrency=1), crew.worker(free.task())
    async with crew.running(leaving):
        await registry.register(work("p", RERUNNABLE, "p"))
        await wait_until(lambda: bench.begun, "it runs")
        async with crew.running(staying):
            await crew.at_rest(staying)
            leaving.hurry()
            await leaving.drain()
            await ended(registry, "p", AT_ONCE_S)
    assert free.begun == ["p"]


async def test_an_idle_worker_is_quiet(registry: ProcessRegistry, crew: Crew) -> None:
    """At rest it sends one read for each sweep and partition, and for six slow polls one claim; no look is due."""
    worker = crew.worker(Bench().task(), poll_ms=500, sweep_ms=100)
    faults = crew.faults_of(worker)
    async with crew.running(worker):
        await crew.at_rest(worker)
        await wait_until(lambda: faults.sent["forget_owners"] >= registry.partitions, "its first sweep has forgotten")
        faults.sent.clear()
        await wait_until(lambda: faults.sent["claim_next"] >= 2 * registry.partitions, "it claimed twice")
        sent = dict(faults.sent)
    assert sent.keys() <= {"claim_next", "other_lanes", "glance"}
    assert sent.get("other_lanes", 0) <= registry.partitions  # one that was on its way
    assert sent["claim_next"] <= sent["glance"] / 3  # a machine under load sweeps late


@pytest.mark.parametrize("due", [False, True])
async def test_a_sweep_makes_up_for_a_lost_wake_up(
    registry: ProcessRegistry, crew: Crew, server: ServerTime, monkeypatch: pytest.MonkeyPatch, due: bool
) -> None:
    """Long before the next slow poll: it sees that a lane has rows, or that something has become due."""
    bench = Bench(is_open=True)
    worker = crew.worker(bench.task(), sweep_ms=50)
    monkeypatch.setattr(worker.probe.wake_ups, "received", lambda _partition, _text: None)
    faults = crew.faults_of(worker)
    async with crew.running(worker):
        await crew.at_rest(worker)
        await wait_until(lambda: faults.sent["glance"] >= 2 * registry.partitions, "it has swept")
        await registry.register(work("p", RERUNNABLE, "p", delay_ms=20 * due))
        await server.pass_until(await server.now_ms() + 20)
        await ended(registry, "p")


async def test_work_registered_while_nobody_listens_starts_with_the_worker(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """What was published before is lost; whoever begins to listen looks everywhere."""
    bench = Bench(is_open=True)
    ids = [f"p{number}" for number in range(20)]
    await registry.register_many([work(each, RERUNNABLE, each) for each in ids])
    async with crew.running(crew.worker(bench.task(), concurrency=3)):
        for each in ids:
            await ended(registry, each, AT_ONCE_S)
    assert sorted(bench.begun) == sorted(ids)


async def test_work_registered_while_a_subscription_is_broken_starts_once_it_stands_again(
    registry: ProcessRegistry, crew: Crew, backend: Backend, client: Any
) -> None:
    """The worker asks every partition again, since nothing that was published meanwhile has reached it."""
    if backend.is_fake:
        pytest.skip("a fake server breaks no connections")
    bench = Bench(is_open=True)
    async with crew.running(worker := crew.worker(bench.task())):
        await crew.at_rest(worker)
        await client.client_kill_filter(_type="pubsub")
        await registry.register(work("p", RERUNNABLE, "p"))
        assert (await ended(registry, "p")).outcome == Success("p done")


async def test_a_wake_up_for_a_lane_that_is_empty_by_now_harms_nobody(registry: ProcessRegistry, crew: Crew) -> None:
    """Hints may be late, doubled, or lies."""
    bench = Bench(is_open=True)
    async with crew.running(crew.worker(bench.task())) as worker:
        await crew.at_rest(worker)
        for text in (f"lane {LANE}", "lane nowhere|x|", "request nothing", "ended nothing", "", "lane", "what"):
            worker.probe.wake_ups.received(0, text)
        await registry.register(work("p", RERUNNABLE, "p"))
        await ended(registry, "p", AT_ONCE_S)


async def test_workers_that_know_other_tasks_pass_wake_ups_on_and_get_later_ones(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """A rolling deploy: whoever passed a wake-up on is among the idle again long before its next poll."""
    work_bench, other_bench = Bench(is_open=True), Bench(is_open=True)
    one, two = crew.worker(work_bench.task()), crew.worker(other_bench.task(name="other"))
    async with crew.running(one), crew.running(two):
        await crew.at_rest(one, two)
        for number in range(4):
            await registry.register(work(f"w{number}", RERUNNABLE, f"w{number}"))
            await ended(registry, f"w{number}", AT_ONCE_S)
            await registry.register(work(f"o{number}", RERUNNABLE, f"o{number}", task="other"))
            await ended(registry, f"o{number}", AT_ONCE_S)

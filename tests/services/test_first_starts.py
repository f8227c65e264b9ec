"""The first start of owner-bound work, and work that has nothing to execute."""

from __future__ import annotations

import pytest

from lash_redis.core.model import (
    ExternalInput,
    Phase,
    ProcessRegistration,
    ProcessStarted,
    ProcessStatus,
    RecoveryDisposition,
    TaskInput,
)
from lash_redis.core.outcomes import Failure, Success
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.declaration import declare
from tests.conformance.actors import ADA, OWNER_BOUND, RERUNNABLE, begun, held, work
from tests.look import ended, is_in, outcomes, record_of
from tests.services.benches import Bench
from tests.services.conftest import Crew
from tests.support import wait_until


async def test_owner_bound_work_that_never_started_runs_once_on_any_worker(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """A first execution is no re-execution: what ADA only held, and gave back, runs on whichever worker comes."""
    bench = Bench(is_open=True)
    await registry.register(work("p", OWNER_BOUND, "p"))
    await registry.release(await held(registry, "p", ADA))

    one, two = crew.worker(bench.task()), crew.worker(bench.task())
    async with crew.running(one), crew.running(two):
        record = await ended(registry, "p")

    assert bench.begun == ["p"]
    assert record.outcome == Success("p done")
    assert record.first_started is not None
    assert record.first_started.owner in (one.owner, two.owner)


async def test_first_started_is_on_the_record_before_the_first_line_of_user_code(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """So that no crash, at whatever moment, can hide that it began."""
    seen: list[ProcessStarted | None] = []

    async def look(process_id: str) -> None:
        seen.append((await record_of(registry, process_id)).first_started)

    worker = crew.worker(declare(look, recovery="owner_bound", name="work"))
    await registry.register(work("p", OWNER_BOUND, "p"))
    async with crew.running(worker):
        await ended(registry, "p")

    assert [started and started.owner for started in seen] == [worker.owner]


@pytest.mark.parametrize("disposition", [RERUNNABLE, OWNER_BOUND])
async def test_work_with_nothing_to_execute_fails_and_is_never_abandoned(
    registry: ProcessRegistry, crew: Crew, disposition: RecoveryDisposition
) -> None:
    """``ExternalInput`` on work that the pool may run: started, then failed."""
    await registry.register(ProcessRegistration("p", ExternalInput({"to": "nobody"}), disposition))
    worker = crew.worker()
    async with crew.running(worker):
        record = await ended(registry, "p")

    assert record.status is ProcessStatus.FAILED
    assert isinstance(record.outcome, Failure)
    assert record.outcome.code == "no_input"
    assert record.first_started is not None
    assert record.first_started.owner == worker.owner


async def test_arguments_that_do_not_decode_fail_after_the_start(registry: ProcessRegistry, crew: Crew) -> None:
    """Rows of a task that the worker knows but cannot call are started, then failed: never left, never retried."""

    async def count(number: int) -> int:
        return number

    ids = ["bound", "again", "many"]
    await registry.register_many(
        [
            work("bound", OWNER_BOUND, "no number", task="count"),
            work("again", RERUNNABLE, "no number", task="count"),
            work("many", RERUNNABLE, 1, 2, 3, task="count"),
        ]
    )
    async with crew.running(crew.worker(declare(count, recovery="rerunnable", name="count"))):
        failures = await outcomes(registry, *ids)

    assert [failure.code for failure in failures] == ["undecodable"] * 3
    assert None not in [(await record_of(registry, each)).first_started for each in ids]


async def test_an_unknown_task_stays_queued_and_hides_nothing_behind_it(registry: ProcessRegistry, crew: Crew) -> None:
    """During a rolling deploy the new task's work waits for a worker that knows it; the old one's goes on."""
    bench = Bench(is_open=True)
    strangers = [work(f"new-{number}", OWNER_BOUND, "x", task="new") for number in range(20)]
    await registry.register_many([*strangers, work("old", RERUNNABLE, "old")])

    async with crew.running(crew.worker(bench.task())):
        await ended(registry, "old")
        assert {(await record_of(registry, each.id)).phase for each in strangers} == {Phase.QUEUED}
        async with crew.running(crew.worker(bench.task("owner_bound", name="new"))):
            for stranger in strangers:
                await ended(registry, stranger.id)


async def test_a_signature_that_no_worker_declares_stays_queued(registry: ProcessRegistry, crew: Crew) -> None:
    """Work of other code, under the same task's name, waits for a worker with that code."""
    bench = Bench(is_open=True)
    other = ProcessRegistration("other", TaskInput("work", ("x",)), RERUNNABLE, signature="0" * 16)
    await registry.register_many([other, work("p", RERUNNABLE, "p")])

    async with crew.running(crew.worker(bench.task())):
        await ended(registry, "p")
        await is_in(registry, "other", Phase.QUEUED)


async def test_queues_are_served_in_their_order(registry: ProcessRegistry, crew: Crew) -> None:
    """With one slot what stands in the first queue goes before all of the second."""
    bench = Bench(is_open=True)
    same_partition = ["a", "a::1", "a::2", "a::3"]
    await registry.register_many(
        [
            work(each, RERUNNABLE, each, queue="late" if number < 2 else "soon")
            for number, each in enumerate(same_partition)
        ]
    )
    async with crew.running(crew.worker(bench.task(), queues=("soon", "late"), concurrency=1)):
        await wait_until(lambda: len(bench.begun) == 4, "all have begun")

    assert bench.begun == ["a::2", "a::3", "a", "a::1"]


async def test_a_replayed_start_lets_no_second_worker_run_it(registry: ProcessRegistry, crew: Crew) -> None:
    """What another owner has started and holds is not handed out, whatever wakes the worker."""
    bench = Bench(is_open=True)
    await registry.register(work("p", OWNER_BOUND, "p"))
    await begun(registry, "p", ADA)
    async with crew.running(crew.worker(bench.task())) as worker:
        await worker.drive_pending()
    assert bench.begun == []

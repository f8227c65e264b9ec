"""Each run that is to be made again is told once and counted once, whatever answers are lost."""

from __future__ import annotations

import asyncio

from lash_redis.core.errors import LashError
from lash_redis.core.events import Event, ProcessResultRefused, ProcessRetried
from lash_redis.core.retrying import Retry
from lash_redis.core.subscribers import subscribed
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.declaration import Declaration, declare
from tests.conformance.actors import BOB, LONG_MS, RERUNNABLE, held, work
from tests.conftest import ServerTime
from tests.look import ended, record_of
from tests.services.conftest import Crew
from tests.support import wait_until


class Failing:
    """Work whose first runs fail, each once it is let go."""

    def __init__(self, runs: int, *, is_open: bool = False) -> None:
        self.begun = 0
        self.gate = asyncio.Event()
        self._fails = runs
        if is_open:
            self.gate.set()

    def task(self) -> Declaration:
        """Return the task that does this work."""

        async def work(piece: str) -> str:
            self.begun += 1
            run = self.begun
            await self.gate.wait()
            if run <= self._fails:
                raise Retry(f"run {run}", after=0)
            return piece

        return declare(work, recovery="rerunnable", name="work")


async def test_a_run_is_told_although_the_next_one_has_failed_before_its_answer(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """The row keeps the token of its last retry alone: the one of the run before is asked for first."""
    failing, events = Failing(2, is_open=True), list[Event]()
    worker = crew.worker(failing.task())
    faults = crew.faults_of(worker)
    await crew.lanes_named(worker)
    faults.lose_replies("retry", 4)
    with subscribed(events.append):
        async with crew.running(worker):
            await registry.register(work("p", RERUNNABLE, "p"))
            record = await ended(registry, "p")
            await wait_until(lambda: worker.probe.unfinished == 0, "all is answered")
    assert [each.attempt for each in events if isinstance(each, ProcessRetried)] == [1, 2]
    assert not [each for each in events if isinstance(each, ProcessResultRefused)]
    assert record.attempts == 3


async def test_a_run_counts_although_the_answer_to_claiming_it_again_was_lost(
    registry: ProcessRegistry, crew: Crew, server: ServerTime
) -> None:
    """Its lease lapsed, and this worker has a lease of which it does not know."""
    failing, events = Failing(1), list[Event]()
    worker = crew.worker(failing.task())
    faults = crew.faults_of(worker)
    await registry.register(work("p", RERUNNABLE, "p"))
    with subscribed(events.append):
        async with crew.running(worker):
            await wait_until(lambda: failing.begun, "it runs")
            attempt = worker.probe.attempt("p")
            assert attempt is not None
            faults.lose_replies("claim", 3)
            faults.loses_renewals = True  # one would say that the lease is lost, and stop the run
            await server.end(registry, attempt.lease)
            failing.gate.set()
            record = await ended(registry, "p")
            await wait_until(lambda: worker.probe.unfinished == 0, "all is answered")
    assert [each.attempt for each in events if isinstance(each, ProcessRetried)] == [1]
    assert (record.attempts, record.losses, failing.begun) == (2, 0, 2)


async def test_a_retry_that_comes_too_late_is_told(registry: ProcessRegistry, crew: Crew) -> None:
    """Another owner has the row: that run is lost, and whoever looks for its failure finds why it is nowhere."""
    failing, events = Failing(1), list[Event]()
    worker = crew.worker(failing.task())
    faults = crew.faults_of(worker)
    await registry.register(work("p", RERUNNABLE, "p"))
    with subscribed(events.append):
        async with crew.running(worker):
            await wait_until(lambda: failing.begun, "it runs")
            attempt = worker.probe.attempt("p")
            assert attempt is not None
            await crew.at_rest(worker)
            worker.probe.claiming.pause(LashError("a test keeps the row for Bob"))
            faults.loses_renewals = True  # one would say that the lease is lost, and stop the run
            await registry.release(attempt.lease)
            await held(registry, "p", BOB, LONG_MS)
            failing.gate.set()
            await wait_until(lambda: worker.probe.unfinished == 0, "nothing is left to send")
    refused = [each for each in events if isinstance(each, ProcessResultRefused)]
    assert refused == [ProcessResultRefused(process_id="p", status="STALE")]
    assert (await record_of(registry, "p")).attempts == 0

"""What a run, or the system under it, does to its worker: the row is true, and the worker goes on."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from lash_redis.core.events import Event, WorkerCannotBegin
from lash_redis.core.model import Phase, RecoveryDisposition
from lash_redis.core.outcomes import Failure, Success
from lash_redis.core.subscribers import subscribed
from lash_redis.tasks.declaration import declare
from lash_redis.worker.attempt import Attempt, Stop
from tests.conformance.actors import work
from tests.look import ended, is_in, record_of
from tests.services.benches import OWNER_BOUND, RERUNNABLE, Bench
from tests.services.conftest import Crew
from tests.support import wait_until

BOTH = pytest.mark.parametrize("recovery", [RERUNNABLE, OWNER_BOUND])


class Limit:
    """The system's limit of threads, as far as those of tasks go: no other is refused."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_reached = True
        start = threading.Thread.start

        def started(thread: threading.Thread) -> None:
            if self.is_reached and thread.name.startswith("lash-task"):
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", started)


@BOTH
async def test_what_gets_no_thread_is_given_back_and_runs_once_there_is_one(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, recovery: str
) -> None:
    """It is no loss and no attempt, and nobody abandons it: no line of it ran."""
    seen: list[Event] = []
    limit = Limit(monkeypatch)

    def plain(piece: str) -> str:
        return piece

    worker = crew.worker(declare(plain, recovery=recovery, name="work"), poll_ms=50)
    await worker.registry.register(work("p", RecoveryDisposition(recovery), "done"))
    with subscribed(seen.append):
        async with crew.running(worker):
            await wait_until(lambda: [each for each in seen if isinstance(each, WorkerCannotBegin)], "it is told")
            await is_in(worker.registry, "p", Phase.QUEUED)
            limit.is_reached = False
            record = await ended(worker.registry, "p")
    assert record.outcome == Success("done")
    assert record.losses == 0


class BrokenHandler(logging.Handler):
    """A log handler that raises."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raise what no ``except Exception`` catches."""
        raise SystemExit(record.name)


@BOTH
async def test_a_log_handler_that_raises_costs_no_result(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, recovery: str
) -> None:
    """The failure is written and its slot is free: the next piece of work runs."""
    handler = BrokenHandler()
    monkeypatch.setattr(logging.getLogger("lash_redis"), "handlers", [handler])

    async def fail(piece: str) -> Any:
        raise ValueError(piece)

    worker = crew.worker(declare(fail, recovery=recovery, name="work"), concurrency=1)
    for name in ("p", "q"):
        await worker.registry.register(work(name, RecoveryDisposition(recovery), name))
    async with crew.running(worker):
        outcomes = [(await ended(worker.registry, name)).outcome for name in ("p", "q")]
    assert [outcome.message for outcome in outcomes if isinstance(outcome, Failure)] == ["p", "q"]


@pytest.mark.parametrize("result", [object(), "x" * 2_000_000], ids=["wrong type", "too long"])
async def test_the_code_of_a_result_that_cannot_be_carried_is_one(crew: Crew, result: Any) -> None:
    """Whether it is too long or of a wrong type: whoever reads the failure does the same about it."""

    async def give(_piece: str) -> Any:
        return result

    worker = crew.worker(declare(give, recovery=RERUNNABLE, name="work"))
    await worker.registry.register(work("p", RecoveryDisposition.RERUNNABLE, "p"))
    async with crew.running(worker):
        outcome = (await ended(worker.registry, "p")).outcome
    assert isinstance(outcome, Failure)
    assert outcome.code == "lash_redis.PayloadError"


async def test_an_awaitable_of_a_plain_function_is_stopped_by_a_drain(crew: Crew) -> None:
    """It is given back as any other rerunnable work that the grace was too short for."""
    bench = Bench()
    waiting = bench.task().function

    def wrapper(piece: str) -> Any:
        return waiting(piece)

    worker = crew.worker(declare(wrapper, recovery=RERUNNABLE, name="work"))
    await worker.registry.register(work("p", RecoveryDisposition.RERUNNABLE, "p"))
    async with crew.running(worker):
        await wait_until(lambda: bench.begun, "what the function returned is awaited")
        worker.hurry()
        report = await worker.drain()
    assert bench.stopped == ["p"]
    assert report.released == 1
    assert (await record_of(worker.registry, "p")).phase is Phase.QUEUED


@BOTH
async def test_what_a_drain_stops_before_its_first_line_is_given_back_whole(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, recovery: str
) -> None:
    """No line of it ran, so that it is not abandoned: another worker starts it, for the first time."""
    first, second = Bench(is_open=True), Bench(is_open=True)
    leaver = crew.worker(first.task(recovery))
    begin = leaver.probe.in_flight.runner.begin

    def begin_as_it_leaves(attempt: Attempt) -> None:
        begin(attempt)
        attempt.ask_to_stop(Stop.DRAIN)

    monkeypatch.setattr(leaver.probe.in_flight.runner, "begin", begin_as_it_leaves)
    await leaver.registry.register(work("p", RecoveryDisposition(recovery), "p"))
    await leaver.drive_pending()
    assert (await leaver.drain()).abandoned == []
    record = await record_of(leaver.registry, "p")
    assert (record.phase, record.first_started, record.losses) == (Phase.QUEUED, None, 0)

    async with crew.running(crew.worker(second.task(recovery))):
        assert (await ended(leaver.registry, "p")).outcome == Success("p done")
    assert (first.begun, second.begun) == ([], ["p"])

"""What a worker does on an ordinary day: it claims what it knows, runs it, and writes what came of it."""

from __future__ import annotations

import logging

import pytest

from lash_redis.core.events import Event, ProcessCompleted
from lash_redis.core.outcomes import Success
from lash_redis.core.subscribers import subscribed, wants
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.declaration import declare
from tests.conformance.actors import OWNER_BOUND, RERUNNABLE, work
from tests.look import outcomes
from tests.services.benches import Bench, PlainBench
from tests.services.conftest import Crew
from tests.support import wait_until


async def test_async_and_plain_work_runs_and_its_result_is_written(registry: ProcessRegistry, crew: Crew) -> None:
    """Both kinds of functions end ``completed`` with what they returned."""
    bench, plain = Bench(is_open=True), PlainBench()
    plain.let_go("b")
    await registry.register_many([work("a", RERUNNABLE, "a"), work("b", OWNER_BOUND, "b", task="plain")])

    async with crew.running(crew.worker(bench.task(), plain.task())):
        assert await outcomes(registry, "a", "b") == [Success("a done"), Success("b done")]


async def test_completed_work_is_told_with_how_long_it_took(registry: ProcessRegistry, crew: Crew) -> None:
    """Once its result is written; of what failed this is not said."""
    events: list[Event] = []
    bench = Bench(is_open=True)

    def fail(piece: str) -> None:
        raise ValueError(piece)

    await registry.register_many([work("a", RERUNNABLE, "a"), work("b", RERUNNABLE, "b", task="fail")])
    with subscribed(events.append):
        async with crew.running(crew.worker(bench.task(), declare(fail, recovery="rerunnable", name="fail"))):
            await outcomes(registry, "a", "b")
            await wait_until(lambda: any(isinstance(each, ProcessCompleted) for each in events), "it is told")
    (told,) = [each for each in events if isinstance(each, ProcessCompleted)]
    assert (told.process_id, told.task) == ("a", "work")
    assert told.took_ms >= 0


def test_an_event_that_nobody_hears_is_not_made(caplog: pytest.LogCaptureFixture) -> None:
    """One for each process would cost a busy worker its time."""
    with caplog.at_level(logging.INFO, "lash_redis"):
        assert not wants(ProcessCompleted)
        with subscribed(lambda _event: None):
            assert wants(ProcessCompleted)
    with caplog.at_level(logging.DEBUG, "lash_redis"):
        assert wants(ProcessCompleted)

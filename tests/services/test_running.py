"""What a worker does on an ordinary day: it claims what it knows, runs it, and writes what came of it."""

from __future__ import annotations

from lash_redis.core.model import Success
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import OWNER_BOUND, RERUNNABLE, work
from tests.look import outcomes
from tests.services.benches import Bench, PlainBench
from tests.services.conftest import Crew


async def test_async_and_plain_work_runs_and_its_result_is_written(registry: ProcessRegistry, crew: Crew) -> None:
    """Both kinds of functions end ``completed`` with what they returned."""
    bench, plain = Bench(is_open=True), PlainBench()
    plain.let_go("b")
    await registry.register_many([work("a", RERUNNABLE, "a"), work("b", OWNER_BOUND, "b", task="plain")])

    async with crew.running(crew.worker(bench.task(), plain.task())):
        assert await outcomes(registry, "a", "b") == [Success("a done"), Success("b done")]

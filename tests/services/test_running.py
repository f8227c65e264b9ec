"""What a worker does on an ordinary day: it claims what it knows, runs it, and writes what came of it."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.model import Failure, ProcessStatus, Success
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import OWNER_BOUND, RERUNNABLE, work
from tests.services.benches import Bench, PlainBench
from tests.support import wait_until


async def test_async_and_plain_work_runs_and_its_result_is_written(registry: ProcessRegistry, make_worker: Any, runs: Any) -> None:
    """Both kinds of functions end ``completed`` with what they returned."""
    bench, plain = Bench(is_open=True), PlainBench()
    plain.let_go("b")
    await registry.register_many([work("a", RERUNNABLE, "a"), work("b", OWNER_BOUND, "b", task="plain")])

    async with runs(make_worker(bench.task(), plain.task())):
        for name in "ab":
            async def is_done() -> bool:
                record = await registry.get(name)
                return record is not None and record.outcome == Success(f"{name} done")
            await wait_until(is_done, f"{name} is completed")

"""Workers on every backend: made in one line, drained at the end, and nothing of theirs left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.worker import Worker
from tests.conformance.conftest import leaves_it_sound
from tests.services.faults import Faults

__all__ = ["leaves_it_sound"]

WorkerMaker = Callable[..., Worker]
Runs = Callable[..., AbstractAsyncContextManager[Worker]]

NEVER_MS = 3_600_000  # of polls and sweeps that a test does not wait for
QUICK = {
    "sweep_ms": NEVER_MS, "poll_ms": NEVER_MS, "grace_ms": 200, "cancel_ms": 2_000, "drain_ms": 2_000, "concurrency": 8,
}  # fmt: skip


@pytest.fixture
def partitions() -> int:
    """Return two: enough to find what forgets a partition; the conformance suite runs with 1 and 8."""
    return 2


@pytest.fixture
def make_worker(make_registry: Callable[..., ProcessRegistry]) -> WorkerMaker:
    """Return what makes a worker with a registry of its own, which sweeps and polls only when told."""

    def make(*tasks: Any, registry: ProcessRegistry | None = None, **options: Any) -> Worker:
        return Worker(registry or make_registry(), tasks, **(QUICK | options))

    return make


@pytest.fixture
async def runs() -> AsyncIterator[Runs]:
    """Return what runs a worker while a block lasts and drains it in a hurry at its end; the loop must be tidy then."""
    before = asyncio.all_tasks()

    @asynccontextmanager
    async def run(worker: Worker) -> AsyncIterator[Worker]:
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.hurry()
            try:
                await worker.drain()
            finally:
                await running

    yield run
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not {task.get_coro() for task in left}, "a worker that has left leaves nothing on the event loop"


@pytest.fixture
def faults_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[ProcessRegistry], Faults]]:
    """Return what puts faults between one registry and its server."""
    yield lambda registry: Faults(registry, monkeypatch)

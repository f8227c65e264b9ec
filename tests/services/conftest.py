"""Workers on every backend: made in one line, drained at the end, and nothing of theirs left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lash_redis.core.model import RecoveryDisposition
from lash_redis.registry.answers import BatchClaim
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.declaration import Declaration
from lash_redis.worker.worker import Worker
from tests.conformance.actors import CYD, work
from tests.conformance.conftest import leaves_it_sound
from tests.conftest import Backend, RegistryMaker
from tests.proxy import Proxy
from tests.services.benches import RERUNNABLE, Bench
from tests.services.faults import Faults
from tests.support import wait_until

__all__ = ["leaves_it_sound"]

NEVER_MS = 3_600_000  # between polls and sweeps that a test does not wait for
QUICK = {
    "sweep_ms": NEVER_MS, "poll_ms": NEVER_MS, "grace_ms": 200, "interrupt_ms": 2_000, "last_writes_ms": 2_000,
    "concurrency": 8,
}  # fmt: skip


class Crew:
    """Makes workers, and runs each while a block lasts."""

    def __init__(self, make_registry: Callable[..., ProcessRegistry], monkeypatch: pytest.MonkeyPatch) -> None:
        self._make_registry = make_registry
        self._monkeypatch = monkeypatch

    def worker(self, *tasks: Declaration, registry: ProcessRegistry | None = None, **options: Any) -> Worker:
        """Return a worker with a registry of its own, which sweeps and polls only when a test asks for it."""
        return Worker(registry or self._make_registry(), tasks, **(QUICK | options))

    async def lanes_named(self, worker: Worker) -> None:
        """Let the partitions know the lanes of a worker that has not claimed yet, so that its first claim hands out."""
        for partition in range(worker.registry.partitions):
            claim = BatchClaim(partition, CYD, 1, 0, 1_000, worker.probe.in_flight.claimer.served)
            await worker.registry.claim_next(claim)

    def faults_of(self, worker: Worker) -> Faults:
        """Put faults between a worker and the server."""
        return Faults(worker.registry, self._monkeypatch)

    def wake_ups_of(self, worker: Worker) -> list[str]:
        """Return the list that fills with the texts of the wake-ups that a worker receives."""
        texts: list[str] = []
        receive = worker.probe.wake_ups.received

        def received(partition: int, text: str) -> None:
            texts.append(text)
            receive(partition, text)

        self._monkeypatch.setattr(worker.probe.wake_ups, "received", received)
        return texts

    @asynccontextmanager
    async def running(self, worker: Worker) -> AsyncIterator[Worker]:
        """Run a worker until the block ends, and then drain it in a hurry unless it has drained."""
        run = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.hurry()
            try:
                await worker.drain()
            finally:
                await run

    @asynccontextmanager
    async def at_work(self, bench: Bench, recovery: str = RERUNNABLE, **options: Any) -> AsyncIterator[Worker]:
        """Run a worker of the bench's task until the block ends. One process ``p`` of that task has begun."""
        worker = self.worker(bench.task(recovery), **options)
        await worker.registry.register(work("p", RecoveryDisposition(recovery), "p"))
        async with self.running(worker):
            await wait_until(lambda: bench.begun, "its work has begun")
            yield worker

    async def at_rest(self, *workers: Worker) -> None:
        """Wait until each listens, has asked every partition and found no more."""
        for worker in workers:
            await wait_until(lambda worker=worker: worker.probe.is_at_rest, "the worker is at rest")  # type: ignore[misc]


@pytest.fixture
async def crew(make_registry: Callable[..., ProcessRegistry], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Crew]:
    """Return what makes and runs workers; once they have left, no asyncio task and no thread of theirs is left."""
    before = asyncio.all_tasks()
    yield Crew(make_registry, monkeypatch)
    await wait_until(lambda: not _threads(), "the worker's threads have ended")
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not {task.get_coro() for task in left}, "a worker that has left leaves nothing on the event loop"


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("lash-")]


@pytest.fixture
def proxy(backend: Backend) -> Iterator[Proxy]:
    """Return a proxy before the server; a test with a fake server is skipped."""
    if backend.is_fake:
        pytest.skip("a proxy stands before a real server")
    with Proxy(backend.url) as running:
        yield running


@pytest.fixture
def far_registry(make_registry: RegistryMaker, proxy: Proxy) -> ProcessRegistry:
    """Return a registry whose calls go through the proxy."""
    return make_registry(client=proxy.url, timeout_s=0.3)


@pytest.fixture
def partitions() -> int:
    """Return two: enough to find what forgets a partition; the conformance suite runs with 1 and 8."""
    return 2

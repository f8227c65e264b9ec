"""Workers on every backend: made in one line, drained at the end, and nothing of theirs left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.declaration import Declaration
from lash_redis.worker.worker import Worker
from tests.conformance.conftest import leaves_it_sound
from tests.conftest import Backend
from tests.services.faults import Faults
from tests.support import wait_until

__all__ = ["leaves_it_sound"]

NEVER_MS = 3_600_000  # between polls and sweeps that a test does not wait for
QUICK = {
    "sweep_ms": NEVER_MS, "poll_ms": NEVER_MS, "grace_ms": 200, "cancel_ms": 2_000, "drain_ms": 2_000, "concurrency": 8,
}  # fmt: skip


class Crew:
    """Makes workers, and runs each while a block lasts."""

    def __init__(self, make_registry: Callable[..., ProcessRegistry], monkeypatch: pytest.MonkeyPatch) -> None:
        self._make_registry = make_registry
        self._monkeypatch = monkeypatch

    def worker(self, *tasks: Declaration, registry: ProcessRegistry | None = None, **options: Any) -> Worker:
        """Return a worker with a registry of its own, which sweeps and polls only when told."""
        return Worker(registry or self._make_registry(), tasks, **(QUICK | options))

    def faults_of(self, worker: Worker) -> Faults:
        """Put faults between a worker and the server."""
        return Faults(worker.registry, self._monkeypatch)

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


class ServerTime:
    """The time of the server, which decides about leases."""

    def __init__(self, backend: Backend, client: Any) -> None:
        self.is_fake = backend.is_fake
        self._backend = backend
        self._client = client

    async def pass_until(self, moment_ms: int) -> None:
        """Let it come to a moment: at once on a fake server, by waiting on a real one."""
        await self._backend.pass_time_until(self._client, moment_ms)

    async def lapse(self, registry: ProcessRegistry, *process_ids: str) -> list[Any]:
        """Let the leases on processes run out; return what they were."""
        leases = [lease for each in process_ids if (lease := await registry.lease(each)) is not None]
        assert len(leases) == len(process_ids)
        await self.pass_until(max(lease.expires_at_ms for lease in leases))
        assert [await registry.lease(each) for each in process_ids] == [None] * len(process_ids)
        return leases


@pytest.fixture
def server(backend: Backend, client: Any) -> ServerTime:
    """Return the server's time."""
    return ServerTime(backend, client)


@pytest.fixture
def partitions() -> int:
    """Return two: enough to find what forgets a partition; the conformance suite runs with 1 and 8."""
    return 2

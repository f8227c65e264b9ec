"""One ``Worker`` in one OS process, without a pool: killed while it works, or stopped for longer than its lease."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lash_redis.core.liveness import LeaseOwner, LocalProcess
from lash_redis.core.model import Phase, ProcessStatus
from lash_redis.core.outcomes import AbandonWriter
from lash_redis.recovery.sweep import Sweep, SweepReport
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import OWNER_BOUND, RERUNNABLE, work
from tests.look import ended, evidence, is_in, lease_of, record_of
from tests.repo.tree import ROOT
from tests.support import block_until, process_state, wait_until

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(sys.platform != "linux", reason="proof of death by pid needs Linux"),
]

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from lash_redis import Worker
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.declaration import declare

url, namespace, folder, ttl_ms = sys.argv[1:]
folder = Path(folder)

async def do(name: str) -> str:
    with (folder / f"{name}.begun").open("a") as file:
        file.write(f"{worker.owner.owner_id} {worker.owner.incarnation_id}\\n")
    while not (folder / f"{name}.go").exists():
        await asyncio.sleep(0.005)
    return worker.owner.incarnation_id

async def measure(name: str) -> str:
    return await do(name)

async def pay(name: str) -> str:
    return await do(name)

async def exit_beside(name: str) -> None:
    async def exit_soon():
        sys.exit(3)

    await asyncio.gather(exit_soon())

worker = Worker(
    ProcessRegistry(url, namespace),
    [
        declare(measure, recovery="rerunnable", name="measure"),
        declare(pay, recovery="owner_bound", name="pay"),
        declare(exit_beside, recovery="rerunnable", name="exit_beside"),
    ],
    lease_ttl_ms=int(ttl_ms), sweep_ms=100, poll_ms=200,
)
print(json.dumps([worker.owner.owner_id, worker.owner.incarnation_id]), flush=True)
asyncio.run(worker.run())
"""


class Child:
    """A program that runs a worker until it is killed."""

    def __init__(self, url: str, namespace: str, folder: Path, ttl_ms: int) -> None:
        command = [sys.executable, "-c", PROGRAM, url, namespace, str(folder), str(ttl_ms)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout is not None
        self.name, self.incarnation = json.loads(self.process.stdout.readline())

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self) -> None:
        """Kill and reap it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Children:
    """Programs that run workers; a folder notes which work began and which may end.

    Attributes:
        registry: for the test to look at the rows.
    """

    def __init__(self, url: str, namespace: str, folder: Path) -> None:
        self.registry = ProcessRegistry(url, namespace)
        self._arguments = (url, namespace, folder)
        self._folder = folder
        self._started: list[Child] = []

    def start(self, ttl_ms: int = 30_000) -> Child:
        """Start a worker."""
        self._started.append(Child(*self._arguments, ttl_ms))
        return self._started[-1]

    def begun(self, name: str) -> list[str]:
        """Return the incarnations that began a piece of work, one for each run."""
        path = self._folder / f"{name}.begun"
        return [line.split()[1] for line in path.read_text().splitlines()] if path.exists() else []

    def let_end(self, name: str) -> None:
        """Let a piece of work end, wherever it runs."""
        (self._folder / f"{name}.go").touch()

    def end(self) -> None:
        """Kill what still runs."""
        for child in self._started:
            child.end()


@pytest.fixture
async def children(url: str, namespace: str, tmp_path: Path) -> AsyncIterator[Children]:
    """Return what starts children; they are killed after the test."""
    children = Children(url, namespace, tmp_path)
    yield children
    children.end()
    await children.registry.aclose()


async def both_begun(children: Children) -> None:
    """Register one piece of work of each kind and wait until both run."""
    await children.registry.register_many(
        [work("again", RERUNNABLE, "again", task="measure"), work("once", OWNER_BOUND, "once", task="pay")]
    )
    await wait_until(lambda: children.begun("again") and children.begun("once"), "both have begun", 20)


async def test_the_work_of_a_killed_worker_is_recovered_by_its_neighbour(children: Children) -> None:
    """Rerunnable work runs again and completes. A sweep abandons owner-bound work, since its starter is gone."""
    first = children.start()
    await both_begun(children)
    second = children.start()
    first.send(signal.SIGKILL)
    first.end()

    await wait_until(lambda: len(children.begun("again")) == 2, "the rerunnable one runs elsewhere", 20)
    children.let_end("again")
    again, once = await ended(children.registry, "again"), await ended(children.registry, "once")

    assert children.begun("again") == [first.incarnation, second.incarnation]
    assert children.begun("once") == [first.incarnation]
    assert (again.status, again.losses) == (ProcessStatus.COMPLETED, 1)
    found = evidence(once)
    assert (found.writer, found.proof) == (AbandonWriter.SWEEP, "gone")
    assert found.owner is not None
    assert (found.owner.owner_id, found.owner.incarnation_id) == (first.name, first.incarnation)
    assert isinstance(found.owner.liveness, LocalProcess)
    assert found.owner.liveness.pid == first.process.pid


async def test_sys_exit_beside_a_run_ends_a_program_and_leaves_its_rows_true(children: Children) -> None:
    """Asyncio ends the program's event loop, which is not ours to hold. It is a death like any other, and proven so."""
    child = children.start()
    await both_begun(children)
    await children.registry.register(work("leave", RERUNNABLE, "leave", task="exit_beside"))
    block_until(lambda: child.process.poll() is not None, "the program has ended", 20)
    assert child.process.returncode == 3
    again, once = await record_of(children.registry, "again"), await record_of(children.registry, "once")
    assert (again.status, once.status) == (ProcessStatus.RUNNING, ProcessStatus.RUNNING)

    report = await Sweep(children.registry, LeaseOwner.local_process("neighbour", "neighbour-1")).run_once()

    assert report.abandoned == 1
    assert (await record_of(children.registry, "again")).phase is Phase.QUEUED
    found = evidence(await record_of(children.registry, "once"))
    assert (found.writer, found.proof) == (AbandonWriter.SWEEP, "gone")


async def test_a_killed_worker_is_dead_once_it_is_reaped_and_not_before(children: Children) -> None:
    """A zombie is no proof of death, so that nothing is settled."""
    child = children.start()
    await both_begun(children)
    sweep = Sweep(children.registry, LeaseOwner.local_process("neighbour", "neighbour-1"))
    child.send(signal.SIGKILL)
    await wait_until(lambda: process_state(child.process.pid) == "Z", "it is a zombie")

    assert await sweep.run_once() == SweepReport()
    child.end()
    assert await sweep.run_once() == SweepReport(abandoned=1, requeued=1)


async def test_work_of_a_worker_that_was_stopped_for_longer_than_its_lease(children: Children) -> None:
    """When it runs again after the lapse, another worker has the rerunnable work, and it has the owner-bound work.

    The revenant claims the owner-bound work again and writes its result. Its result of the other is refused.
    """
    first = children.start(3_000)
    await both_begun(children)
    first.send(signal.SIGSTOP)
    block_until(lambda: process_state(first.process.pid) == "T", "it is stopped")
    second = children.start(30_000)
    await wait_until(lambda: len(children.begun("again")) == 2, "the rerunnable one runs elsewhere", 20)
    await is_in(children.registry, "once", Phase.UNCERTAIN)
    assert (await record_of(children.registry, "again")).losses == 1

    first.send(signal.SIGCONT)
    await is_in(children.registry, "once", Phase.STARTED)
    children.let_end("once")
    once = await ended(children.registry, "once")
    lease = await lease_of(children.registry, "again")
    assert lease.owner.incarnation_id == second.incarnation
    children.let_end("again")
    again = await ended(children.registry, "again")

    assert (once.status, getattr(once.outcome, "value", None)) == (ProcessStatus.COMPLETED, first.incarnation)
    assert (again.status, getattr(again.outcome, "value", None)) == (ProcessStatus.COMPLETED, second.incarnation)
    assert children.begun("once") == [first.incarnation]
    assert children.begun("again") == [first.incarnation, second.incarnation]

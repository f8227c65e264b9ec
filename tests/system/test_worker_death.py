"""One ``Worker`` in one OS process, without the pool: killed in mid-work, or stopped for longer than its lease."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lash_redis.core.liveness import LeaseOwner, LocalProcess
from lash_redis.core.model import AbandonWriter, Phase, ProcessStatus
from lash_redis.recovery.sweep import Sweep, SweepReport
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import OWNER_BOUND, RERUNNABLE, work
from tests.repo.tree import ROOT
from tests.services.look import ended, evidence, is_in, record_of
from tests.support import block_until, wait_until

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

worker = Worker(
    ProcessRegistry(url, namespace),
    [declare(measure, recovery="rerunnable", name="measure"), declare(pay, recovery="owner_bound", name="pay")],
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


class Stage:
    """Where children work: a folder of what began and what may end, and a registry to look at it all."""

    def __init__(self, url: str, namespace: str, folder: Path) -> None:
        self.registry = ProcessRegistry(url, namespace)
        self._where = (url, namespace, folder)
        self._children: list[Child] = []

    def child(self, ttl_ms: int = 30_000) -> Child:
        """Start a worker."""
        self._children.append(Child(*self._where, ttl_ms))
        return self._children[-1]

    def begun(self, name: str) -> list[str]:
        """Return by whom work was begun, one incarnation for each run."""
        path = self._where[2] / f"{name}.begun"
        return [line.split()[1] for line in path.read_text().splitlines()] if path.exists() else []

    def let_go(self, name: str) -> None:
        """Let work end, wherever it runs."""
        (self._where[2] / f"{name}.go").touch()

    def end(self) -> None:
        """End what still runs."""
        for child in self._children:
            child.end()


@pytest.fixture
async def stage(url: str, namespace: str, tmp_path: Path) -> AsyncIterator[Stage]:
    """Return the stage; its children are ended with the test."""
    stage = Stage(url, namespace, tmp_path)
    yield stage
    stage.end()
    await stage.registry.aclose()


async def both_begun(stage: Stage) -> None:
    """Register one piece of work of each kind and wait until both run."""
    await stage.registry.register_many(
        [work("again", RERUNNABLE, "again", task="measure"), work("once", OWNER_BOUND, "once", task="pay")]
    )
    await wait_until(lambda: stage.begun("again") and stage.begun("once"), "both have begun", 20)


async def test_a_killed_workers_work_is_recovered_by_its_neighbour(stage: Stage) -> None:
    """Rerunnable work runs again and completes; owner-bound work is abandoned, by sweep, for its starter is gone."""
    first = stage.child()
    await both_begun(stage)
    second = stage.child()
    first.send(signal.SIGKILL)
    first.end()

    await wait_until(lambda: len(stage.begun("again")) == 2, "it runs elsewhere", 20)
    stage.let_go("again")
    again, once = await ended(stage.registry, "again"), await ended(stage.registry, "once")

    assert stage.begun("again") == [first.incarnation, second.incarnation]
    assert stage.begun("once") == [first.incarnation]
    assert (again.status, again.losses) == (ProcessStatus.COMPLETED, 1)
    found = evidence(once)
    assert (found.writer, found.proof) == (AbandonWriter.SWEEP, "gone")
    assert found.owner is not None
    assert (found.owner.owner_id, found.owner.incarnation_id) == (first.name, first.incarnation)
    assert isinstance(found.owner.liveness, LocalProcess)
    assert found.owner.liveness.pid == first.process.pid


async def test_a_killed_worker_is_dead_once_it_is_reaped_and_not_before(stage: Stage) -> None:
    """A zombie is not proof of death; nothing is settled on it."""
    child = stage.child()
    await both_begun(stage)
    sweep = Sweep(stage.registry, LeaseOwner.local_process("neighbour", "neighbour-1"))
    child.send(signal.SIGKILL)
    await wait_until(lambda: _state(child.process.pid) == "Z", "it is a zombie")

    assert await sweep.run_once() == SweepReport()
    child.end()
    assert await sweep.run_once() == SweepReport(abandoned=1, requeued=1)


async def test_work_of_a_worker_that_was_stopped_for_longer_than_its_lease(stage: Stage) -> None:
    """SIGSTOP, and SIGCONT after the lapse: the rerunnable work is another's by then; the owner-bound is its own.

    The revenant claims the one that it started again and writes its result; what it says of the other is refused.
    """
    first = stage.child(1_000)
    await both_begun(stage)
    first.send(signal.SIGSTOP)
    block_until(lambda: _state(first.process.pid) == "T", "it is stopped")
    second = stage.child(30_000)
    await wait_until(lambda: len(stage.begun("again")) == 2, "the lapsed one runs elsewhere", 20)
    await is_in(stage.registry, "once", Phase.UNCERTAIN)
    assert (await record_of(stage.registry, "again")).losses == 1

    first.send(signal.SIGCONT)
    await is_in(stage.registry, "once", Phase.STARTED)
    stage.let_go("once")
    once = await ended(stage.registry, "once")
    lease = await stage.registry.lease("again")
    assert lease is not None
    assert lease.owner.incarnation_id == second.incarnation
    stage.let_go("again")
    again = await ended(stage.registry, "again")

    assert (once.status, getattr(once.outcome, "value", None)) == (ProcessStatus.COMPLETED, first.incarnation)
    assert (again.status, getattr(again.outcome, "value", None)) == (ProcessStatus.COMPLETED, second.incarnation)
    assert stage.begun("once") == [first.incarnation]
    assert stage.begun("again") == [first.incarnation, second.incarnation]


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

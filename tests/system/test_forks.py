"""What a fork copies: workers, their owners, their event loops. No copy acts in its original's name (rule 2.8)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lash_redis.core.liveness import LeaseOwner, LocalProcess
from lash_redis.core.model import Phase, ProcessRegistration, RecoveryDisposition, TaskInput
from lash_redis.core.outcomes import AbandonWriter, Success
from lash_redis.recovery.sweep import Sweep, SweepReport
from tests.conformance.actors import local_owner
from tests.look import evidence, record_of
from tests.repo.tree import ROOT
from tests.support import process_state, wait_until
from tests.system.pools import Work

pytestmark = pytest.mark.system

PROGRAM = """
import asyncio, json, os, signal, sys, threading
from pathlib import Path
from lash_redis import *

url, namespace, folder = sys.argv[1:4]
FOLDER = Path(folder)
lash = Lash(url, namespace)

def note(name, text):
    with (FOLDER / name).open("a") as file:
        file.write(f"{text}\\n")

async def until_go(name):
    note(f"{name}.begun", os.getpid())
    while not (FOLDER / f"{name}.go").exists():
        await asyncio.sleep(0.005)
    return os.getpid()

@lash.task(recovery="owner_bound", name="pay")
async def pay(name: str) -> int:
    return await until_go(name)

@lash.task(recovery="owner_bound", name="fork")
async def fork(name: str) -> int:
    if os.fork() == 0:
        copy(name)
        return 0
    return await until_go(name)

def copy(name):
    note(f"{name}.copy", os.getpid())

worker = Worker(
    lash.registry, lash.tasks, lease_ttl_ms=10_000, sweep_ms=50, poll_ms=100, concurrency=1, grace_ms=0,
    last_writes_ms=5_000,
)

async def work():
    def leave():
        leaving.append(asyncio.get_running_loop().create_task(worker.drain()))
    leaving = []
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leave)
    await worker.run()
    await lash.aclose()
"""

DAEMON = """
note("launcher.owner", worker.owner.incarnation_id)
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
note("daemon.pid", os.getpid())
asyncio.run(work())
"""

TWO_COPIES = """
for _ in range(2):
    if os.fork() == 0:
        asyncio.run(work())
        os._exit(0)
for _ in range(2):
    os.wait()
"""

ONE = "asyncio.run(work())"

DRAINS = """
def copy(name):
    report = asyncio.run(worker.drain())
    note(f"{name}.drained", json.dumps([report.abandoned, len(report.deferred), report.released]))
    note(f"{name}.copy", os.getpid())
"""

RUNS_ON = """
def copy(name):
    note(f"{name}.copy", os.getpid())
    asyncio._set_running_loop(inherited)  # as a copy would have it that nobody hindered

inherited = None
_work = work
async def work():
    global inherited
    inherited = asyncio.get_running_loop()
    await _work()
"""


class Programs:
    """Programs that fork; a folder notes what they did, and which work may end."""

    def __init__(self, url: str, namespace: str, folder: Path) -> None:
        self._arguments = [url, namespace, str(folder)]
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *parts: str) -> subprocess.Popen[bytes]:
        """Start a program that does these things."""
        command = [sys.executable, "-c", "\n".join([PROGRAM, *parts]), *self._arguments]
        self._started.append(subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL))
        return self._started[-1]

    def noted(self, name: str) -> list[str]:
        """Return the lines of a note."""
        path = self._folder / name
        return path.read_text().splitlines() if path.exists() else []

    def pids(self, name: str) -> list[int]:
        """Return the pids in a note."""
        return [int(line) for line in self.noted(name)]

    def let_end(self, *names: str) -> None:
        """Let pieces of work end, wherever they run."""
        for name in names:
            (self._folder / f"{name}.go").touch()

    def end(self) -> None:
        """Kill all that was started, and what left its session, by the pids that it noted."""
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pid in self.pids("daemon.pid"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def programs(url: str, namespace: str, tmp_path: Path) -> Iterator[Programs]:
    """Return what starts programs; all have ended after the test."""
    started = Programs(url, namespace, tmp_path)
    yield started
    started.end()


async def submit(work: Work, task: str, name: str) -> None:
    """Register owner-bound work; its id is its name."""
    await work.registry.register(ProcessRegistration(name, TaskInput(task, (name,)), RecoveryDisposition.OWNER_BOUND))


async def has_begun(programs: Programs, *names: str) -> None:
    """Wait until pieces of work have begun."""
    await wait_until(lambda: all(programs.noted(f"{name}.begun") for name in names), f"{names} have begun", 20)


async def test_a_worker_made_before_a_daemon_forks_is_not_taken_for_dead(programs: Programs, work: Work) -> None:
    """Its owner names the daemon, although the launcher had minted one: while its code runs nobody proves it dead."""
    launcher = programs.start(DAEMON)
    await submit(work, "pay", "p")
    await has_begun(programs, "p")
    assert launcher.wait(10) == 0

    assert await Sweep(work.registry, local_owner()).run_once() == SweepReport()
    record = await record_of(work.registry, "p")
    assert record.first_started is not None
    starter = record.first_started.owner
    assert isinstance(starter.liveness, LocalProcess)
    assert [starter.liveness.pid] == programs.pids("daemon.pid") == programs.pids("p.begun")
    assert [starter.incarnation_id] != programs.noted("launcher.owner")
    programs.let_end("p")
    assert (await work.end_of("p")).outcome == Success(starter.liveness.pid)


async def test_forked_copies_of_a_worker_are_two_incarnations(programs: Programs, work: Work) -> None:
    """The drain of one abandons what that one started, and writes nothing about the other's work."""
    programs.start(TWO_COPIES)
    for name in "ab":
        await submit(work, "pay", name)
    await has_begun(programs, "a", "b")
    leaves, stays = programs.pids("a.begun")[0], programs.pids("b.begun")[0]
    assert leaves != stays

    os.kill(leaves, signal.SIGTERM)

    abandoned = evidence(await work.end_of("a"))
    assert (abandoned.writer, _pid_of(abandoned.owner)) == (AbandonWriter.OWNER_DRAIN, leaves)
    assert (await record_of(work.registry, "b")).phase is Phase.STARTED
    programs.let_end("b")
    assert (await work.end_of("b")).outcome == Success(stays)


@pytest.mark.parametrize("copy", ["", DRAINS, RUNS_ON], ids=["returns", "drains", "runs on"])
async def test_a_copy_that_a_task_forked_does_nothing_in_the_workers_name(
    programs: Programs, work: Work, copy: str
) -> None:
    """Whatever it does, its worker goes on: one result, of the original, and nothing runs in the copy."""
    program = programs.start(copy, ONE)
    await submit(work, "fork", "p")
    await has_begun(programs, "p")
    await wait_until(lambda: programs.pids("p.copy"), "the copy has acted")
    (pid,) = programs.pids("p.copy")
    await wait_until(lambda: process_state(pid) == "Z", "the copy has ended")
    assert programs.noted("p.drained") in ([], ["[[], 0, 0]"])
    assert (await record_of(work.registry, "p")).phase is Phase.STARTED
    programs.let_end("p", "next")
    assert (await work.end_of("p")).outcome == Success(program.pid)
    await submit(work, "pay", "next")
    assert (await work.end_of("next")).outcome == Success(program.pid)
    assert programs.pids("next.begun") == [program.pid]
    program.terminate()
    assert program.wait(20) == 0


def _pid_of(owner: LeaseOwner | None) -> int:
    assert owner is not None
    assert isinstance(owner.liveness, LocalProcess)
    return owner.liveness.pid

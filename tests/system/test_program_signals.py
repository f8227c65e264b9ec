"""``Worker.run(signals=True)``: SIGTERM and SIGINT drain a program's own worker, and then the program goes on."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lash_redis.core.model import ProcessRegistration, RecoveryDisposition, TaskInput
from lash_redis.core.outcomes import AbandonWriter, Success
from tests.look import evidence
from tests.repo.tree import ROOT
from tests.support import block_until, wait_until
from tests.system.pools import Work

pytestmark = pytest.mark.system

PROGRAM = """
import asyncio, logging, os, signal, sys
from pathlib import Path
from lash_redis import Lash, Worker

url, namespace, folder, grace_ms, workers, verb = sys.argv[1:7]
FOLDER = Path(folder)
logging.basicConfig(filename=FOLDER / "log", level="INFO")
lash = Lash(url, namespace)

@lash.task(recovery="owner_bound", name="pay")
async def pay(name: str) -> int:
    (FOLDER / f"{name}.begun").write_text(str(os.getpid()))
    while not (FOLDER / f"{name}.go").exists():
        await asyncio.sleep(0.005)
    return os.getpid()

@lash.task(recovery="owner_bound", name="fork")
async def fork(name: str) -> int:
    child = os.fork()
    if child == 0:
        (FOLDER / f"{name}.begun").write_text(str(os.getpid()))
        signal.pause()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def handlers():
    return [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]

async def main():
    before = handlers()
    made = [
        Worker(lash.registry, lash.tasks, concurrency=1, sweep_ms=60_000, poll_ms=100, grace_ms=int(grace_ms))
        for _ in range(int(workers))
    ]
    await asyncio.gather(*(getattr(each, verb)(signals=True) for each in made))
    reports = [await each.drain() for each in made]
    await lash.aclose()
    print(sorted(each for report in reports for each in report.abandoned), handlers() == before)

asyncio.run(main())
sys.exit(7)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(url: str, namespace: str, tmp_path: Path) -> Iterator[Start]:
    """Return what starts the program, which has ended after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(grace_ms: int = 0, workers: int = 1, verb: str = "run") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, url, namespace, str(tmp_path), str(grace_ms), str(workers), verb]
        started.append(
            subprocess.Popen(
                command, cwd=ROOT, start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        )
        return started[-1]

    yield start
    for process in started:
        with process, contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def noted(path: Path) -> str:
    """Return the text of a file, empty as long as there is none."""
    return path.read_text() if path.exists() else ""


async def submit(work: Work, *names: str, task: str = "pay") -> None:
    """Register owner-bound work."""
    for name in names:
        await work.registry.register(
            ProcessRegistration(name, TaskInput(task, (name,)), RecoveryDisposition.OWNER_BOUND)
        )


async def begin(work: Work, folder: Path, *names: str, task: str = "pay") -> list[int]:
    """Register owner-bound work, wait until it has begun, and return the pids in which it did."""
    await submit(work, *names, task=task)
    return await begun(folder, *names)


async def begun(folder: Path, *names: str) -> list[int]:
    """Wait until pieces of work have begun, and return the pids in which they did."""
    for name in names:
        await wait_until(functools.partial(noted, folder / f"{name}.begun"), f"{name} has begun")
    return [int(noted(folder / f"{name}.begun")) for name in names]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_a_worker_in_a_program(
    start: Start, work: Work, tmp_path: Path, number: signal.Signals
) -> None:
    """Owner-bound work is abandoned with evidence; ``run`` returns, and the exit code is the program's."""
    program = start()
    await begin(work, tmp_path, "p")

    program.send_signal(number)

    assert (program.communicate()[0], program.returncode) == ("['p'] True\n", 7)
    assert evidence(await work.end_of("p")).writer is AbandonWriter.OWNER_DRAIN


async def test_a_signal_drains_what_a_program_drives_once(start: Start, work: Work, tmp_path: Path) -> None:
    """What cron starts leaves as a pool does."""
    await submit(work, "p")
    program = start(verb="drive_pending")
    await begun(tmp_path, "p")

    program.send_signal(signal.SIGTERM)

    assert (program.communicate()[0], program.returncode) == ("['p'] True\n", 7)
    assert evidence(await work.end_of("p")).writer is AbandonWriter.OWNER_DRAIN


async def test_work_may_end_within_the_grace_of_a_signal(start: Start, work: Work, tmp_path: Path) -> None:
    """One signal shortens nothing, and those that come with it count with it."""
    program = start(grace_ms=60_000)
    (pid,) = await begin(work, tmp_path, "p")

    program.send_signal(signal.SIGINT)
    program.send_signal(signal.SIGTERM)
    (tmp_path / "p.go").touch()

    assert program.communicate()[0] == "[] True\n"
    assert (await work.end_of("p")).outcome == Success(pid)


async def test_a_second_signal_hurries_the_drain_of_a_program(start: Start, work: Work, tmp_path: Path) -> None:
    """A second or more after the first it ends the grace, and it is still a drain."""
    program = start(grace_ms=600_000)
    await begin(work, tmp_path, "p")

    program.send_signal(signal.SIGINT)
    block_until(lambda: "worker.draining" in noted(tmp_path / "log"), "it drains")
    first_at = time.monotonic()
    block_until(lambda: time.monotonic() > first_at + 1, "the next signal counts")
    program.send_signal(signal.SIGINT)

    assert (program.communicate()[0], program.returncode) == ("['p'] True\n", 7)


async def test_a_signal_drains_every_worker_of_a_program(start: Start, work: Work, tmp_path: Path) -> None:
    """Two workers that run at the same time are both drained, and the handlers of before are back at the end."""
    program = start(workers=2)
    await begin(work, tmp_path, "a", "b")

    program.send_signal(signal.SIGTERM)

    assert program.communicate()[0] == "['a', 'b'] True\n"


async def test_a_signal_ends_what_a_task_forked_in_a_program(start: Start, work: Work, tmp_path: Path) -> None:
    """The child has the handlers of before: SIGTERM ends it, and drains nobody."""
    start(grace_ms=600_000)
    (child,) = await begin(work, tmp_path, "f", task="fork")

    os.kill(child, signal.SIGTERM)

    assert (await work.end_of("f")).outcome == Success(-signal.SIGTERM)

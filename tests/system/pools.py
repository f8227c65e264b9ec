"""Pools as their users run them: started by the command line, stopped by signals. Files control their tasks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from lash_redis.core.model import ProcessRecord, ProcessRegistration, RecoveryDisposition, TaskInput
from lash_redis.core.outcomes import AbandonEvidence
from lash_redis.registry.registry import ProcessRegistry
from tests.look import ended, record_of
from tests.repo.tree import ROOT
from tests.support import PATIENCE_S, block_until

# Each task writes the pid of its OS process into NAME.begun when it begins, and ends once the file NAME.go exists.
TASKS = '''
import asyncio, ctypes, os, subprocess, time
from pathlib import Path
from lash_redis import Lash, Retries, Snooze, StopRequested

FOLDER = Path(__file__).parent
lash = Lash(namespace=os.environ["POOL_NAMESPACE"], partitions=int(os.environ.get("POOL_PARTITIONS", "1")))


def begin(name):
    with (FOLDER / f"{name}.begun").open("a") as file:
        file.write(f"{os.getpid()}\\n")


async def until_go(name):
    begin(name)
    while not (FOLDER / f"{name}.go").exists():
        await asyncio.sleep(0.01)
    return os.getpid()


@lash.task(recovery="rerunnable", name="measure")
async def measure(name: str) -> int:
    return await until_go(name)


@lash.task(recovery="owner_bound", name="pay")
async def pay(name: str) -> int:
    return await until_go(name)


@lash.task(recovery="rerunnable", name="measure_in_a_thread")
def measure_in_a_thread(name: str) -> int:
    begin(name)
    while not (FOLDER / f"{name}.go").exists():
        time.sleep(0.01)
    return os.getpid()


def refuse_to_stop(name):
    begin(name)
    while True:
        try:
            while True:
                time.sleep(0.01)
        except StopRequested:
            begin(f"{name}.asked")


@lash.task(recovery="rerunnable", name="measure_stubborn")
def measure_stubborn(name: str) -> None:
    refuse_to_stop(name)


@lash.task(recovery="owner_bound", name="pay_stubborn")
def pay_stubborn(name: str) -> None:
    refuse_to_stop(name)


@lash.task(recovery="rerunnable", name="hold_the_gil")
def hold_the_gil(name: str, seconds: float) -> float:
    """Hold the GIL in one C call, without load on the machine: a function of PyDLL does not let it go."""
    begin(name)
    began = time.monotonic()
    ctypes.PyDLL(None).poll(None, 0, int(seconds * 1000))
    return time.monotonic() - began


@lash.task(recovery="rerunnable", name="spawn")
async def spawn(name: str) -> int:
    """Start an OS process in the group of the worker process, and leave it running."""
    (FOLDER / f"{name}.child").write_text(str(subprocess.Popen(["sleep", "600"]).pid))
    return await until_go(name)


@lash.task(recovery="rerunnable", name="orphan")
def orphan(name: str) -> None:
    """Start an OS process that outlives its parent a little, so that pid 1 inherits it."""
    begin(name)
    subprocess.run(["sh", "-c", "(sleep 0.05 & ) ; exit 0"], check=True)


class KillsItsWorker(Exception):
    def __str__(self):
        """Kill the worker process while it looks at the failure, before the retry is sent."""
        if not (FOLDER / "killed").exists():
            (FOLDER / "killed").touch()
            os.kill(os.getpid(), 9)
        return "its worker lives"


@lash.task(recovery="rerunnable", name="fail_twice", retries=Retries(attempts=3, first=0.01))
def fail_twice(name: str) -> int:
    begin(name)
    if len((FOLDER / f"{name}.begun").read_text().splitlines()) < 3:
        raise KillsItsWorker
    return os.getpid()


class KillsItsWorkerAsItSnoozes(KillsItsWorker, Snooze):
    pass


@lash.task(recovery="rerunnable", name="snooze_twice")
def snooze_twice(name: str) -> int:
    begin(name)
    if len((FOLDER / f"{name}.begun").read_text().splitlines()) < 3:
        raise KillsItsWorkerAsItSnoozes(0.01)
    return os.getpid()


async def note(name, file):
    await asyncio.sleep(0.02)
    with (FOLDER / file).open("a") as ledger:
        ledger.write(f"{name}\\n")
    await asyncio.sleep(0.02)


@lash.task(recovery="rerunnable", name="measure_briefly")
async def measure_briefly(name: str) -> None:
    await note(name, "measured")


@lash.task(recovery="owner_bound", name="pay_briefly")
async def pay_briefly(name: str) -> None:
    await note(name, "paid")


@lash.task(recovery="owner_bound", name="transfer", key="account", sequence=True, after_loss="halt")
async def transfer(account: str, name: str) -> int:
    return await until_go(name)


@lash.task(recovery="owner_bound", name="transfer_and_go_on", key="account", sequence=True, after_loss="continue")
async def transfer_and_go_on(account: str, name: str) -> int:
    return await until_go(name)


@lash.task(recovery="rerunnable", name="crash")
def crash() -> None:
    os._exit(7)
'''


class RunningPool:
    """One ``lash-redis worker``, started in a folder of the test and in a process group of its own."""

    def __init__(self, folder: Path, namespace: str, url: str | None, *options: str, **how: Any) -> None:
        self.folder = folder
        self.name = f"pool{len(list(folder.glob('*.log')))}"
        self._log = folder / f"{self.name}.log"
        self._out = folder / f"{self.name}.out"
        if not (folder / "work.py").exists():
            (folder / "work.py").write_text(TASKS)
        target = how.pop("target", "work:lash")
        command = [*how.pop("before", ()), sys.executable, "-m", "lash_redis", "worker", target, *options]
        if "--name" not in options:
            command += ["--name", self.name]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "POOL_NAMESPACE": namespace} | how.pop("environment", {})
        environment.pop("LASH_REDIS_URL", None)
        if url is not None:
            environment["LASH_REDIS_URL"] = url
        with self._log.open("w") as log, self._out.open("w") as out:
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": log}
            how = streams | {"start_new_session": True} | how
            self.started: subprocess.Popen[bytes] = subprocess.Popen(command, cwd=folder, env=environment, **how)
        self.supervisor = psutil.Process(self.started.pid)
        self._began = time.monotonic()
        self._start_took_s: float | None = None

    @property
    def log(self) -> str:
        """Its standard error so far."""
        return self._log.read_text()

    @property
    def workers(self) -> list[psutil.Process]:
        """Its living worker processes."""
        return [each for each in self.supervisor.children() if "lash_redis.pool.child" in command_of(each)]

    def until_ready(self, count: int = 1) -> None:
        """Wait until ``count`` worker processes have become ready since the start."""
        self.until_logged("worker.ready", count)

    def until_logged(self, event: str, count: int = 1) -> None:
        """Wait until an event is in the log ``count`` times; fail at once if the pool ends before."""

        def is_logged() -> bool:
            found = self.log.count(event)
            assert found >= count or self.started.poll() is None, f"it ended:\n{self.log}"
            return found >= count

        block_until(is_logged, f"{event} is in the log {count} times")
        self._has_started()

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal to the supervisor alone."""
        self.supervisor.send_signal(number)

    def exit_code(self, within_s: float = PATIENCE_S) -> int:
        """Wait until it has ended, and return its exit code."""
        try:
            return self.started.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {within_s} s:\n{self.log}") from None

    def exit_code_in_time(self) -> int:
        """See it end a second before the time that it prints is over, and return its exit code.

        What it took to start, which no setting bounds, tells how busy this machine is, and may come on top.
        """
        (printed,) = re.findall(r"must_allow_s=(\d+)", self.log)
        assert self._start_took_s is not None, "it was not waited for"
        return self.exit_code(int(printed) - 1 + self._start_took_s)

    def _has_started(self) -> None:
        if self._start_took_s is None:
            self._start_took_s = time.monotonic() - self._began

    def report(self) -> dict[str, Any]:
        """Return the report of its drain, the last line on standard output."""
        report: dict[str, Any] = json.loads(self._out.read_text().splitlines()[-1])
        return report

    def spawned_at_s(self, slot: str) -> list[float]:
        """Return when each life in a slot was started, in seconds of the day."""
        stamps = re.findall(rf"(\d+):(\d+):(\d+),(\d+) .*pool\.spawned slot={slot} ", self.log)
        return [int(h) * 3600 + int(m) * 60 + int(s) + int(ms) / 1000 for h, m, s, ms in stamps]

    def begun(self, name: str) -> list[int]:
        """Return the pids of the OS processes in which a task has begun, in order."""
        file = self.folder / f"{name}.begun"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def until_begun(self, name: str, times: int = 1) -> int:
        """Wait until a task has begun ``times`` times, and return the pid of the last one."""
        block_until(lambda: len(self.begun(name)) >= times, f"{name} has begun {times} times\n{self.log}")
        self._has_started()
        return self.begun(name)[-1]

    def go(self, name: str) -> None:
        """Let a task end."""
        (self.folder / f"{name}.go").touch()

    def stop(self) -> None:
        """Kill what still runs of it."""
        for each in [self.supervisor, *_descendants(self.supervisor)]:
            try:
                each.kill()
            except psutil.NoSuchProcess:
                continue
        self.started.wait()


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def command_of(process: psutil.Process) -> str:
    """Return what an OS process was started as, empty if it has ended."""
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def owner_of(evidence: AbandonEvidence) -> str:
    """Return the id of the owner that the evidence names."""
    assert evidence.owner is not None
    return evidence.owner.owner_id


def pass_time(seconds: float) -> None:
    """Wait until this time has passed. Only for rules about time, where the time is the fact to wait for."""
    until = time.monotonic() + seconds
    block_until(lambda: time.monotonic() >= until, f"{seconds} s have passed", seconds + PATIENCE_S)


def disposition_of(task: str) -> RecoveryDisposition:
    """Return the disposition of a task of ``TASKS``: those that pay are owner-bound."""
    return RecoveryDisposition.OWNER_BOUND if task.startswith("pay") else RecoveryDisposition.RERUNNABLE


class Work:
    """Registers work for pools by the names of tasks, as any client could, and reads how it ended."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self.registry = registry

    async def submit(self, task: str, name: str, *args: object) -> str:
        """Register one process of ``task``; its id is its name."""
        given = TaskInput(task, (name, *args) if task != "crash" else ())
        await self.registry.register(ProcessRegistration(name, given, disposition_of(task)))
        return name

    async def submit_in_turn(self, count: int, *tasks: str, stem: str = "") -> list[str]:
        """Register ``count`` processes, of each task in turn, with a loss limit out of reach; return their ids."""
        wanted = [(f"{stem}{task}-{number}", task) for number in range(count // len(tasks)) for task in tasks]
        await self.registry.register_many(
            ProcessRegistration(name, TaskInput(task, (name,)), disposition_of(task), loss_limit=1000)
            for name, task in wanted
        )
        return [name for name, _ in wanted]

    async def record(self, name: str) -> ProcessRecord:
        """Return the record of a process that must exist."""
        return await record_of(self.registry, name)

    async def end_of(self, name: str, within_s: float = PATIENCE_S) -> ProcessRecord:
        """Wait until a process is terminal, and return its record."""
        return await ended(self.registry, name, within_s)

"""Pools as their users run them: started by the command line, stopped by signals, with tasks that files steer."""

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

from lash_redis.core.model import (
    Abandoned,
    AbandonEvidence,
    ProcessRecord,
    ProcessRegistration,
    RecoveryDisposition,
    TaskInput,
)
from lash_redis.registry.registry import ProcessRegistry
from tests.repo.tree import ROOT
from tests.support import block_until, wait_until

# Each task notes in NAME.begun in which OS process it begins, and ends once there is a NAME.go.
TASKS = '''
import asyncio, os, re, subprocess, time
from pathlib import Path
from lash_redis import Lash, StopRequested

FOLDER = Path(__file__).parent
lash = Lash(namespace=os.environ["POOL_NAMESPACE"])


def begin(name):
    with (FOLDER / f"{name}.begun").open("a") as file:
        file.write(f"{os.getpid()}\\n")


async def until_told(name):
    begin(name)
    while not (FOLDER / f"{name}.go").exists():
        await asyncio.sleep(0.01)
    return os.getpid()


@lash.task(recovery="rerunnable", name="measure")
async def measure(name: str) -> int:
    return await until_told(name)


@lash.task(recovery="owner_bound", name="pay")
async def pay(name: str) -> int:
    return await until_told(name)


def never_stop(name):
    begin(name)
    while True:
        try:
            while True:
                time.sleep(0.01)
        except StopRequested:
            begin(f"{name}.asked")


@lash.task(recovery="rerunnable", name="measure_deaf")
def measure_deaf(name: str) -> None:
    never_stop(name)


@lash.task(recovery="owner_bound", name="pay_deaf")
def pay_deaf(name: str) -> None:
    never_stop(name)


def backtrack(length):
    began = time.monotonic()
    re.match(r"(a+)+$", "a" * length + "b")
    return time.monotonic() - began


@lash.task(recovery="rerunnable", name="match")
def match(name: str, seconds: float) -> float:
    """Spend so long, or up to twice as long, in one C call that never lets go of the GIL."""
    begin(name)
    length, took = 18, 0.0
    while took < 0.02:
        length, took = length + 1, backtrack(length)
    while took < seconds:
        length, took = length + 1, took * 2
    return backtrack(length)


@lash.task(recovery="rerunnable", name="spawn")
async def spawn(name: str) -> int:
    """Start an OS process in the worker process's group, and leave it running."""
    (FOLDER / f"{name}.child").write_text(str(subprocess.Popen(["sleep", "600"]).pid))
    return await until_told(name)


@lash.task(recovery="rerunnable", name="orphan")
def orphan(name: str) -> None:
    """Start an OS process that ends soon after its parent, so that pid 1 inherits it."""
    begin(name)
    subprocess.run(["sh", "-c", "(sleep 0.05 & ) ; exit 0"], check=True)


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


@lash.task(recovery="rerunnable", name="crash")
def crash() -> None:
    os._exit(7)
'''


class RunningPool:
    """One ``lash-redis worker`` in a folder of its own, in a process group of its own."""

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
        how = {"stdin": subprocess.DEVNULL, "start_new_session": True} | how
        with self._log.open("w") as log, self._out.open("w") as out:
            self.started = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=log, **how)
        self.supervisor = psutil.Process(self.started.pid)

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        return self._log.read_text()

    @property
    def workers(self) -> list[psutil.Process]:
        """Its living worker processes."""
        return [each for each in self.supervisor.children() if "lash_redis.pool.child" in command_of(each)]

    def until_ready(self, count: int = 1) -> None:
        """Wait until so many worker processes have claimed."""
        self.until_logged("worker.ready", count)

    def until_logged(self, event: str, count: int = 1) -> None:
        """Wait until an event was told so many times; fail at once if the pool ends before."""

        def is_logged() -> bool:
            found = self.log.count(event)
            assert found >= count or self.started.poll() is None, f"it ended:\n{self.log}"
            return found >= count

        block_until(is_logged, f"{event} is in the log {count} times", 20)

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal to the supervisor alone."""
        self.supervisor.send_signal(number)

    def exit_code(self, within_s: float = 20) -> int:
        """Wait until it has ended, and return its exit code."""
        try:
            return self.started.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {within_s} s:\n{self.log}") from None

    def report(self) -> dict[str, Any]:
        """Return the report of its drain, the last line on standard output."""
        report: dict[str, Any] = json.loads(self._out.read_text().splitlines()[-1])
        return report

    def spawned_at_s(self, slot: str) -> list[float]:
        """Return when each life in a slot was begun, seconds of its day."""
        stamps = re.findall(rf"(\d+):(\d+):(\d+),(\d+) .*pool\.spawned slot={slot} ", self.log)
        return [int(h) * 3600 + int(m) * 60 + int(s) + int(ms) / 1000 for h, m, s, ms in stamps]

    def begun(self, name: str) -> list[int]:
        """Return the OS processes in which a task has begun, in order."""
        file = self.folder / f"{name}.begun"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def until_begun(self, name: str, times: int = 1) -> int:
        """Wait until a task has begun, and return in which OS process it did last."""
        block_until(lambda: len(self.begun(name)) >= times, f"{name} has begun {times} times\n{self.log}", 20)
        return self.begun(name)[-1]

    def go(self, name: str) -> None:
        """Let a task end."""
        (self.folder / f"{name}.go").touch()

    def stop(self) -> None:
        """End whatever of it still runs."""
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


def evidence_of(record: ProcessRecord) -> AbandonEvidence:
    """Return on what evidence a process was abandoned; fail if it was not."""
    assert isinstance(record.outcome, Abandoned), record
    return record.outcome.evidence


def owner_of(evidence: AbandonEvidence) -> str:
    """Return the id of the owner that the evidence names."""
    assert evidence.owner is not None
    return evidence.owner.owner_id


def pass_time(seconds: float) -> None:
    """Wait until so much time has passed: where the rule is about time, that is the fact."""
    until = time.monotonic() + seconds
    block_until(lambda: time.monotonic() >= until, f"{seconds} s have passed", seconds + 5)


def disposition_of(task: str) -> RecoveryDisposition:
    """Return how the task is declared: what pays is owner-bound."""
    return RecoveryDisposition.OWNER_BOUND if task.startswith("pay") else RecoveryDisposition.RERUNNABLE


class Work:
    """Registers work for pools by name, as any client could, and reads what became of it."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self.registry = registry

    async def submit(self, task: str, name: str, *args: object) -> str:
        """Register one process of ``task``; its id is its name."""
        given = TaskInput(task, (name, *args) if task != "crash" else ())
        await self.registry.register(ProcessRegistration(name, given, disposition_of(task)))
        return name

    async def submit_in_turn(self, count: int, *tasks: str) -> list[str]:
        """Register so many processes, of each task in turn, with no limit to their losses; return their ids."""
        wanted = [(f"{task}-{number}", task) for number in range(count // len(tasks)) for task in tasks]
        await self.registry.register_many(
            ProcessRegistration(name, TaskInput(task, (name,)), disposition_of(task), loss_limit=1000)
            for name, task in wanted
        )
        return [name for name, _ in wanted]

    async def record(self, name: str) -> ProcessRecord:
        """Return a record that is there."""
        record = await self.registry.get(name)
        assert record is not None
        return record

    async def end_of(self, name: str, within_s: float = 20) -> ProcessRecord:
        """Wait until a process is terminal, and return its record."""

        async def is_terminal() -> bool:
            return (await self.record(name)).is_terminal

        await wait_until(is_terminal, f"{name} is terminal", within_s)
        return await self.record(name)

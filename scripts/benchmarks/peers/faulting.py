"""One fault: a slow task runs in one worker, that worker is killed or paused, and another one is there."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.peers.running import ANSWER_S, START_S, BrokenError, Program
from benchmarks.peers.table import Peer
from benchmarks.peers.verdicts import Fault, Found, Line, ended, read_lines, runs
from benchmarks.server import loopback_server

SLOW_S = 4.0
SETTLE_S = 2.0  # for what a peer writes once a run has ended
LOOK_S = 0.01


class Case:
    """One slow task of one peer, and the workers that may run it."""

    def __init__(self, peer: Peer, task: str, settings: str, url: str, folder: Path) -> None:
        self._peer, self._task, self._settings, self._url = peer, task, settings, url
        self._folder, self._file = folder, folder / "slow"
        self._client = self._program("client")
        self._id = ""
        self._workers: list[Program] = []
        self._sent_at = 0.0

    def _program(self, role: str) -> Program:
        more = (
            () if role == "client" else ("--identities", str(self._folder), "--task", self._task, "--concurrency", "2")
        )
        options = () if role == "client" else self._peer.options
        return Program(self._peer, role, "--url", self._url, "--settings", self._settings, *more, *options)

    @contextmanager
    def worker(self) -> Iterator[Program]:
        """Start a worker, yield it once it is ready, and end it whatever became of it."""
        program = self._program("worker")
        self._workers.append(program)
        try:
            program.answer(START_S)
            yield program
        finally:
            left = _family(program.pid)
            _signal(left, signal.SIGCONT)
            program.end()
            _signal(left, signal.SIGKILL)  # those that are in a group of their own

    def submit(self) -> None:
        """Submit the task, and wait until it runs."""
        what = {"do": "slow", "file": str(self._file), "seconds": SLOW_S, "task": self._task}
        self._id = self._client.ask(what)["id"]
        if not self.waited(lambda lines: runs(lines) == 1, ANSWER_S):
            raise TimeoutError(f"the slow task of {self._peer.name} does not begin")

    def lines(self) -> tuple[Line, ...]:
        """Return what the runs have said."""
        return read_lines(self._file.read_text(encoding="utf-8")) if self._file.exists() else ()

    def waited(self, is_so: Callable[[tuple[Line, ...]], bool], at_most_s: float) -> float | None:
        """Wait until it is so of the lines; return how long that took, or None."""
        began = time.monotonic()
        while not is_so(self.lines()):
            if time.monotonic() - began > at_most_s:
                return None
            self._send_another()
            time.sleep(LOOK_S)
        return time.monotonic() - began

    def _send_another(self) -> None:
        """Keep the queue from being idle: some peers look for lost work only when they find new work."""
        if time.monotonic() - self._sent_at > 1:
            self._sent_at = time.monotonic()
            others = str(self._folder / "others")
            self._client.ask({"do": "slow", "file": others, "seconds": 0.0, "task": self._task})

    def family_of(self, pid: int) -> list[int]:
        """Return all OS processes of the worker that this one belongs to."""
        return next(family for each in self._workers if pid in (family := _family(each.pid)))

    def record(self) -> str:
        """Return what the record says."""
        return json.dumps(self._client.ask({"do": "read", "id": self._id})["record"])

    def close(self) -> None:
        """End the client."""
        self._client.end()


def made(peer: Peer, task: str, settings: str, fault: Fault, *, binary: str, at_most_s: float) -> Found:
    """Make one fault and return what was seen.

    Args:
        peer: of the table.
        task: ``slow`` or ``slow_bound``.
        settings: ``default`` or ``reliable``.
        fault: what is done to the worker that runs the task.
        binary: of the server.
        at_most_s: how long another run is waited for.

    Raises:
        UnsupportedError: the peer has no such task.
        BrokenError: a program of the peer does not answer.
        TimeoutError: the task never begins.
    """
    is_pause = fault.endswith("paused")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lash-bench-fault-")))
        url = stack.enter_context(loopback_server(binary))
        case = Case(peer, task, settings, url, folder)
        stack.callback(case.close)
        for _ in range(2):
            stack.enter_context(case.worker())
        case.submit()
        first = case.lines()[0]
        struck = [first.pid] if fault.startswith("OS process") else case.family_of(first.pid)
        if ended(case.lines()):
            raise BrokenError("the task ended before the fault was made")
        began = time.monotonic()
        _signal(struck, signal.SIGSTOP if is_pause else signal.SIGKILL)
        again_s = case.waited(lambda lines: runs(lines) > 1, at_most_s)
        if again_s is not None:
            again_s = time.monotonic() - began
            case.waited(lambda lines: any(run != first.run for run in ended(lines)), 2 * SLOW_S)
        time.sleep(SETTLE_S)
        before = None
        if is_pause:
            before = case.record()
            _signal(struck, signal.SIGCONT)
            case.waited(lambda lines: first.run in ended(lines), SLOW_S)
            time.sleep(SETTLE_S + SLOW_S)
        after = case.record()
        return Found(fault, case.lines(), at_most_s, again_s, before, after)


def _family(pid: int) -> list[int]:
    """Return an OS process and all below it."""
    try:
        root = psutil.Process(pid)
        return [pid, *(each.pid for each in root.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for each in pids:
        with suppress(ProcessLookupError):
            os.kill(each, number)

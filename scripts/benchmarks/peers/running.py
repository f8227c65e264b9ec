"""Starts a peer's worker and client, talks to the client, and ends them by pid, each with its process group."""

from __future__ import annotations

import itertools
import json
import os
import selectors
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.peers.conversation import UnsupportedError
from benchmarks.peers.environments import SCRIPTS, command
from benchmarks.peers.table import Peer

START_S, ANSWER_S, END_S = 30, 180, 5


class BrokenError(Exception):
    """A peer's program did not do what the contract asks; the text says what."""


class Program:
    """One OS process of a peer, which answers in lines of JSON."""

    def __init__(self, peer: Peer, *arguments: str) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{SCRIPTS}{os.pathsep}{SCRIPTS.parent}"}
        self._said = (SCRIPTS.parent / "build/bench").absolute()
        self._said.mkdir(parents=True, exist_ok=True)
        self._said /= f"{peer.name.replace(' ', '-')}-{arguments[0]}.log"
        with self._said.open("wb") as log:
            self._process = subprocess.Popen(
                command(peer, *arguments),
                cwd=SCRIPTS,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._name = f"the {arguments[0]} of {peer.name}"
        self._rest = b""

    @property
    def pid(self) -> int:
        """The pid of the program, which is its process group too."""
        return self._process.pid

    def ask(self, what: dict[str, Any]) -> dict[str, Any]:
        """Send one command and return the answer.

        Raises:
            UnsupportedError: the peer has no such thing.
            BrokenError: no answer.
        """
        if self._process.stdin is None:
            raise AssertionError("stdin is a pipe")
        try:
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise BrokenError(f"{self._name} has ended; it said:\n{self._last_words()}") from error
        return self.answer(ANSWER_S)

    def answer(self, within_s: float) -> dict[str, Any]:
        """Return the next answer; what a library prints besides is no answer.

        Raises:
            UnsupportedError: the peer has no such thing.
            BrokenError: no answer.
        """
        while True:
            line = self._line(within_s)
            if line.startswith(b"{"):
                answer: dict[str, Any] = json.loads(line)
                if "unsupported" in answer:
                    raise UnsupportedError(answer["unsupported"])
                return answer

    def _line(self, within_s: float) -> bytes:
        if self._process.stdout is None:
            raise AssertionError("stdout is a pipe")
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                some = os.read(self._process.stdout.fileno(), 1 << 16) if selector.select(within_s) else b""
                if not some:
                    raise BrokenError(f"{self._name} gave no answer; it said:\n{self._last_words()}")
                self._rest += some
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _last_words(self) -> str:
        return "\n".join(self._said.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])

    def cpu_s(self) -> float:
        """Return the CPU time of the program and of all its children, also of those that have ended and were reaped."""
        try:
            root = psutil.Process(self.pid)
            family = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess as error:
            raise BrokenError(f"{self._name} has ended; it said:\n{self._last_words()}") from error
        total = 0.0
        for each in family:
            with suppress(psutil.NoSuchProcess):
                total += sum(each.cpu_times()[:4])
        return total

    def end(self) -> None:
        """End it and its group: SIGTERM, then SIGKILL."""
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        self._signal(signal.SIGKILL)  # also what the program left behind in its group
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


@contextmanager
def workers(
    peer: Peer, url: str, folder: Path, *, task: str, concurrency: int, count: int = 1, waited: bool = False
) -> Iterator[list[Program]]:
    """Start workers at once, yield them when all are ready, and end them; ``waited``: clients wait for outcomes."""
    more = peer.waits if waited else ()
    chosen = {"--url": url, "--identities": str(folder), "--task": task, "--concurrency": str(concurrency)}
    line = ("worker", *itertools.chain(*chosen.items()), *peer.options, *more)
    with ExitStack() as ending:
        programs = []
        for _ in range(count):
            programs.append(Program(peer, *line))
            ending.callback(programs[-1].end)
        for program in programs:
            program.answer(START_S)
        yield programs


@contextmanager
def client(peer: Peer, url: str) -> Iterator[Program]:
    """Start a client, yield it, and end it."""
    program = Program(peer, "client", "--url", url)
    try:
        yield program
    finally:
        program.end()

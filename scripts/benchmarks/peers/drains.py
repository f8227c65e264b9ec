"""One drain: what a peer's workers do with queued no-ops, and what it takes.

It is measured between two marks, by the files of identities: from when a fiftieth has run, so that the start of an OS
process is no part of it, until all have.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.counting import noted, proof, so_far
from benchmarks.peers.running import BrokenError, Program, workers
from benchmarks.peers.table import Peer
from benchmarks.server import Work

STALLED_S = 20
_LOOK_S = 0.005


@dataclass(frozen=True)
class Drain:
    """What was measured between the marks, and whether each identity ran one time, no more and no less.

    Attributes:
        count: runs between the marks.
        seconds: the time between them.
        server_s: CPU time of the server.
        workers_s: CPU time of all the worker's OS processes.
        commands: of the server, those inside scripts too.
        proof: what the identities prove.
    """

    count: int
    seconds: float
    server_s: float
    workers_s: float
    commands: int
    proof: str

    @property
    def rate(self) -> float:
        """Runs a second."""
        return self.count / self.seconds


@dataclass(frozen=True)
class _Mark:
    at: float
    count: int
    workers_s: float
    work: Work

    @classmethod
    def now(cls, folder: Path, workers: list[Program], url: str) -> _Mark:
        return cls(time.perf_counter(), so_far(folder), sum(each.cpu_s() for each in workers), Work(url))


def drained(peer: Peer, url: str, submitted: range, *, task: str, concurrency: int, count: int = 1) -> Drain:
    """Run workers until all that was submitted has run, and return what that took.

    Raises:
        UnsupportedError: the peer has no such task.
        BrokenError: an identity did not run one time and no more, or no more ran.
    """
    with tempfile.TemporaryDirectory(prefix="lash-bench-ran-") as name, ExitStack() as stack:
        folder = Path(name)
        programs = stack.enter_context(
            workers(peer, url, folder, task=task, concurrency=concurrency, count=count)
        )  # fmt: skip
        ready = _Mark.now(folder, programs, url)
        _wait(folder, max(1, len(submitted) // 50))
        warm = _Mark.now(folder, programs, url)
        begin = warm if warm.count < len(submitted) // 2 else ready  # so few rows are half done at the first look
        _wait(folder, len(submitted))
        end = _Mark.now(folder, programs, url)
        commands, server_s, _ = begin.work.since()
        stack.close()  # the workers end, and write what they have not
        proven = proof(submitted, noted(folder))
    if not proven.holds:
        raise BrokenError(f"{peer.name}: {proven}")
    if end.count == begin.count:
        raise BrokenError(
            f"{peer.name}: all {end.count:,} had run before the first look: they are too few to be measured"
        )
    return Drain(
        count=end.count - begin.count,
        seconds=end.at - begin.at,
        server_s=server_s,
        workers_s=end.workers_s - begin.workers_s,
        commands=commands,
        proof=str(proven),
    )


def _wait(folder: Path, count: int) -> None:
    """Wait until so many have run."""
    before, changed = -1, time.monotonic()
    while (ran := so_far(folder)) < count:
        if ran != before:
            before, changed = ran, time.monotonic()
        elif time.monotonic() - changed > STALLED_S:
            raise BrokenError(f"no more than {ran:,} of {count:,} ran within {STALLED_S} s")
        time.sleep(_LOOK_S)

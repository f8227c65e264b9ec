"""What tests of every kind need: waiting for facts, and a clock that a test moves.

A test never sleeps: it waits until something is so, and fails with the name of what did not come about.
"""

from __future__ import annotations

import asyncio
import inspect
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lash_redis.core import timing

POLL_S = 0.005
PATIENCE_S = 40  # for a fact that must come: a machine may be busy with a hundred other things


async def wait_until(is_so: Callable[[], object | Awaitable[object]], what: str, at_most_s: float = PATIENCE_S) -> None:
    """Wait for a fact while the event loop goes on; ``is_so`` may be a coroutine function."""
    deadline = time.monotonic() + at_most_s
    while True:
        answer = is_so()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        assert time.monotonic() < deadline, f"waited {at_most_s} s in vain until {what}"
        await asyncio.sleep(POLL_S)


def block_until(is_so: Callable[[], object], what: str, at_most_s: float = PATIENCE_S) -> None:
    """Wait for a fact in plain code."""
    deadline = time.monotonic() + at_most_s
    while not is_so():
        assert time.monotonic() < deadline, f"waited {at_most_s} s in vain until {what}"
        time.sleep(POLL_S)


def process_state(pid: int) -> str:
    """Return the state of an OS process as Linux writes it: ``T`` stopped, ``Z`` a zombie."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class ManualClock:
    """A wall clock that stands still until it is moved. fakeredis lives by it: ``TIME`` and every expiry."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ms = int(time.time() * 1000)
        # A tenth of a millisecond more, so that no rounding of a float falls below the millisecond.
        monkeypatch.setattr(time, "time", lambda: (self.now_ms + 0.1) / 1000)

    def advance(self, ms: int) -> None:
        """Move time, ms; back if negative, as a server's clock may step."""
        self.now_ms += ms

    def move_to(self, now_ms: int) -> None:
        """Move time to a moment, ms since 1970, unless it is there already."""
        self.now_ms = max(self.now_ms, now_ms)


class Steered(timing.Clock):
    """A clock that stands where it is put."""

    now_ms = 0

    def boottime_ms(self) -> int:
        """Return where it was put."""
        return self.now_ms


class StillClock(timing.Clock):
    """This machine's boot-time clock, moved by hand; a sleep lets time pass and nothing else."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self.slept: list[float] = []

    def boottime_ms(self) -> int:
        """Return the time."""
        return self.now_ms

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now_ms += int(seconds * 1000)
        await asyncio.sleep(0)


@contextmanager
def no_project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder that is in no project, whatever stands above the temporary folder."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as bare:
        monkeypatch.chdir(bare)
        yield Path(bare).resolve()
        monkeypatch.chdir(Path(__file__).parent)

"""In a peer's worker: the slow task of the faults. It imports the standard library alone, as all peers must be able to.

It says in a file when it starts and when it ends, and returns which run it was, so that a record tells whose result it
holds.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

BEAT_S = 0.5


async def slow(file: str, seconds: float, beat: Callable[[], Awaitable[None]] | None = None) -> str:
    """Start, wait, end. ``beat`` is awaited meanwhile, twice a second, for peers that want to hear of a task."""
    run = _started(file)
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if beat is not None:
            await beat()
        await asyncio.sleep(min(left, BEAT_S))
    return _ended(file, run)


def slow_plain(file: str, seconds: float) -> str:
    """Start, wait, end, in a thread."""
    run = _started(file)
    time.sleep(seconds)
    return _ended(file, run)


def _started(file: str) -> str:
    run = f"{os.getpid()}-{time.monotonic_ns()}"
    _note(file, f"start {run}")
    return run


def _ended(file: str, run: str) -> str:
    _note(file, f"end {run}")
    return f"by-{run}"


def _note(file: str, line: str) -> None:
    with Path(file).open("a", encoding="utf-8") as lines:
        lines.write(f"{line}\n")

"""The two tasks of the demo, as a user would write them."""

from __future__ import annotations

import asyncio
import hashlib
import lzma
import os
from pathlib import Path

import msgspec

from lash_redis import Lash

lash = Lash(namespace=os.environ.get("LASH_DEMO_NAMESPACE", "demo"))


class Measure(msgspec.Struct):
    """The measurements of one file."""

    sha256: str
    lines: int
    compressed_bytes: int


@lash.task(recovery="rerunnable", queue="measure")
def measure(path: str) -> Measure:
    """Measure one file. A second run costs time and nothing else, so that the work is rerunnable."""
    data = Path(path).read_bytes()
    return Measure(hashlib.sha256(data).hexdigest(), data.count(b"\n"), len(lzma.compress(data)))


@lash.task(recovery="owner_bound", queue="publish")
async def publish(package: str, files: int, ledger: str, takes_s: float) -> int:
    """Publish one package. A second line would be a double payment, so that the work is owner-bound.

    The line is written half-way through, as by a slow remote system: whoever loses this process cannot know whether it
    was written.
    """
    await asyncio.sleep(takes_s / 2)
    _append(ledger, f"{package}\t{files}\n")
    await asyncio.sleep(takes_s / 2)
    return files


def _append(ledger: str, line: str) -> None:
    with Path(ledger).open("a", encoding="utf-8") as lines:
        lines.write(line)

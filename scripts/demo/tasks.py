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
    """What one file weighs."""

    sha256: str
    lines: int
    compressed_bytes: int


@lash.task(recovery="rerunnable", queue="measure")
def measure(path: str) -> Measure:
    """Measure one file. Measuring it twice costs time and nothing else, so it may run again."""
    data = Path(path).read_bytes()
    return Measure(hashlib.sha256(data).hexdigest(), data.count(b"\n"), len(lzma.compress(data)))


@lash.task(recovery="owner_bound", queue="publish")
async def publish(package: str, files: int, ledger: str, takes_s: float) -> int:
    """Publish one package: a second line would be a double payment, so nobody may ever run this again.

    The ledger answers slowly; its line is written half way, where nobody outside can see whether it was.
    """
    await asyncio.sleep(takes_s / 2)
    _append(ledger, f"{package}\t{files}\n")
    await asyncio.sleep(takes_s / 2)
    return files


def _append(ledger: str, line: str) -> None:
    with Path(ledger).open("a", encoding="utf-8") as lines:
        lines.write(line)

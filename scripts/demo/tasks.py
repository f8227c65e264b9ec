"""The tasks of the demo, as a user would write them: a limit, a schedule, and what sums up a group."""

from __future__ import annotations

import asyncio
import hashlib
import lzma
from pathlib import Path

import msgspec

from demo import ledger
from demo.run import RUN
from lash_redis import Lash, Success, current_process

SLOTS = 4
CLOCK = "every-second"

lash = Lash(namespace=RUN)
site = lash.limit("site", limit=SLOTS)  # the site that is published to takes so many at once


class Measure(msgspec.Struct):
    """The measurements of one file."""

    sha256: str
    lines: int
    bytes: int
    compressed_bytes: int


class Total(msgspec.Struct):
    """The measurements of all files together."""

    files: int
    lines: int
    bytes: int
    compressed_bytes: int


@lash.task(recovery="rerunnable", queue="measure")
def measure(path: str) -> Measure:
    """Measure one file. A second run costs time and nothing else, so that the work is rerunnable."""
    data = Path(path).read_bytes()
    return Measure(hashlib.sha256(data).hexdigest(), data.count(b"\n"), len(data), len(lzma.compress(data, preset=1)))


@lash.task(recovery="rerunnable", queue="publish")
async def total() -> Total:
    """Sum up the measurements: it continues their group, so that it runs once all of them have ended."""
    ledger.write("total", current_process().id)
    results = [each.outcome.value async for each in lash.members() if isinstance(each.outcome, Success)]
    return Total(
        len(results),
        sum(each.lines for each in results),
        sum(each.bytes for each in results),
        sum(each.compressed_bytes for each in results),
    )


@lash.task(recovery="owner_bound", queue="publish", within=site)
async def publish(package: str, files: int, takes_s: float) -> int:
    """Publish one package. A second line would be a double payment, so that the work is owner-bound.

    The line is written half-way through, as by a slow remote system: whoever loses this process cannot know whether it
    was written.
    """
    ledger.write("begin", package)
    try:
        await asyncio.sleep(takes_s / 2)
        ledger.write("published", package)
        await asyncio.sleep(takes_s / 2)
    finally:
        ledger.write("end", package)
    return files


@lash.task(recovery="owner_bound", queue="publish")
def tick() -> None:
    """Write a line for one tick of the schedule below."""
    ledger.write("tick", current_process().id)


lash.schedule(CLOCK, tick.options(labels={"schedule": CLOCK}, priority=1), every=1)

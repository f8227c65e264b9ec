"""Two servers beside each other: one with few queued rows, one with many."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import redis

from benchmarks.draining import many
from benchmarks.server import Work, fresh_server
from benchmarks.transitions import SIGNATURE, claim, complete
from lash_redis import ProcessRegistration, ProcessRegistry, RecoveryDisposition, TaskInput
from lash_redis.core.timing import sleep

FEW, MANY = 1_000, many(1_000_000)


@dataclass(frozen=True)
class Filled:
    """A registry with so many queued rows; how many bytes each of them takes, and the number of the next claim."""

    registry: ProcessRegistry
    url: str
    rows: int
    size: float
    next_claim: int = 2


def _registrations(first: int, count: int) -> Iterator[ProcessRegistration]:
    for number in range(first, first + count):
        yield ProcessRegistration(
            f"process-{number:012d}", TaskInput("nothing", (number, "twenty")), RecoveryDisposition.RERUNNABLE,
            signature=SIGNATURE, chosen_id=False,
        )  # fmt: skip


async def _close(registry: ProcessRegistry, url: str) -> None:
    """Close its connections, and wait until the server has freed what it had for them."""
    await registry.aclose()
    client = redis.Redis.from_url(url)
    while int(client.info("clients")["connected_clients"]) > 2:  # this one, and one that measures
        await sleep(0.02)
    client.close()


@asynccontextmanager
async def filled(rows: int) -> AsyncIterator[Filled]:
    """Start a server, and queue so many rows."""
    with fresh_server() as url:
        registry = ProcessRegistry(url, namespace="bench")
        # Some rows go through first, so that what the server keeps of the scripts is not counted; and no connection
        # stands while its memory is read.
        await registry.register_many(_registrations(rows, 20))
        await complete(registry, await claim(registry, 1, 20, SIGNATURE))
        await _close(registry, url)
        work = Work(url)
        await registry.register_many(_registrations(0, rows))
        await _close(registry, url)
        size = work.since()[2] / rows
        try:
            yield Filled(registry, url, rows, size)
        finally:
            await registry.aclose()

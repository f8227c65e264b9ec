"""What a process costs the server by its phase, with nothing but the bare transitions: bytes, commands, CPU."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from typing import TypeVar

from benchmarks.draining import many
from benchmarks.server import Work, binaries, loopback_server, version
from benchmarks.transitions import SIGNATURE, claim, complete, registrations
from lash_redis import ProcessLease, ProcessRegistry

PROCESSES = many(10_000)
BATCH = 64

T = TypeVar("T")


async def measure() -> None:
    """Print a table for each server that this machine has."""
    for binary in binaries().values():
        with loopback_server(binary) as url:
            await _measure_on(url, version(binary))


async def _measure_on(url: str, server: str) -> None:
    registry = ProcessRegistry(url, namespace="bench")
    await registry.open()
    # One row goes through first, so that what the server keeps of the scripts is not counted.
    await registry.register_many(registrations(1, SIGNATURE))
    await complete(registry, await claim(registry, 1, 1, SIGNATURE))
    await registry.prune(older_than_ms=0)
    work = Work(url)
    for batch in _batches(list(registrations(PROCESSES, SIGNATURE))):
        await registry.register_many(batch)
    spent = [work.since()]
    leases: list[ProcessLease] = []
    for number in itertools.count(2):
        handed = await claim(registry, number, BATCH, SIGNATURE)
        leases += handed
        if not handed:
            break
    spent.append(work.since())
    for held in _batches(leases):
        await complete(registry, held)
    spent.append(work.since())
    await registry.aclose()

    print(f"{server}: {PROCESSES:,} processes in batches of {BATCH}\n")
    print("| a process that | bytes | commands until then | server CPU until then, µs |\n|---|---|---|---|")
    for phase, (commands, seconds, size) in zip(("waits", "runs", "has ended"), spent, strict=True):
        print(f"| {phase} | {size / PROCESSES:.0f} | {commands / PROCESSES:.1f} | {seconds / PROCESSES * 1e6:.0f} |")
    print()


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[at : at + BATCH] for at in range(0, len(items), BATCH))


if __name__ == "__main__":
    asyncio.run(measure())

"""The bare transitions, driven by the thinnest client, beside the real worker that is made of them.

Nothing that uses the same scripts in the same batches can cost the server less, or be quicker with one call at a time.
The worker may be quicker than that: it decodes, runs and encodes while the server works.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator, Mapping, Sequence

from benchmarks import results
from benchmarks.comparing import Case, Cost, Stopwatch, compare, ratio, ratios
from benchmarks.draining import many
from benchmarks.results import SERVER_TO_BARE_AT_MOST
from benchmarks.server import fresh_server
from benchmarks.thin import Thin, connected
from benchmarks.transitions import batch_claim, facts, leases, registrations
from lash_redis import ProcessRegistry, Worker
from lash_redis.registry.calls.batch_claims import claim_next
from lash_redis.registry.calls.registration import register_many
from lash_redis.registry.calls.terminal_facts import terminalize_many
from lash_redis.tasks.declaration import declare

PROCESSES = many(20_000)
BATCHES = (64, 256)
REGISTERED_AT_ONCE = 500
SHARES_OF = many(5_000)


async def nothing(number: int) -> None:
    """Do nothing."""


NOTHING = declare(nothing, recovery="rerunnable", name="nothing")
DIGEST = NOTHING.signature.digest


def _bare(size: int) -> Case:
    async def drain() -> Cost:
        with fresh_server() as url:
            registry = await filled(url)
            wire = connected(url)
            thin = Thin(registry, wire)
            thin.load_scripts()
            watch = Stopwatch(url)
            _end_all(thin, registry, size)
            cost = watch.stop(PROCESSES)
            wire.close()
            await registry.aclose()
        return cost

    return drain


def worker_drain(size: int) -> Case:
    """Return the case of a real worker with so many in hand."""

    async def drain() -> Cost:
        with fresh_server() as url:
            registry = await filled(url)
            worker = Worker(registry, [NOTHING], concurrency=size)
            watch = Stopwatch(url)
            running = asyncio.create_task(worker.run())
            while (await registry.counts(0)).terminal.get(("nothing", "completed"), 0) < PROCESSES:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            cost = watch.stop(PROCESSES)
            await worker.drain()
            await running
            await registry.aclose()
        return cost

    return drain


async def filled(url: str) -> ProcessRegistry:
    """Return an open registry with the queued processes."""
    registry = ProcessRegistry(url, namespace="bench")
    await registry.open()
    await registry.register_many(registrations(PROCESSES, DIGEST))
    return registry


def _end_all(thin: Thin, registry: ProcessRegistry, size: int) -> None:
    number = 1
    while batch := leases(thin.perform(claim_next, batch_claim(number, size, DIGEST))):
        thin.perform(terminalize_many, facts(registry, batch))
        number += 1


async def _shares() -> None:
    """Print how much of the server's time each transition takes, as the server itself counts it."""
    print("| rows a call | register, µs a process | claim_next | terminalize |\n|---|---|---|---|")
    for size in (*BATCHES, REGISTERED_AT_ONCE):
        with fresh_server() as url:
            registry = ProcessRegistry(url, namespace="bench")
            await registry.open()
            wire = connected(url)
            thin = Thin(registry, wire)
            thin.load_scripts()
            turns = max(SHARES_OF // size, 1)
            took = [[*_turn(thin, registry, turn, size)] for turn in range(turns + 1)][1:]  # the first one warms up
            wire.close()
            await registry.aclose()
        each = (f"{sum(column) / turns / size:.1f}" for column in zip(*took, strict=True))
        print(f"| {size} | {' | '.join(each)} |")
    print()


def _turn(thin: Thin, registry: ProcessRegistry, turn: int, size: int) -> Iterator[int]:
    """Take some rows through their life, and yield the µs of the server that each transition took."""
    given = [*registrations(size, DIGEST, first=turn * size)]
    stood = thin.script_us()
    thin.perform(register_many, given)
    yield (registered := thin.script_us()) - stood
    batch = leases(thin.perform(claim_next, batch_claim(turn + 1, size, DIGEST)))
    yield (claimed := thin.script_us()) - registered
    thin.perform(terminalize_many, facts(registry, batch))
    yield thin.script_us() - claimed


async def measure() -> None:
    """Print what each transition takes, and the drains beside each other.

    Raises:
        SystemExit: the worker takes more of the server's CPU than the goal allows.
    """
    await _shares()
    cases: dict[str, Case] = {}
    for size in BATCHES:
        cases[f"bare, {size} a call"] = _bare(size)
        cases[f"the worker, {size} in hand"] = worker_drain(size)
    costs = await compare(f"{PROCESSES:,} empty tasks claimed, started and ended", cases)
    found = {size: _server_to_bare(costs, size) for size in BATCHES}
    results.save("ceiling", {"server_to_bare": found[BATCHES[0]]})
    for size in BATCHES:
        bare, worker = costs[f"bare, {size} a call"], costs[f"the worker, {size} in hand"]
        print(
            f"The worker with {size} in hand does {ratio(worker, bare, lambda cost: cost.rate)} of the bare rate, and "
            f"takes {ratio(worker, bare, lambda cost: cost.server_s)} of the server's CPU."
        )
    guard(found)


def _server_to_bare(costs: Mapping[str, Sequence[Cost]], size: int) -> list[float]:
    """Return the server's CPU with a worker, of that of the bare transitions, in each round."""
    return ratios(costs[f"the worker, {size} in hand"], costs[f"bare, {size} a call"], lambda cost: cost.server_s)


def guard(found: Mapping[int, Sequence[float]]) -> None:
    """End the program where a median ratio of the server's CPU is above the goal, by the size of the batches.

    Raises:
        SystemExit: it names each.
    """
    middles = {size: statistics.median(each) for size, each in found.items()}
    if over := {size: middle for size, middle in middles.items() if middle > SERVER_TO_BARE_AT_MOST}:
        named = ", ".join(f"{middle:.2f} with {size} in hand" for size, middle in over.items())
        raise SystemExit(
            f"the worker takes {named} of the server's CPU of the bare transitions; at most {SERVER_TO_BARE_AT_MOST}"
        )

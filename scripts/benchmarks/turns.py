"""One call that ends rows and hands out the next, beside two: what either costs the server, and a worker with threads.

The thinnest client sends the same facts and claims both ways. The worker runs plain functions, whose ends come one by
one: with and without its claims taking them along.
"""

from __future__ import annotations

import asyncio

from benchmarks.comparing import Case, Cost, Stopwatch, compare
from benchmarks.draining import many
from benchmarks.server import fresh_server
from benchmarks.thin import Thin, connected
from benchmarks.transitions import SIGNATURE, batch_claim, facts, leases, registrations
from lash_redis import ProcessRegistry, Worker
from lash_redis.registry.calls.batch_claims import claim_next
from lash_redis.registry.calls.terminal_facts import terminalize_many
from lash_redis.registry.calls.turns import turn
from lash_redis.tasks.declaration import declare
from lash_redis.worker.turns import Turns

SIZES = (1, 8, 32)
THREADS = 8
BARE, RUN = many(8_000), many(4_000)


def nothing(number: int) -> None:
    """Do nothing."""


NOTHING = declare(nothing, recovery="rerunnable", name="nothing")


def _bare(size: int, *, as_one: bool) -> Case:
    async def drain() -> Cost:
        with fresh_server() as url:
            registry = await _filled(url, BARE, SIGNATURE)
            wire = connected(url)
            thin = Thin(registry, wire)
            thin.load_scripts()
            held, number = leases(thin.perform(claim_next, batch_claim(1, size, SIGNATURE))), 2
            watch = Stopwatch(url)
            while held:
                claim, ends = batch_claim(number, size, SIGNATURE), facts(registry, held)
                if as_one:
                    _, batch = thin.perform(turn, claim, ends)
                else:
                    thin.perform(terminalize_many, ends)
                    batch = thin.perform(claim_next, claim)
                held, number = leases(batch), number + 1
            cost = watch.stop(BARE)
            wire.close()
            await registry.aclose()
        return cost

    return drain


def _worker(*, as_one: bool) -> Case:
    async def drain() -> Cost:
        with fresh_server() as url:
            registry = await _filled(url, RUN, NOTHING.signature.digest)
            worker = Worker(registry, [NOTHING], concurrency=THREADS)
            if not as_one:
                worker.probe.in_flight.claimer.turns = Turns(registry)
            watch = Stopwatch(url)
            running = asyncio.create_task(worker.run())
            while (await registry.counts(0)).terminal.get(("nothing", "completed"), 0) < RUN:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            cost = watch.stop(RUN)
            await worker.drain()
            await running
            await registry.aclose()
        return cost

    return drain


async def _filled(url: str, count: int, signature: str) -> ProcessRegistry:
    registry = ProcessRegistry(url, namespace="bench")
    await registry.open()
    await registry.register_many(registrations(count, signature))
    return registry


async def measure() -> None:
    """Print what both ways cost."""
    for size in SIZES:
        cases = {"two calls": _bare(size, as_one=False), "one call": _bare(size, as_one=True)}
        await compare(f"{BARE:,} empty tasks, {size} a call", cases)
    cases = {"ends by themselves": _worker(as_one=False), "ends with the claims": _worker(as_one=True)}
    await compare(f"{RUN:,} empty plain functions, {THREADS} threads", cases)

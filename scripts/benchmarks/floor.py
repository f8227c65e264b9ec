"""What the interpreter alone takes to decode, run and encode the same empty tasks, with no Redis at all.

The bytes are those that claims hand out. Each case does more of what any worker has to do:

* each run is awaited, one after the other;
* each run has an asyncio task of its own, since work that waits must not hold up the rest;
* the same from the replies that claims were given, as they came from the socket, to the bytes of the calls that write
  the results. The calls are the product's own; they are sent to nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from benchmarks import results
from benchmarks.ceiling import NOTHING, PROCESSES, filled, worker_drain
from benchmarks.comparing import Case, Cost, Stopwatch, compare, ratio, ratios
from benchmarks.server import fresh_server
from benchmarks.thin import Recorded, Replayed, Thin, connected
from benchmarks.transitions import batch_claim, leases, registrations
from lash_redis import ProcessLease, ProcessStatus
from lash_redis.core.checks import MAX_PAYLOAD_BYTES
from lash_redis.registry.answers import TerminalFact
from lash_redis.registry.calls.batch_claims import claim_next
from lash_redis.registry.calls.terminal_facts import terminalize_many
from lash_redis.registry.codec import STATUS_CODES, encode_input

IN_HAND = 64
_COMPLETED = STATUS_CODES[ProcessStatus.COMPLETED]

_decode = msgspec.msgpack.Decoder().decode
_encode = msgspec.msgpack.Encoder().encode

Function = Callable[..., Awaitable[Any]]


async def one_by_one(inputs: Sequence[bytes], function: Function) -> list[bytes]:
    """Decode, await and encode one run after the other; return the encoded results."""
    results = []
    for data in inputs:
        args, kwargs = _decode(data)
        results.append(_encode([await function(*args, **kwargs)]))
    return results


async def in_tasks(inputs: Sequence[bytes], function: Function, at_once: int = IN_HAND) -> list[bytes]:
    """Do the same with each run in an asyncio task of its own, so many at once."""
    loop, results = asyncio.get_running_loop(), list[bytes]()

    async def run(data: bytes, expected: int, ended: asyncio.Future[None]) -> None:
        args, kwargs = _decode(data)
        results.append(_encode([await function(*args, **kwargs)]))
        if len(results) == expected:
            ended.set_result(None)

    for at in range(0, len(inputs), at_once):
        batch, ended = inputs[at : at + at_once], loop.create_future()
        # The list keeps the tasks alive: the event loop does not.
        tasks = [loop.create_task(run(data, at + len(batch), ended)) for data in batch]
        await ended
        del tasks
    return results


async def from_replies(thin: Thin, function: Function, size: int = IN_HAND) -> int:
    """Claim, run and end what there is, by a wire whose answers are known; return how many ran."""
    loop, ran, number = asyncio.get_running_loop(), 0, 0

    async def run(data: bytes, lease: ProcessLease, facts: list[TerminalFact]) -> None:
        args, kwargs = _decode(data)
        facts.append(TerminalFact(lease, _COMPLETED, _encode([await function(*args, **kwargs)])))
        if len(facts) == expected:
            ended.set_result(None)

    while True:
        number += 1
        batch = thin.perform(claim_next, batch_claim(number, size, NOTHING.signature.digest))
        if not batch.rows:
            return ran
        facts: list[TerminalFact] = []
        expected, ended = len(batch.rows), loop.create_future()
        held = leases(batch)
        tasks = [loop.create_task(run(row.input, lease, facts)) for row, lease in zip(batch.rows, held, strict=True)]
        await ended
        del tasks
        thin.perform(terminalize_many, facts)
        ran += expected


async def measure() -> None:
    """Print what the loops take beside the worker."""
    function: Function = NOTHING.function
    with fresh_server() as url:
        registry = await filled(url)
        wire = Recorded(connected(url))
        thin = Thin(registry, wire)
        thin.load_scripts()
        wire.came.clear()
        await from_replies(thin, function)
        wire.close()
        await registry.aclose()
        inputs = [encode_input(each, MAX_PAYLOAD_BYTES) for each in registrations(PROCESSES, "")]

        def case(loop: Callable[[], Awaitable[object]]) -> Case:
            async def run() -> Cost:
                watch = Stopwatch(url)
                await loop()
                return watch.stop(PROCESSES)

            return run

        floor = "one after the other"
        costs = await compare(
            f"{PROCESSES:,} empty tasks decoded, run and encoded",
            {
                floor: case(lambda: one_by_one(inputs, function)),
                f"in asyncio tasks, {IN_HAND} at once": case(lambda: in_tasks(inputs, function)),
                "from replies to calls": case(lambda: from_replies(Thin(registry, Replayed(wire.came)), function)),
                f"the worker, {IN_HAND} in hand": worker_drain(IN_HAND),
            },
        )
    *loops, worker = costs
    floors = ratios(costs[worker], costs[loops[-1]], lambda cost: cost.own_s)
    results.save("floor", {"worker_to_floor": floors})
    for name in loops:
        times = ratio(costs[worker], costs[name], lambda cost: cost.own_s)
        print(f"The worker's own CPU is {times} times that of: {name}.")

"""lash-redis: one ``Worker`` in the program's own event loop, with its defaults.

Everything is on that is on by default: leases and their renewal, trust, cancellation, counts, events, recovery.
Outcomes are stored. Bulk goes through ``submit_many``.

The faults are made with a pool of one worker process, as in production: ``lash-redis worker``. Most reliable: leases of
3 s (30 s by default).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import redis
import redis.asyncio as aioredis

from benchmarks.peers import lash_slow
from benchmarks.peers.conversation import NAME, Client, fastest_loop, main, ready
from benchmarks.peers.identities import Identities
from benchmarks.raw import RawCall
from lash_redis import Lash, Worker


def declared(url: str, identities: Identities | None = None, namespace: str = "bench") -> tuple[Lash, dict[str, Any]]:
    """Return a ``Lash`` and its no-ops, which note their runs."""
    lash = Lash(url, namespace=namespace)
    ran = identities.ran if identities else None

    async def rerunnable(identity: int, name: str) -> int:
        if ran:
            ran(identity)
        return identity

    async def bound(identity: int, name: str) -> int:
        if ran:
            ran(identity)
        return identity

    def plain(identity: int, name: str) -> int:
        if ran:
            ran(identity)
        return identity

    return lash, {
        "async": lash.task(recovery="rerunnable", name="async")(rerunnable),
        "bound": lash.task(recovery="owner_bound", name="bound")(bound),
        "plain": lash.task(recovery="rerunnable", name="plain")(plain),
    }


class LashClient(Client):
    """Submits through ``Lash``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lash, self._tasks = declared(url)

    async def open(self) -> None:
        """Connect, and stay connected: what waits for outcomes shares one subscription."""
        await self._lash.__aenter__()

    async def bulk(self, numbers: range, task: str, *, named: bool) -> None:
        """Submit by ``submit_many``; with chosen ids by the registrations that it makes of calls."""
        if not named:
            await self._tasks[task].submit_many((number, NAME) for number in numbers)
            return
        await self._lash.registry.register_many(self._named(numbers, task))

    def _named(self, numbers: range, task: str) -> Iterator[Any]:
        for number in numbers:
            chosen = self._tasks[task].options(process_id=f"process-{number:012d}")
            yield chosen.registration((number, NAME), {})

    async def single(self, numbers: range, task: str) -> None:
        """Await each submit."""
        submit = self._tasks[task].submit
        for number in numbers:
            await submit(number, NAME)

    def single_plain(self, numbers: range, task: str) -> None:
        """Submit by the plain twin."""
        submit = self._tasks[task].blocking.submit
        for number in numbers:
            submit(number, NAME)

    async def raw(self, numbers: range) -> None:
        """Send the call that a submit is through redis-py alone."""
        call = await self._raw_call()
        async with aioredis.Redis.from_url(self._url) as client:
            for number in numbers:
                await client.execute_command(*call.of(number))  # type: ignore[no-untyped-call]

    def raw_plain(self, numbers: range) -> None:
        """Do the same from plain code."""
        call = asyncio.run(self._raw_call())
        with redis.Redis.from_url(self._url) as client:
            for number in numbers:
                client.execute_command(*call.of(number))

    async def _raw_call(self) -> RawCall:
        """Return the call, in a namespace of its own, which nobody drains."""
        lash, tasks = declared(self._url, namespace="raw")
        task = next(iter(tasks.values()))
        async with lash:
            await task.submit(0, NAME)
            return RawCall(lash, task.registration((0, NAME), {}))

    async def outcome(self, number: int, task: str) -> None:
        """Submit and wait."""
        process = await self._tasks[task].submit(number, NAME)
        assert await process.result() == number  # noqa: S101 - a wrong result is no measurement

    async def slow(self, file: str, seconds: float) -> str:
        """Submit it as rerunnable work."""
        return await self._submit_slow("slow", file, seconds)

    async def slow_bound(self, file: str, seconds: float) -> str:
        """Submit it as owner-bound work."""
        return await self._submit_slow("slow_bound", file, seconds)

    async def _submit_slow(self, name: str, file: str, seconds: float) -> str:
        declared_there = lash_slow.rerunnable if name == "slow" else lash_slow.bound
        await self._lash.registry.register_many([registration := declared_there.registration((file, seconds), {})])
        return registration.id

    async def read(self, job_id: str) -> Any:
        """Return the record: of one that has not ended its phase and what it says of its owner."""
        record = await self._lash.registry.get(job_id)
        if record is None:
            return None
        state = record.status.value if record.is_terminal else str(record.phase and record.phase.value)
        return {"state": state, "result": str(record.outcome)}

    async def close(self) -> None:
        """Disconnect."""
        await self._lash.__aexit__(None, None, None)


def _run_pool(options: argparse.Namespace) -> None:
    """Run a pool until SIGTERM."""
    line = [sys.executable, "-m", "lash_redis", "worker", f"{lash_slow.__name__}:lash", "--workers", "1"]
    if options.settings == "reliable":
        line += ["--lease-ttl", "3"]
    signal.signal(signal.SIGTERM, lambda *_: None)  # the pool is in this process group, and leaves by itself
    environment = {**os.environ, "LASH_BENCH_URL": options.url}
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as pool:
        for said in pool.stderr or ():
            sys.stderr.buffer.write(said)
            sys.stderr.buffer.flush()
            if b"worker.ready" in said:
                ready()


def work(options: argparse.Namespace) -> None:
    """Run a worker until SIGTERM."""
    if options.task in {"slow", "slow_bound"}:
        _run_pool(options)
        return
    lash, tasks = declared(options.url, Identities(options.identities))

    async def run() -> None:
        worker = Worker(lash.registry, [tasks[options.task]], concurrency=options.concurrency)
        async with lash:
            ready()
            await worker.run(signals=True)

    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        runner.run(run())


if __name__ == "__main__":
    main(LashClient, work)

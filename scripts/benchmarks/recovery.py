"""How soon the rerunnable work of a killed worker process runs again, after its supervisor has reaped it."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import time

from benchmarks import results
from benchmarks.server import fresh_server
from benchmarks.tasks import long
from lash_redis import Lash, LocalProcess, ProcessRegistry

KILLS = 7


async def measure() -> None:
    """Print the median and the largest time from SIGKILL until the same row is started by another owner."""
    with fresh_server() as url:
        environment = {**os.environ, "LASH_BENCH_URL": url}
        pool = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "lash_redis", "worker", "benchmarks.tasks:lash", "--workers", "2", "--queues", "long",
            "--grace", "0", env=environment, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        ready = Ready(pool.stderr)
        try:
            async with Lash(url, namespace="bench") as lash:
                registry = lash.registry
                registration = long.options(loss_limit=KILLS + 5).registration((600.0,), {})
                await registry.register_many([registration])
                times = []
                for kill in range(KILLS):
                    # Both worker processes are ready, so that the figure does not include the start of one.
                    await ready.wait_for(2 + kill)
                    times.append(await _kill_and_wait(registry, registration.id))
        finally:
            pool.send_signal(signal.SIGTERM)
            await pool.wait()
            ready.close()
        results.save("recovery", {"again_s": times})
        ordered = sorted(times)
        print(f"running again after SIGKILL of its worker process: median {statistics.median(ordered) * 1000:.0f} ms, "
              f"largest {ordered[-1] * 1000:.0f} ms of {KILLS}")  # fmt: skip


async def _kill_and_wait(registry: ProcessRegistry, process_id: str) -> float:
    token = ""
    while True:
        row = await registry.row(process_id)
        if row is not None and row.has_begun and row.holder is not None:
            token = row.token
            break
        await asyncio.sleep(0.01)
    if not isinstance(row.holder.liveness, LocalProcess):
        raise SystemExit("this machine gives no proof of liveness")
    began = time.perf_counter()
    os.kill(row.holder.liveness.pid, signal.SIGKILL)
    while True:
        row = await registry.row(process_id)
        if row is not None and row.has_begun and row.token != token:
            return time.perf_counter() - began
        await asyncio.sleep(0.002)


class Ready:
    """Counts the worker processes that a pool's log says are ready."""

    def __init__(self, log: asyncio.StreamReader | None) -> None:
        if log is None:
            raise AssertionError("the pool's stderr is a pipe")
        self._log = log
        self._count = 0
        self._more = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for line in self._log:
            if b"worker.ready" in line:
                self._count += 1
                self._more.set()

    async def wait_for(self, count: int) -> None:
        """Wait until so many were ready since the start."""
        while self._count < count:
            self._more.clear()
            await self._more.wait()

    def close(self) -> None:
        """Read no more."""
        self._reading.cancel()

"""How soon a killed worker process's rerunnable work runs again elsewhere, its supervisor having reaped it."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import time

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
            "--grace", "0", env=environment, stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with Lash(url, namespace="bench") as lash:
                registry = lash.registry
                registration = long.options(loss_limit=KILLS + 5).registration((600.0,), {})
                await registry.register_many([registration])
                times = [await _kill_and_wait(registry, registration.id) for _ in range(KILLS)]
        finally:
            pool.send_signal(signal.SIGTERM)
            await pool.wait()
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
    # Both worker processes are there again, so that the other one is what is measured, not a start.
    while await _idle(registry) < 1:  # noqa: ASYNC110 - the fact is in another OS process
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


async def _idle(registry: ProcessRegistry) -> int:
    return int(await registry.transport.client("calls").zcard(f"{registry.calls.prefix(0)}:idle:long"))

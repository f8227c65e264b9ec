"""How long the start takes: of the import, of the command line, of a pool until it is ready."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time

import psutil

from benchmarks import results
from benchmarks.server import fresh_server

RUNS = 7


def _median_ms(command: list[str]) -> float:
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


async def measure() -> None:
    """Print the medians of whole OS processes, and the times of one pool."""
    bare = _median_ms([sys.executable, "-c", "pass"])
    imported = _median_ms([sys.executable, "-c", "import lash_redis"])
    helped = _median_ms([sys.executable, "-m", "lash_redis", "--help"])
    print(
        f"python alone {bare:.0f} ms; with `import lash_redis` {imported:.0f} ms; `lash-redis --help` {helped:.0f} ms"
    )
    with fresh_server() as url:
        environment = {**os.environ, "LASH_BENCH_URL": url}
        began = time.perf_counter()
        pool = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "lash_redis", "worker", "benchmarks.tasks:lash", "--workers", "1",
            env=environment, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        if pool.stderr is None:
            raise AssertionError("the pool's stderr is a pipe")
        async for line in pool.stderr:
            if b"worker.ready" in line:
                break
        ready = time.perf_counter() - began
        workers = psutil.Process(pool.pid).children()
        worker_mb = max(each.memory_info().rss for each in workers) / 1e6
        began = time.perf_counter()
        pool.send_signal(signal.SIGTERM)
        await pool.communicate()
        print(f"a pool of one worker process is ready after {ready * 1000:.0f} ms and, idle, stops within "
              f"{(time.perf_counter() - began) * 1000:.0f} ms; the worker process has {worker_mb:.0f} MB")  # fmt: skip
    results.save("startup", {"import_ms": imported - bare, "ready_s": ready, "worker_mb": worker_mb})

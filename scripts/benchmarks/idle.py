"""What worker processes cost that have nothing to do: commands of the server, its CPU, connections, memory."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks import results
from benchmarks.recovery import Ready
from benchmarks.server import Work, fresh_server
from lash_redis.core.timing import sleep

SETTLE_S, SECONDS = 45, 60  # by then each has polled, and rests
OURS = 1  # connections of this program


@dataclass(frozen=True)
class Idle:
    """What each worker process of a pool takes, its supervisor's part included."""

    commands: float
    scripts: float
    server_share: float
    connections: float
    pss_mb: float


def pss_mb(pid: int) -> float:
    """Return the memory of an OS process, with its part of what it shares, MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


async def _of_pool(workers: int) -> Idle:
    with fresh_server() as url:
        pool = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "lash_redis", "worker", "benchmarks.tasks:lash", "--workers", str(workers),
            env={**os.environ, "LASH_BENCH_URL": url}, stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        ready = Ready(pool.stderr)
        try:
            await ready.wait_for(workers)
            await sleep(SETTLE_S)
            work = Work(url)
            await sleep(SECONDS)
            commands, cpu, _ = work.since()
            scripts = work.scripts()
            client = redis.Redis.from_url(url)
            connections = int(client.info("clients")["connected_clients"]) - OURS - 1  # and that of ``work``
            client.close()
            memory = max(pss_mb(each) for each in _children(pool.pid))
        finally:
            pool.send_signal(signal.SIGTERM)
            await pool.wait()
            ready.close()
    each = workers * SECONDS
    return Idle(commands / each, scripts / each, cpu / each, connections / workers, memory)


async def measure() -> None:
    """Print what each worker process takes in a pool of one, and in a pool of four."""
    counts = (1, 4)
    pools = await asyncio.gather(*map(_of_pool, counts))
    print(f"Each worker process of an idle pool, with its part of the supervisor, for {SECONDS} s.\n")
    print("| worker processes | commands a second | script calls a second | a server core | connections | MB |")
    print("|---|---|---|---|---|---|")
    for workers, idle in zip(counts, pools, strict=True):
        print(
            f"| {workers} | {idle.commands:.1f} | {idle.scripts:.2f} | {idle.server_share:.3%} "
            f"| {idle.connections:.1f} | {idle.pss_mb:.0f} |"
        )
    print()
    results.save(
        "idle",
        {
            "commands_a_second": pools[0].commands,
            "commands_a_second_of_four": pools[1].commands,
            "connections": pools[1].connections,
            "worker_pss_mb": pools[1].pss_mb,
        },
    )


if __name__ == "__main__":
    asyncio.run(measure())

"""What a sweep costs the server that finds nothing to recover, with a thousand live rows and with a million."""

from __future__ import annotations

import asyncio
from statistics import median

from benchmarks import results
from benchmarks.comparing import told
from benchmarks.filled import FEW, MANY, filled
from benchmarks.server import Work
from benchmarks.transitions import SIGNATURE, claim
from lash_redis import LeaseOwner
from lash_redis.recovery.sweep import Sweep

ROUNDS, SWEEPS = 9, 100
SWEEPER = LeaseOwner.opaque("sweeper", "1")


async def measure() -> None:
    """Print commands, calls and server CPU of each, and the ratio."""
    async with filled(FEW) as few, filled(MANY) as lots:
        sweeps = {lane.rows: (lane, Sweep(lane.registry, SWEEPER)) for lane in (few, lots)}
        for lane, sweep in sweeps.values():
            await claim(lane.registry, lane.next_claim, 64, SIGNATURE)  # somebody holds rows
            await sweep.run_once()
        costs: dict[int, list[tuple[float, float, float]]] = {rows: [] for rows in sweeps}
        for _ in range(ROUNDS):
            for rows, (lane, sweep) in sweeps.items():
                work = Work(lane.url)
                for _ in range(SWEEPS):
                    await sweep.run_once()
                commands, cpu, _ = work.since()
                costs[rows].append((commands / SWEEPS, work.scripts() / SWEEPS, 1000 * cpu / SWEEPS))
    print(f"{ROUNDS} rounds of {SWEEPS} sweeps of each of two servers, in turn.\n")
    print("| live rows | commands | script calls | server CPU, ms | ratio of CPU |")
    print("|---|---|---|---|---|")
    ratios = {rows: [one[2] / other[2] for one, other in zip(costs[rows], costs[FEW], strict=True)] for rows in costs}
    for rows, each in costs.items():
        commands, scripts, cpu_ms = (median(column) for column in zip(*each, strict=True))
        print(f"| {rows:,} | {commands:.1f} | {scripts:.1f} | {cpu_ms:.3f} | {told(ratios[rows])} |")
    print()
    results.save("sweeps", {"ratio": ratios[MANY], "server_ms": [each[2] for each in costs[MANY]]})


if __name__ == "__main__":
    asyncio.run(measure())

"""What it costs the server to renew many leases: its CPU for each, and how long the longest call takes."""

from __future__ import annotations

import asyncio
import statistics

import redis

from benchmarks import results
from benchmarks.comparing import told
from benchmarks.draining import many
from benchmarks.server import Work, fresh_server
from benchmarks.transitions import OWNER, SIGNATURE, claim, registrations
from lash_redis import ProcessRegistry
from lash_redis.registry.keys import owner_digest

LEASES, ROUNDS = many(10_000), 9
BATCH = 500
EVERY_S, TTL_MS = 10, 600_000


async def measure() -> None:
    """Print the share of a server core, the CPU for each lease, and that for each call."""
    with fresh_server() as url:
        registry = ProcessRegistry(url, namespace="bench")
        await registry.register_many(registrations(LEASES, SIGNATURE))
        for number in range(1, LEASES // BATCH + 1):
            await claim(registry, number, BATCH, SIGNATURE)
        server = redis.Redis.from_url(url)
        server.config_set("slowlog-log-slower-than", 0)
        busy, longest, calls = [], list[float](), 0
        for _ in range(ROUNDS):
            server.slowlog_reset()
            work = Work(url)
            renewed = await registry.renew_owned(0, [owner_digest(OWNER)], TTL_MS)
            if len(renewed) != LEASES:
                raise SystemExit(f"expected {LEASES} leases, got {len(renewed)}")
            busy.append(work.since()[1])
            calls = work.scripts()
            longest.append(max(each["duration"] for each in server.slowlog_get(calls + 10)) / 1000)
        server.close()
        await registry.aclose()
    share, each_us = statistics.median(busy) / EVERY_S, 1e6 * statistics.median(busy) / LEASES
    print(f"{LEASES:,} leases of one owner, renewed {ROUNDS} times.\n")
    print("| what | figure |")
    print("|---|---|")
    print(f"| a server core, if they are renewed every {EVERY_S} s | {share:.1%} |")
    print(f"| server CPU for each lease | {each_us:.1f} µs |")
    print(f"| calls for all | {calls} |")
    print(f"| the longest call, ms | {told(longest, '.1f')} |\n")
    results.save(
        "renewals",
        {"server_share": [each / EVERY_S for each in busy], "longest_call_ms": longest},
    )


if __name__ == "__main__":
    asyncio.run(measure())

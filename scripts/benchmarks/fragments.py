"""What a script's fragments take at each call, before its own first line, beside a script that does nothing."""

from __future__ import annotations

import time

import redis

from benchmarks.server import fresh_server
from lash_redis.registry.scripts import load_all

NAMES = ("get", "start", "terminalize", "register", "claim_next")
ROUNDS, CALLS = 60, 100


def _fragments_of(name: str) -> str:
    """Return a script's source up to the last line of its header, which is the first of its own."""
    script = load_all()[name]
    before, _, _ = script.source.partition("\n".join(script.header))
    return f"{before}return 1\n"


def _least_us(client: redis.Redis, sources: dict[str, str]) -> dict[str, float]:
    """Return the least time of one call of each, which are measured by turns."""
    shas = {name: str(client.script_load(source)) for name, source in sources.items()}
    least = dict.fromkeys(sources, float("inf"))
    for _ in range(ROUNDS):
        for name, sha in shas.items():
            pipeline = client.pipeline(transaction=False)
            for _ in range(CALLS):
                pipeline.evalsha(sha, 1, "{p}hdr", "")
            began = time.perf_counter()
            pipeline.execute()
            least[name] = min(least[name], (time.perf_counter() - began) / CALLS * 1e6)
    return least


async def measure() -> None:
    """Print the times, and how many times that of the empty script each is."""
    sources = {"empty": "return 1\n"} | {name: _fragments_of(name) for name in NAMES}
    with fresh_server() as url:
        times = _least_us(redis.Redis.from_url(url), sources)
    for name, least in times.items():
        print(f"{name}: {least:.0f} us, {least / times['empty']:.1f} times the empty script")

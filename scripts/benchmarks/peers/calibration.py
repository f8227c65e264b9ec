"""The same small work before each round, so that a round that other programs disturbed can be seen."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import redis

_PYTHON_TURNS, _PINGS, _SETS = 6_000, 500, 5_000
NOISY = 1.3


def calibrate(url: str) -> dict[str, float]:
    """Return how long (ms) a fixed piece of work in Python took, its CPU time, and a fixed one with an empty server."""
    began, cpu = time.perf_counter(), time.process_time()
    text = json.dumps({"name": "calibration", "values": [*range(20)]})
    for _ in range(_PYTHON_TURNS):
        text = json.dumps(json.loads(text))
    python_ms, python_cpu_ms = (time.perf_counter() - began) * 1000, (time.process_time() - cpu) * 1000
    client = redis.Redis.from_url(url)
    client.ping()
    began = time.perf_counter()
    for _ in range(_PINGS):
        client.ping()
    pipe = client.pipeline(transaction=False)
    for number in range(_SETS):
        pipe.set(f"calibration:{number % 100}", text)
    pipe.execute()
    server_ms = (time.perf_counter() - began) * 1000
    client.flushall()
    client.close()
    return {"python_ms": python_ms, "python_cpu_ms": python_cpu_ms, "server_ms": server_ms}


def quiet(calibrations: Sequence[dict[str, float]]) -> list[bool]:
    """Say of each round whether its calibration was near the best of the run, and the core was its own meanwhile."""
    if not calibrations:
        return []
    best = {name: min(each[name] for each in calibrations) for name in calibrations[0]}
    return [
        each["python_ms"] <= NOISY * each["python_cpu_ms"] and all(each[name] <= NOISY * best[name] for name in best)
        for each in calibrations
    ]

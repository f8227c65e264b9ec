"""What the fragments take at each call, before the script's own first line: as a script, and as a function.

Beside a script, and a function, that does nothing.
"""

from __future__ import annotations

import time

import redis

from benchmarks.server import fresh_server
from lash_redis.registry.scripts import function_of, load_all

NAMES = ("get", "start", "terminalize", "register", "claim_next")
ROUNDS, CALLS = 60, 100
EMPTY = "empty"


def _script_of(name: str) -> str:
    """Return a script's source up to the last line of its header, which is the first of its own."""
    if name == EMPTY:
        return "return 1\n"
    script = load_all()[name]
    before, _, _ = script.source.partition("\n".join(script.header))
    return f"{before}return 1\n"


def _library_of(name: str) -> str:
    """Return a library whose function returns where the script's own lines would begin."""
    if name == EMPTY:
        return f"#!lua name={name}\nredis.register_function('{name}', function() return 1 end)\n"
    function = function_of(name)
    return function.library.replace(function.name, name).replace("return run()", "return 1")


def _least_us(client: redis.Redis, calls: dict[tuple[str, str], tuple[str, str]]) -> dict[tuple[str, str], float]:
    """Return the least time of one call of each, which are measured by turns."""
    least = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for case, (command, name) in calls.items():
            pipeline = client.pipeline(transaction=False)
            for _ in range(CALLS):
                pipeline.execute_command(command, name, 1, "{p}hdr", "")  # type: ignore[no-untyped-call]
            began = time.perf_counter()
            pipeline.execute()
            least[case] = min(least[case], (time.perf_counter() - began) / CALLS * 1e6)
    return least


async def measure() -> None:
    """Print the times of both."""
    with fresh_server() as url:
        client, calls = redis.Redis.from_url(url), dict[tuple[str, str], tuple[str, str]]()
        for name in (EMPTY, *NAMES):
            calls[name, "script"] = "EVALSHA", str(client.script_load(_script_of(name)))
            client.function_load(_library_of(name), replace=True)
            calls[name, "function"] = "FCALL", name
        times = _least_us(client, calls)
    print("| script | as a script, µs | as a function, µs |\n|---|---|---|")
    for name in (EMPTY, *NAMES):
        print(f"| {name} | {times[name, 'script']:.0f} | {times[name, 'function']:.0f} |")

"""What submits take: one at a time beside a raw call of the same script, many at once, in bulk, and with options."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import redis
import redis.asyncio

from benchmarks.comparing import Cost, Stopwatch, compare
from benchmarks.draining import calls, many, opened
from benchmarks.keyed import declared
from benchmarks.raw import RawCall
from lash_redis import Unique
from lash_redis.registry.scripts import load_all

PROCESSES, KEYS, SINGLE, AT_ONCE = many(20_000), 1_000, many(3_000), 100
OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "unique": ({}, {"unique": Unique()}),
    "a delay": ({}, {"delay": 3600}),
    "one label": ({}, {"labels": {"tenant": "42"}}),
    "key and limit=2": ({"key": "tenant", "limit": 2}, {}),
}


async def _submitted(limits: dict[str, Any], options: dict[str, Any]) -> Cost:
    async with opened(partial(declared, limits)) as (_, task, _, url):
        chosen = task.options(**options)
        await chosen.submit("first", -1)
        watch = Stopwatch(url)
        await chosen.submit_many(calls(PROCESSES, KEYS))
        return watch.stop(PROCESSES)


async def _raw_awaited(url: str, commands: Sequence[tuple[Any, ...]]) -> None:
    async with redis.asyncio.Redis.from_url(url) as client:
        for command in commands:
            await client.execute_command(*command)  # type: ignore[no-untyped-call]


async def _raw_plain(url: str, commands: Sequence[tuple[Any, ...]]) -> None:
    with redis.Redis.from_url(url) as client:
        await asyncio.to_thread(lambda: [client.execute_command(*command) for command in commands])


async def _awaited(task: Any) -> None:
    for each in calls(SINGLE, KEYS):
        await task.submit(*each)


async def _plain(task: Any) -> None:
    await asyncio.to_thread(lambda: [task.blocking.submit(*each) for each in calls(SINGLE, KEYS)])


async def _at_once(task: Any) -> None:
    given = list(calls(SINGLE, KEYS))
    for at in range(0, SINGLE, AT_ONCE):
        await asyncio.gather(*(task.submit(*each) for each in given[at : at + AT_ONCE]))


async def _bulk(task: Any) -> None:
    await task.submit_many(calls(SINGLE, KEYS))


async def _raw(by: str, send: Callable[..., Awaitable[None]]) -> Cost:
    async with opened(partial(declared, {})) as (lash, task, _, url):
        await task.submit("first", -1)
        call = RawCall(lash, task.registration(("tenant-1", 1), {}), by)
        commands = [call.of(number) for number in range(SINGLE)]
        with redis.Redis.from_url(url) as client:
            client.script_load(load_all()["register"].shebang_source)
        watch = Stopwatch(url)
        await send(url, commands)
        return watch.stop(SINGLE)


async def _ours(send: Callable[[Any], Awaitable[None]]) -> Cost:
    async with opened(partial(declared, {})) as (_, task, _, url):
        await task.submit("first", -1)
        await asyncio.to_thread(task.blocking.submit, "first", -1)
        watch = Stopwatch(url)
        await send(task)
        return watch.stop(SINGLE)


async def measure() -> None:
    """Print what a submit leaves of a raw call, and what each option leaves of the plain submits."""
    awaited = {f"raw {by}": partial(_raw, by, _raw_awaited) for by in ("FCALL", "EVALSHA")}
    awaited |= {
        "one at a time": partial(_ours, _awaited),
        f"{AT_ONCE} at once": partial(_ours, _at_once),
        "in bulk": partial(_ours, _bulk),
    }
    await compare(f"{SINGLE:,} submits, awaited", awaited)
    plain = {f"raw {by}": partial(_raw, by, _raw_plain) for by in ("FCALL", "EVALSHA")}
    plain |= {"one at a time": partial(_ours, _plain)}
    await compare(f"{SINGLE:,} submits from plain code", plain)
    cases = {name: partial(_submitted, *options) for name, options in OPTIONS.items()}
    await compare(f"{PROCESSES:,} submits in batches of 500", cases)


if __name__ == "__main__":
    asyncio.run(measure())

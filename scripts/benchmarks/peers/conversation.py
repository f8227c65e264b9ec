"""In a Python peer: its command line, and the client's side of the conversation. Standard library alone."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any

NAME = "tenant-7"  # the second argument of every no-op


class UnsupportedError(Exception):
    """This peer has no such thing; the text says why."""


class Client:
    """What a peer's client can do. One that overrides a method supports it.

    Attributes:
        is_reliable: the worker runs with the peer's most reliable settings.
    """

    is_reliable = False

    async def open(self) -> None:
        """Connect."""

    async def bulk(self, numbers: range, task: str, *, named: bool) -> None:
        """Submit all of them, in the fastest way that is documented."""
        raise UnsupportedError("it has no way to submit many")

    async def single(self, numbers: range, task: str) -> None:
        """Submit one after another, each awaited."""
        raise UnsupportedError("it has no client for coroutines")

    def single_plain(self, numbers: range, task: str) -> None:
        """Submit one after another from plain code."""
        raise UnsupportedError("it has no client for plain code")

    async def raw(self, numbers: range) -> None:
        """Send the calls that submits are, one after another, each awaited."""
        raise UnsupportedError("it is measured without one")

    def raw_plain(self, numbers: range) -> None:
        """Send them from plain code."""
        raise UnsupportedError("it is measured without one")

    async def outcome(self, number: int, task: str) -> None:
        """Submit one and wait for its outcome."""
        raise UnsupportedError("it stores no outcome")

    async def slow(self, file: str, seconds: float) -> str:
        """Submit the slow task (``slow.py``); return its id."""
        raise UnsupportedError("it has no slow task")

    async def slow_bound(self, file: str, seconds: float) -> str:
        """Submit the slow task as work that may not run twice; return its id."""
        raise UnsupportedError("it has no work that may not run twice")

    async def read(self, job_id: str) -> Any:
        """Return what the record of a job says: its ``state`` in the peer's own word, its ``result``, and more."""
        raise UnsupportedError("it keeps no record")

    async def close(self) -> None:
        """Disconnect."""


class PlainClient(Client):
    """A client of a peer that has plain code only. It is called on the main thread: nothing else runs there."""

    def bulk_plain(self, numbers: range, task: str, *, named: bool) -> None:
        """Submit all of them, in the fastest way that is documented."""
        raise UnsupportedError("it has no way to submit many")

    def outcome_plain(self, number: int, task: str) -> None:
        """Submit one and wait for its outcome."""
        raise UnsupportedError("it stores no outcome")

    async def bulk(self, numbers: range, task: str, *, named: bool) -> None:
        """Do so by plain code."""
        self.bulk_plain(numbers, task, named=named)

    async def outcome(self, number: int, task: str) -> None:
        """Do so by plain code."""
        self.outcome_plain(number, task)


def main(client: Callable[[str], Client], worker: Callable[[argparse.Namespace], None]) -> None:
    """Run the role that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["worker", "client"])
    parser.add_argument("--url", required=True)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--identities", default="")
    parser.add_argument("--task", choices=["async", "plain", "bound", "slow", "slow_bound"], default="async")
    parser.add_argument("--settings", choices=["default", "reliable"], default="default")
    parser.add_argument("--waited", action="store_true")
    parser.add_argument("--pool", choices=["threads", "prefork"], default="threads")
    options = parser.parse_args()
    if options.role == "worker":
        try:
            worker(options)
        except UnsupportedError as error:
            say({"unsupported": str(error)})
    else:
        connected = client(options.url)
        connected.is_reliable = options.settings == "reliable"
        _run(_talk(connected))


def check_is_coroutine(options: argparse.Namespace) -> None:
    """Check that a worker for coroutines alone has the task that it is asked for.

    Raises:
        UnsupportedError: it has not.
    """
    if options.task == "bound":
        raise UnsupportedError("it has no work that may not run twice")
    if options.task == "plain":
        raise UnsupportedError("it is for coroutines")


def ready() -> None:
    """Say that this worker can take work."""
    say({"ready": True})


def say(answer: dict[str, Any]) -> None:
    """Print one line, at once."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes an event loop: of uvloop, if this environment has it."""
    try:
        import uvloop  # noqa: PLC0415 - not every environment has it
    except ImportError:
        return None
    new: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return new


def _run(coroutine: Any) -> None:
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        runner.run(coroutine)


async def _talk(client: Client) -> None:
    await client.open()
    try:
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                say(await _answer(client, json.loads(line)))
            except UnsupportedError as error:
                say({"unsupported": str(error)})
    finally:
        await client.close()


async def _answer(client: Client, command: dict[str, Any]) -> dict[str, Any]:
    first = command.get("from", 0)
    numbers, task = range(first, first + command.get("count", 0)), command.get("task", "async")
    more: dict[str, Any] = {}
    began, cpu = time.perf_counter(), time.process_time()
    match command["do"]:
        case "bulk":
            await client.bulk(numbers, task, named=command.get("named", False))
        case "single":
            await _single(client, command.get("caller", "async"), numbers, task)
        case "outcomes":
            more["latencies"] = [await _latency(client, number, task) for number in numbers]
        case "slow" if task == "slow_bound":
            more["id"] = await client.slow_bound(command["file"], command["seconds"])
        case "slow":
            more["id"] = await client.slow(command["file"], command["seconds"])
        case "read":
            more["record"] = await client.read(command["id"])
        case other:
            raise UnsupportedError(f"no such command: {other}")
    return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu, **more}


async def _single(client: Client, caller: str, numbers: range, task: str) -> None:
    match caller:
        case "plain" if isinstance(client, PlainClient):
            client.single_plain(numbers, task)
        case "plain":
            await asyncio.to_thread(client.single_plain, numbers, task)
        case "raw":
            await client.raw(numbers)
        case "raw_plain":
            await asyncio.to_thread(client.raw_plain, numbers)
        case _:
            await client.single(numbers, task)


async def _latency(client: Client, number: int, task: str) -> float:
    began = time.perf_counter()
    await client.outcome(number, task)
    return (time.perf_counter() - began) * 1000

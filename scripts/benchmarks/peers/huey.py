"""Huey: its consumer with threads, which block for the next task; results are stored until they are read.

It has no call for many tasks, so bulk is a loop of plain submits. Where an outcome is waited for, ``notify_result`` is
on, so that the waiting client blocks and does not poll; a drain has no need of it, and runs without.

It has no setting for a worker that dies: a task that was taken from the queue is gone with it.
"""

from __future__ import annotations

import argparse
import logging
from typing import Any

from huey import RedisHuey

from benchmarks.peers.conversation import NAME, PlainClient, UnsupportedError, main, ready
from benchmarks.peers.identities import Identities
from benchmarks.peers.slow import slow_plain


def declared(url: str, identities: Identities | None = None, *, waited: bool = False) -> tuple[Any, Any, Any]:
    """Return the queue, the no-op and the slow task."""
    huey: Any = RedisHuey("bench", url=url, notify_result=waited)

    def nothing(identity: int, name: str) -> int:
        if identities:
            identities.ran(identity)
        return identity

    return huey, huey.task(name="nothing")(nothing), huey.task(name="slow")(slow_plain)


class HueyClient(PlainClient):
    """Submits by calling the task."""

    def __init__(self, url: str) -> None:
        self._huey, self._nothing, self._slow = declared(url, waited=True)

    def bulk_plain(self, numbers: range, task: str, *, named: bool) -> None:
        """Submit one after another."""
        if not named:
            self.single_plain(numbers, task)
            return
        for number in numbers:
            one = self._nothing.s(number, NAME)
            one.id = f"process-{number:012d}"
            self._huey.enqueue(one)

    def single_plain(self, numbers: range, task: str) -> None:
        """Submit one after another."""
        for number in numbers:
            self._nothing(number, NAME)

    def outcome_plain(self, number: int, task: str) -> None:
        """Submit and wait."""
        assert self._nothing(number, NAME)(blocking=True, timeout=10) == number  # noqa: S101 - else no measurement

    async def slow(self, file: str, seconds: float) -> str:
        """Submit it."""
        return str(self._slow(file, seconds).id)

    async def read(self, job_id: str) -> Any:
        """Return the stored result."""
        result = self._huey.result(job_id, preserve=True)
        return {"state": "none" if result is None else "stored", "result": result}


def work(options: argparse.Namespace) -> None:
    """Run a consumer until SIGTERM."""
    if options.task not in {"plain", "slow"}:
        raise UnsupportedError("it is for plain functions")
    logging.getLogger("huey").setLevel(logging.WARNING)
    huey, *_ = declared(options.url, Identities(options.identities), waited=options.waited)
    consumer = huey.create_consumer(workers=options.concurrency, worker_type="thread", periodic=False)
    ready()
    consumer.run()


if __name__ == "__main__":
    main(HueyClient, work)

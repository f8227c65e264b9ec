"""Dramatiq: its ``Worker`` with threads in one OS process, and the ``Results`` middleware on Redis.

Results are kept for their default of 10 minutes. It has no call for many messages, so bulk is a loop of ``send``. A
result is waited for by a blocking read.

Most reliable: a worker that has not been heard of for 3 s is dead (60 s by default), and each command looks for dead
ones (one in a thousand by default).
"""

from __future__ import annotations

import argparse
import logging
import signal
from contextlib import suppress
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import ResultMissing, Results
from dramatiq.results.backends import RedisBackend

from benchmarks.peers.conversation import NAME, PlainClient, UnsupportedError, main, ready
from benchmarks.peers.identities import Identities
from benchmarks.peers.slow import slow_plain

RELIABLE = {"heartbeat_timeout": 3000, "maintenance_chance": 1_000_000}


def declared(url: str, identities: Identities | None = None, **options: Any) -> tuple[Any, Any]:
    """Return the broker and the no-op."""
    broker: Any = RedisBroker(url=url, **options)
    dramatiq.set_broker(broker)
    broker.add_middleware(Results(backend=RedisBackend(url=url), store_results=True))

    def nothing(identity: int, name: str) -> int:
        if identities:
            identities.ran(identity)
        return identity

    dramatiq.actor(slow_plain, actor_name="slow", broker=broker)
    return broker, dramatiq.actor(nothing, actor_name="nothing", broker=broker)


class DramatiqClient(PlainClient):
    """Submits through ``send``."""

    def __init__(self, url: str) -> None:
        self._broker, self._nothing = declared(url)

    def bulk_plain(self, numbers: range, task: str, *, named: bool) -> None:
        """Submit one after another."""
        if not named:
            self.single_plain(numbers, task)
            return
        for number in numbers:
            self._broker.enqueue(self._nothing.message(number, NAME).copy(message_id=f"process-{number:012d}"))

    def single_plain(self, numbers: range, task: str) -> None:
        """Submit one after another."""
        for number in numbers:
            self._nothing.send(number, NAME)

    def outcome_plain(self, number: int, task: str) -> None:
        """Submit and wait."""
        sent = self._nothing.send(number, NAME)
        assert sent.get_result(block=True, timeout=10_000) == number  # noqa: S101 - a wrong result is no measurement

    async def slow(self, file: str, seconds: float) -> str:
        """Submit it."""
        return str(self._broker.get_actor("slow").send(file, seconds).message_id)

    async def read(self, job_id: str) -> Any:
        """Return the stored result."""
        for actor in ("nothing", "slow"):
            message = self._broker.get_actor(actor).message().copy(message_id=job_id)
            with suppress(ResultMissing):
                return {"state": "stored", "result": message.get_result()}
        return {"state": "none", "result": None}


def work(options: argparse.Namespace) -> None:
    """Run a worker until SIGTERM."""
    if options.task not in {"plain", "slow"}:
        raise UnsupportedError("it is measured with plain functions, which are its own kind")
    logging.getLogger("dramatiq").setLevel(logging.WARNING)
    broker, _ = declared(
        options.url, Identities(options.identities), **(RELIABLE if options.settings == "reliable" else {})
    )
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    worker = dramatiq.Worker(broker, worker_threads=options.concurrency)
    worker.start()
    ready()
    signal.sigwait([signal.SIGTERM])
    worker.stop(timeout=2_000)


if __name__ == "__main__":
    main(DramatiqClient, work)

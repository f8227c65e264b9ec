"""taskiq: a ``RedisStreamBroker`` (streams, acknowledged once the result is saved) and the Redis result backend.

The worker is its receiver on uvloop and hiredis, with messages prefetched as many as tasks run. Results are kept for an
hour. It has no call for many tasks, so bulk is ``kiq``, a hundred at once. It polls for a result: every 5 ms here.

Most reliable: a message that was not acknowledged within 5 s is taken by another worker (10 minutes by default), once
that one has read a new message. Nothing renews it while a task runs, so that it has to be longer than the longest task.
The lock of those who look ends by itself after 1 s (never by default).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from typing import Any

from taskiq.api import run_receiver_task
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.peers.conversation import NAME, Client, check_is_coroutine, fastest_loop, main, ready
from benchmarks.peers.identities import Identities
from benchmarks.peers.slow import slow

AT_ONCE = 100
POLL_S = 0.005


def declared(url: str, identities: Identities | None = None, **options: Any) -> tuple[Any, Any]:
    """Return the broker and the no-op."""
    results: Any = RedisAsyncResultBackend(redis_url=url, result_ex_time=3600)
    broker = RedisStreamBroker(url=url, consumer_id="0", **options).with_result_backend(results)

    async def nothing(identity: int, name: str) -> int:
        if identities:
            identities.ran(identity)
        return identity

    async def slowly(file: str, seconds: float) -> str:
        return await slow(file, seconds)

    broker.task(task_name="slow")(slowly)
    return broker, broker.task(task_name="nothing")(nothing)


class TaskiqClient(Client):
    """Submits through ``kiq``."""

    def __init__(self, url: str) -> None:
        self._broker, self._nothing = declared(url)

    async def open(self) -> None:
        """Connect."""
        await self._broker.startup()

    async def bulk(self, numbers: range, task: str, *, named: bool) -> None:
        """Submit a hundred at once."""

        def kick(number: int) -> Any:
            if named:
                return self._nothing.kicker().with_task_id(f"process-{number:012d}").kiq(number, NAME)
            return self._nothing.kiq(number, NAME)

        for start in range(0, len(numbers), AT_ONCE):
            await asyncio.gather(*map(kick, numbers[start : start + AT_ONCE]))

    async def single(self, numbers: range, task: str) -> None:
        """Await each submit."""
        for number in numbers:
            await self._nothing.kiq(number, NAME)

    async def outcome(self, number: int, task: str) -> None:
        """Submit and wait."""
        sent = await self._nothing.kiq(number, NAME)
        result = await sent.wait_result(check_interval=POLL_S, timeout=10)
        assert result.return_value == number  # noqa: S101 - a wrong result is no measurement

    async def slow(self, file: str, seconds: float) -> str:
        """Submit it."""
        task = self._broker.find_task("slow")
        return str((await task.kiq(file, seconds)).task_id)

    async def read(self, job_id: str) -> Any:
        """Return the stored result."""
        if not await self._broker.result_backend.is_result_ready(job_id):
            return {"state": "none", "result": None}
        result = await self._broker.result_backend.get_result(job_id)
        return {"state": "error" if result.is_err else "stored", "result": result.return_value}

    async def close(self) -> None:
        """Disconnect."""
        await self._broker.shutdown()


def work(options: argparse.Namespace) -> None:
    """Run a worker until SIGTERM."""
    check_is_coroutine(options)
    logging.getLogger("taskiq").setLevel(logging.WARNING)
    more = {"idle_timeout": 5000, "unacknowledged_lock_timeout": 1} if options.settings == "reliable" else {}
    broker, _ = declared(options.url, Identities(options.identities), **more)

    async def run() -> None:
        await broker.startup()
        receiving = asyncio.create_task(
            run_receiver_task(broker, max_async_tasks=options.concurrency, max_prefetch=options.concurrency)
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, receiving.cancel)
        ready()
        await asyncio.wait([receiving])

    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        runner.run(run())


if __name__ == "__main__":
    main(TaskiqClient, work)

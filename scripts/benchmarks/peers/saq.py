"""SAQ: its ``Worker`` on uvloop and hiredis, with as many operations at once as jobs.

Results are kept for its default of 10 minutes. It has no call for many jobs, so bulk is ``enqueue``, a hundred at once.
An outcome is waited for by ``Queue.listen``, on a channel, before the job is sent; ``apply`` would look twice a second,
and ``Job.refresh`` misses the message of a quick job.

Most reliable: a job that has not been heard of for 2 s is stuck (none is before its time-out of 10 s by default), the
workers look for stuck jobs each second (60 s by default), and a job has 100 tries (1 by default).
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from saq import Queue, Worker
from saq.job import TERMINAL_STATUSES, Status

from benchmarks.peers.conversation import NAME, Client, check_is_coroutine, fastest_loop, main, ready
from benchmarks.peers.identities import Identities
from benchmarks.peers.slow import slow

AT_ONCE = 100


class SaqClient(Client):
    """Submits through ``Queue``."""

    def __init__(self, url: str) -> None:
        self._queue = Queue.from_url(url, max_concurrent_ops=AT_ONCE)

    async def open(self) -> None:
        """Connect."""
        await self._queue.connect()
        # Its one subscription ends with its last listener: this one keeps it.
        self._keeps = asyncio.create_task(self._queue.listen(["nobody"], _is_over, timeout=None))

    async def bulk(self, numbers: range, task: str, *, named: bool) -> None:
        """Submit a hundred at once."""
        for start in range(0, len(numbers), AT_ONCE):
            await asyncio.gather(
                *(
                    self._queue.enqueue(
                        "nothing", identity=number, name=NAME, **({"key": f"process-{number:012d}"} if named else {})
                    )
                    for number in numbers[start : start + AT_ONCE]
                )
            )

    async def single(self, numbers: range, task: str) -> None:
        """Await each enqueue."""
        for number in numbers:
            await self._queue.enqueue("nothing", identity=number, name=NAME)

    async def outcome(self, number: int, task: str) -> None:
        """Submit and wait."""
        key = f"waited-{number}"
        over = asyncio.create_task(self._queue.listen([key], _is_over, timeout=5))
        await asyncio.sleep(0)  # it listens from here on
        await self._queue.enqueue("nothing", key=key, identity=number, name=NAME)
        await over
        job = await self._queue.job(key)
        assert job is not None and job.result == number  # noqa: S101, PT018 - a wrong result is no measurement

    async def slow(self, file: str, seconds: float) -> str:
        """Submit it; ``heartbeat`` and ``retries`` belong to a job."""
        more = {"heartbeat": 2, "retries": 100} if self.is_reliable else {}
        job = await self._queue.enqueue("slow", file=file, seconds=seconds, **more)
        return str(job and job.key)

    async def read(self, job_id: str) -> Any:
        """Return the job as it is stored."""
        job = await self._queue.job(job_id)
        return job and {"state": job.status, "result": job.result, "error": job.error, "attempts": job.attempts}

    async def close(self) -> None:
        """Disconnect."""
        self._keeps.cancel()
        await self._queue.disconnect()


def _is_over(_key: str, status: Status) -> bool:
    return status in TERMINAL_STATUSES


def work(options: argparse.Namespace) -> None:
    """Run a worker until SIGTERM."""
    check_is_coroutine(options)
    identities = Identities(options.identities)

    async def nothing(context: Any, *, identity: int, name: str) -> int:
        identities.ran(identity)
        return identity

    async def slowly(context: Any, *, file: str, seconds: float) -> str:
        return await slow(file, seconds, context["job"].update)

    async def run() -> None:
        queue = Queue.from_url(options.url, max_concurrent_ops=options.concurrency)
        await queue.connect()
        timers: Any = {"sweep": 1} if options.settings == "reliable" else None
        functions = [("nothing", nothing), ("slow", slowly)]
        worker: Any = Worker(queue, functions, concurrency=options.concurrency, timers=timers)
        ready()
        await worker.start()

    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        runner.run(run())


if __name__ == "__main__":
    main(SaqClient, work)

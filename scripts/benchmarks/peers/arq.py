"""arq: its ``Worker`` on uvloop and hiredis, which looks for jobs every 10 ms instead of twice a second.

With its default it would start no more than 640 jobs a second, whatever the machine does. Results are kept for its
default of an hour. It has no call for many jobs, so bulk is ``enqueue_job``, a hundred at once. It polls for a result:
every 5 ms here.

Most reliable: a job may take 5 s (300 s by default), since what is in progress is taken for lost 10 s after that, and
has 100 tries (5 by default).
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.jobs import Job
from arq.worker import Worker, func

from benchmarks.peers.conversation import NAME, Client, check_is_coroutine, fastest_loop, main, ready
from benchmarks.peers.identities import Identities
from benchmarks.peers.slow import slow

AT_ONCE = 100
LOOK_S, POLL_S = 0.01, 0.005


class ArqClient(Client):
    """Submits through ``enqueue_job``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: Any = None

    async def open(self) -> None:
        """Connect."""
        self._pool = await create_pool(RedisSettings.from_dsn(self._url))

    async def bulk(self, numbers: range, task: str, *, named: bool) -> None:
        """Submit a hundred at once."""
        for start in range(0, len(numbers), AT_ONCE):
            await asyncio.gather(
                *(
                    self._pool.enqueue_job(
                        "nothing", number, NAME, _job_id=f"process-{number:012d}" if named else None
                    )
                    for number in numbers[start : start + AT_ONCE]
                )
            )  # fmt: skip

    async def single(self, numbers: range, task: str) -> None:
        """Await each submit."""
        for number in numbers:
            await self._pool.enqueue_job("nothing", number, NAME)

    async def outcome(self, number: int, task: str) -> None:
        """Submit and wait."""
        job = await self._pool.enqueue_job("nothing", number, NAME)
        assert await job.result(10, poll_delay=POLL_S) == number  # noqa: S101 - a wrong result is no measurement

    async def slow(self, file: str, seconds: float) -> str:
        """Submit it."""
        return str((await self._pool.enqueue_job("slow", file, seconds)).job_id)

    async def read(self, job_id: str) -> Any:
        """Return what is known of the job."""
        job = Job(job_id, self._pool)
        info = await job.result_info()
        return {"state": await job.status(), "result": info and str(info.result), "tries": info and info.job_try}

    async def close(self) -> None:
        """Disconnect."""
        await self._pool.aclose()


def work(options: argparse.Namespace) -> None:
    """Run a worker until SIGTERM."""
    check_is_coroutine(options)
    identities = Identities(options.identities)

    async def nothing(context: Any, identity: int, name: str) -> int:
        identities.ran(identity)
        return identity

    async def slowly(context: Any, file: str, seconds: float) -> str:
        return await slow(file, seconds)

    more: dict[str, Any] = {"job_timeout": 5, "max_tries": 100} if options.settings == "reliable" else {}

    async def run() -> None:
        worker = Worker(
            [func(nothing, name="nothing"), func(slowly, name="slow")],
            redis_settings=RedisSettings.from_dsn(options.url),
            max_jobs=options.concurrency,
            poll_delay=LOOK_S,
            log_results=False,
            **more,
        )
        ready()
        try:
            await worker.async_run()
        except asyncio.CancelledError:
            await worker.close()

    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        runner.run(run())


if __name__ == "__main__":
    main(ArqClient, work)

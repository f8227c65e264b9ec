"""streaQ: its ``Worker`` on uvloop and hiredis, with its defaults.

Results are kept for its default of 5 minutes. Bulk goes through ``enqueue_many``, 500 at a time. A result is waited for
on a channel.

Most reliable: what a worker has not renewed for 3 s is taken by another one (60 s by default).
"""

from __future__ import annotations

import argparse
import logging
from typing import Any

from streaq import Worker

from benchmarks.peers.conversation import NAME, Client, check_is_coroutine, main, ready
from benchmarks.peers.identities import Identities
from benchmarks.peers.slow import slow

BATCH = 500


def declared(url: str, identities: Identities | None = None, **options: Any) -> tuple[Any, Any, Any]:
    """Return the worker object, which is the client too, the no-op and the slow task."""
    worker: Any = Worker(redis_url=url, **options)

    async def nothing(identity: int, name: str) -> int:
        if identities:
            identities.ran(identity)
        return identity

    async def slowly(file: str, seconds: float) -> str:
        return await slow(file, seconds)

    slow_task = worker.task(name="slow", silent=True)(slowly)
    return worker, worker.task(name="nothing", silent=True)(nothing), slow_task


class StreaqClient(Client):
    """Submits through ``enqueue``."""

    def __init__(self, url: str) -> None:
        self._worker, self._nothing, self._slow = declared(url)

    async def open(self) -> None:
        """Connect."""
        await self._worker.__aenter__()

    async def bulk(self, numbers: range, task: str, *, named: bool) -> None:
        """Submit in batches."""
        for start in range(0, len(numbers), BATCH):
            tasks = [self._nothing.enqueue(number, NAME) for number in numbers[start : start + BATCH]]
            if named:
                for number, each in zip(numbers[start : start + BATCH], tasks, strict=True):
                    each.id = f"process-{number:012d}"
            await self._worker.enqueue_many(tasks)

    async def single(self, numbers: range, task: str) -> None:
        """Await each submit."""
        for number in numbers:
            await self._nothing.enqueue(number, NAME)

    async def outcome(self, number: int, task: str) -> None:
        """Submit and wait."""
        sent = await self._nothing.enqueue(number, NAME)
        result = await sent.result(10)
        assert result.result == number  # noqa: S101 - a wrong result is no measurement

    async def slow(self, file: str, seconds: float) -> str:
        """Submit it."""
        return str((await self._slow.enqueue(file, seconds)).id)

    async def read(self, job_id: str) -> Any:
        """Return the stored result, or what is known of the task."""
        try:
            found = await self._worker.result_by_id(job_id, timeout=1)
        except TimeoutError:
            info = await self._worker.info_by_id(job_id)
            return {"state": info and str(info.status.value), "result": None, "tries": info and info.tries}
        result = found.result if found.success else str(found.exception)
        return {"state": "success" if found.success else "failed", "result": result, "tries": found.tries}

    async def close(self) -> None:
        """Disconnect."""
        await self._worker.__aexit__(None, None, None)


def work(options: argparse.Namespace) -> None:
    """Run a worker until SIGTERM."""
    check_is_coroutine(options)
    logging.getLogger("streaq").setLevel(logging.WARNING)
    identities = Identities(options.identities)
    more = {"idle_timeout": 3} if options.settings == "reliable" else {}
    worker, *_ = declared(
        options.url, identities, concurrency=options.concurrency, anyio_kwargs={"use_uvloop": True}, **more
    )
    ready()
    worker.run_sync()


if __name__ == "__main__":
    main(StreaqClient, work)

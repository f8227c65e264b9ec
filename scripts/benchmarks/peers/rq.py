"""RQ: a ``SimpleWorker``, which runs jobs in its own OS process, one after another.

Its default worker forks for each job, which costs several milliseconds; for work this short, its documentation names
``SimpleWorker``. It has no threads, so it runs one job at a time. Results are kept for their default of 500 s. Bulk
goes through ``enqueue_many``, 500 at a time. A result is waited for by a blocking read of its stream.
"""

from __future__ import annotations

import argparse
import os
from functools import cache
from typing import Any

from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job

from benchmarks.peers.conversation import NAME, PlainClient, UnsupportedError, main, ready
from benchmarks.peers.identities import Identities

BATCH = 500
FOLDER = "LASH_BENCH_IDENTITIES"
NOTHING = "benchmarks.peers.rq.nothing"


@cache
def _identities() -> Identities:
    return Identities(os.environ[FOLDER])


def nothing(identity: int, name: str) -> int:
    """Note the run. RQ imports it by its name."""
    _identities().ran(identity)
    return identity


class RqClient(PlainClient):
    """Submits through ``Queue``."""

    def __init__(self, url: str) -> None:
        self._queue: Any = Queue("bench", connection=Redis.from_url(url))

    def bulk_plain(self, numbers: range, task: str, *, named: bool) -> None:
        """Submit in batches."""
        for start in range(0, len(numbers), BATCH):
            self._queue.enqueue_many(
                Queue.prepare_data(NOTHING, (number, NAME), job_id=f"process-{number:012d}" if named else None)
                for number in numbers[start : start + BATCH]
            )

    def single_plain(self, numbers: range, task: str) -> None:
        """Submit one after another."""
        for number in numbers:
            self._queue.enqueue(NOTHING, number, NAME)

    def outcome_plain(self, number: int, task: str) -> None:
        """Submit and wait."""
        job = self._queue.enqueue(NOTHING, number, NAME)
        assert job.latest_result(timeout=10).return_value == number  # noqa: S101 - a wrong result is no measurement

    async def read(self, job_id: str) -> Any:
        """Return what the job says."""
        job: Any = Job.fetch(job_id, connection=self._queue.connection)
        return f"{job.get_status()}: {job.return_value()}"


def work(options: argparse.Namespace) -> None:
    """Run a worker until SIGTERM."""
    if options.task != "plain":
        raise UnsupportedError("it is for plain functions")
    os.environ[FOLDER] = options.identities
    connection = Redis.from_url(options.url)
    worker: Any = SimpleWorker(
        [Queue("bench", connection=connection)], connection=connection, log_job_description=False
    )
    ready()
    worker.work(logging_level="ERROR")


if __name__ == "__main__":
    main(RqClient, work)

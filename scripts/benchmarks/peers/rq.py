"""RQ: a ``SimpleWorker``, which runs jobs in its own OS process, one after another.

Its default worker forks for each job, which costs several milliseconds; for work this short, its documentation names
``SimpleWorker``. It has no threads, so it runs one job at a time. Results are kept for their default of 500 s. Bulk
goes through ``enqueue_many``, 500 at a time. A result is waited for by a blocking read of its stream.

The faults are made with its default worker, which forks. Most reliable: a job has 100 tries (one by default), and each
second the parent says that it lives (30 s by default) and lost jobs are looked for (10 minutes by default). A job
counts as lost a minute after its parent was last heard of; no setting makes that shorter.
"""

from __future__ import annotations

import argparse
import os
from functools import cache
from typing import Any

from redis import Redis
from rq import Queue, Retry, SimpleWorker, Worker
from rq.job import Job

from benchmarks.peers.conversation import NAME, PlainClient, UnsupportedError, main, ready
from benchmarks.peers.identities import Identities

BATCH = 500
FOLDER = "LASH_BENCH_IDENTITIES"
NOTHING = "benchmarks.peers.rq.nothing"
SLOW = "benchmarks.peers.slow.slow_plain"
RELIABLE = {"job_monitoring_interval": 1, "maintenance_interval": 1}


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

    async def slow(self, file: str, seconds: float) -> str:
        """Submit it."""
        retry = Retry(max=100) if self.is_reliable else None
        return str(self._queue.enqueue(SLOW, file, seconds, retry=retry).id)

    async def read(self, job_id: str) -> Any:
        """Return what the job says."""
        job: Any = Job.fetch(job_id, connection=self._queue.connection)
        return {"state": str(job.get_status().value), "result": job.return_value(), "error": str(job.exc_info)[-200:]}


def work(options: argparse.Namespace) -> None:
    """Run a worker until SIGTERM."""
    if options.task not in {"plain", "slow"}:
        raise UnsupportedError("it is for plain functions")
    os.environ[FOLDER] = options.identities
    connection = Redis.from_url(options.url)
    queues = [Queue("bench", connection=connection)]
    more = RELIABLE if options.settings == "reliable" else {}
    kind = Worker if options.task == "slow" else SimpleWorker
    worker: Any = kind(queues, connection=connection, log_job_description=False, **more)
    ready()
    worker.work(logging_level="ERROR")


if __name__ == "__main__":
    main(RqClient, work)

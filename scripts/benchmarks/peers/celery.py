"""Celery: the pool that the name of the peer says, threads or prefork, with Redis as broker and as result backend.

Sixteen tasks are prefetched for each thread or OS process, as its documentation advises for short tasks; events,
gossip, mingle and heartbeats of workers are off. Results are kept for their default of a day. It has no call for many
tasks, so bulk is ``apply_async`` on one held producer. A result is waited for on a channel.

Most reliable: a task is acknowledged when it has ended (before it begins by default), also if its OS process died. One
is prefetched. What was not acknowledged within 5 s is delivered again (an hour by default), which is looked for each
second. Nothing renews that while a task runs, so that it has to be longer than the longest task.
"""

from __future__ import annotations

import argparse
from typing import Any

from celery import Celery
from celery.result import AsyncResult

from benchmarks.peers.conversation import NAME, PlainClient, UnsupportedError, main, ready
from benchmarks.peers.identities import Identities
from benchmarks.peers.slow import slow_plain

RELIABLE = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "broker_transport_options": {
        "visibility_timeout": 5,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
}


def declared(url: str, identities: Identities | None = None, **options: Any) -> tuple[Any, Any]:
    """Return the app and the no-op."""
    app: Any = Celery("bench", broker=url, backend=url)
    app.conf.update(
        worker_prefetch_multiplier=16,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
    )

    def nothing(identity: int, name: str) -> int:
        if identities:
            identities.ran(identity)
        return identity

    app.conf.update(options)
    app.task(name="slow")(slow_plain)
    return app, app.task(name="nothing")(nothing)


class CeleryClient(PlainClient):
    """Submits through ``apply_async``."""

    def __init__(self, url: str) -> None:
        self._app, self._nothing = declared(url)

    def bulk_plain(self, numbers: range, task: str, *, named: bool) -> None:
        """Submit one after another."""
        with self._app.producer_pool.acquire(block=True) as producer:
            for number in numbers:
                task_id = f"process-{number:012d}" if named else None
                self._nothing.apply_async((number, NAME), producer=producer, task_id=task_id)

    def single_plain(self, numbers: range, task: str) -> None:
        """Submit one after another."""
        for number in numbers:
            self._nothing.delay(number, NAME)

    def outcome_plain(self, number: int, task: str) -> None:
        """Submit and wait."""
        assert self._nothing.delay(number, NAME).get(timeout=10) == number  # noqa: S101 - else no measurement

    async def slow(self, file: str, seconds: float) -> str:
        """Submit it."""
        return str(self._app.tasks["slow"].delay(file, seconds).id)

    async def read(self, job_id: str) -> Any:
        """Return the state and the result."""
        result: Any = AsyncResult(job_id, app=self._app)
        return {"state": result.state, "result": str(result.result)}


def work(options: argparse.Namespace) -> None:
    """Run a worker until SIGTERM."""
    if options.task not in {"plain", "slow"}:
        raise UnsupportedError("it is for plain functions")
    app, _ = declared(
        options.url, Identities(options.identities), **(RELIABLE if options.settings == "reliable" else {})
    )
    ready()
    app.worker_main(
        [
            "worker",
            f"--pool={options.pool}",
            f"--concurrency={options.concurrency}",
            "--loglevel=ERROR",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
    )


if __name__ == "__main__":
    main(CeleryClient, work)

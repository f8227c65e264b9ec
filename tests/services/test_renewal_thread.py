"""Renewal by a thread, for a ``Worker`` in somebody's program (rule 6.3)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis

from lash_redis.core.errors import NamespaceMismatch
from lash_redis.core.events import Event, WorkerFaulted, WorkerUnavailable
from lash_redis.core.outcomes import Success
from lash_redis.core.subscribers import subscribed
from lash_redis.registry.answers import RenewedRow
from lash_redis.registry.keys import partition_of, partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.declaration import declare
from lash_redis.worker import renewal
from tests.conformance.actors import RERUNNABLE, work
from tests.look import ended
from tests.services.conftest import Crew
from tests.support import block_until, wait_until


async def test_leases_are_renewed_while_the_event_loop_is_blocked(
    registry: ProcessRegistry, crew: Crew, backend: Any
) -> None:
    """``async`` work that does not yield keeps its lease."""
    if backend.is_fake:
        pytest.skip("the time of a fake server stands still")
    row = f"{partition_prefix(registry.namespace, partition_of('p', registry.partitions))}:p:p"

    async def blocks(_piece: str) -> None:
        with redis.Redis.from_url(backend.url) as client:
            first = client.hget(row, "ex")
            block_until(lambda: client.hget(row, "ex") != first, "the lease is renewed", 30)

    await registry.register(work("p", RERUNNABLE, "p"))
    worker = crew.worker(declare(blocks, recovery="rerunnable", name="work"), lease_ttl_ms=6_000)
    async with crew.running(worker):
        assert (await ended(registry, "p", 40)).outcome == Success(None)


class Source:
    """A renewal thread of a fake registry, which notes what is asked of it and answers as a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Callable[[int], list[RenewedRow]]) -> None:
        self.asked: list[int] = []
        self.applied: list[int] = []
        self._answer = answer
        monkeypatch.setattr(renewal, "BlockingRegistry", lambda _registry: self)
        self.thread = renewal.RenewalThread(ProcessRegistry("unix:///none", partitions=2), "me", 1_000)

    def renew_owned(self, partition: int, _owners: list[str], _ttl_ms: int) -> list[RenewedRow]:
        """Answer for one partition."""
        self.asked.append(partition)
        return self._answer(partition)

    def close(self) -> None:
        """Close nothing."""


ERRORS = [
    (RuntimeError("can't start new thread"), WorkerFaulted),
    (OSError("no more files"), WorkerFaulted),
    (ZeroDivisionError(), WorkerFaulted),
    (NamespaceMismatch("the header is gone"), WorkerUnavailable),
]


@pytest.mark.parametrize(("error", "event"), ERRORS, ids=[type(error).__name__ for error, _ in ERRORS])
async def test_no_error_ends_the_renewal_and_none_in_one_partition_holds_up_another(
    monkeypatch: pytest.MonkeyPatch, error: Exception, event: type[Event]
) -> None:
    """It is told as what it is, and the leases of the other partition are renewed on."""

    def answer(partition: int) -> list[RenewedRow]:
        if partition == 0:
            raise error
        return []

    source, seen = Source(monkeypatch, answer), list[Event]()
    with subscribed(seen.append):
        source.thread.start(lambda renewed: source.applied.append(renewed.partition))
        await wait_until(lambda: source.asked.count(0) >= 3, "it renews on")
        source.thread.stop()
    assert set(source.applied) == {1}
    assert {type(each) for each in seen} == {event}


async def test_the_renewal_of_an_event_loop_that_is_closed_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it runs any more, whose leases could be kept."""
    source = Source(monkeypatch, lambda _partition: [])

    async def run() -> None:
        source.thread.start(lambda _renewed: None)

    await asyncio.to_thread(asyncio.run, run())
    await wait_until(
        lambda: not [each for each in threading.enumerate() if each.name == "lash-renewal"], "it has ended"
    )

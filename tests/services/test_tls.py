"""Work over TLS: on one server, on a cluster, and behind Sentinels."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from lash_redis import Lash, Worker
from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.outcomes import Success
from lash_redis.registry.listening import listen
from lash_redis.registry.registry import ProcessRegistry
from tests.clusters import OnPort, free_ports, on_free_ports, start_cluster
from tests.sentinels import Watched
from tests.support import PATIENCE_S
from tests.tls import KIND, Certificate

PARTITIONS = 8
COUNT = 32
MOMENTS = 20
STEP_S = 0.001


def left_open_by(*works: Coroutine[Any, Any, None]) -> list[str]:
    """Run each work on an event loop of its own; return what was collected later and had not been closed."""
    gc.collect()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        for work in works:
            asyncio.run(work)
        gc.collect()
    return [str(each.message) for each in told]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[OnPort, str]]:
    """Return a server of the test's own, that talks over TLS alone, and its URL."""
    certificate = Certificate(tmp_path)
    with on_free_ports(lambda: OnPort(KIND, *free_ports(1), tls=certificate)) as running:
        yield running, f"rediss://127.0.0.1:{running.port}/0{certificate.query}"


@pytest.fixture(scope="module", params=["server", "cluster", "sentinels"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of servers that talk over TLS alone, without what says whom to trust."""
    certificate = Certificate(tmp_path_factory.mktemp("tls"))
    if request.param == "cluster":
        with start_cluster(kind=KIND, tls=certificate) as cluster:
            yield cluster.url + certificate.query
    elif request.param == "sentinels":
        with Watched(KIND, tls=certificate) as watched:
            yield watched.url + certificate.query
    else:
        with on_free_ports(lambda: OnPort(KIND, *free_ports(1), tls=certificate)) as server:
            yield f"rediss://127.0.0.1:{server.port}/0{certificate.query}"


async def test_work_is_submitted_run_and_heard_of(url: str, namespace: str) -> None:
    """From an event loop and from plain code: calls, claims and subscriptions are all encrypted."""
    lash = Lash(url, namespace=namespace, partitions=PARTITIONS)

    @lash.task(recovery="rerunnable")
    async def double(number: int) -> int:
        return 2 * number

    async with lash:
        running = asyncio.create_task(Worker(lash.registry, lash.tasks, concurrency=8).run())
        many = await asyncio.gather(*(double.submit(number) for number in range(COUNT)))
        ended = await asyncio.gather(*(each.outcome(timeout=PATIENCE_S) for each in many))
        assert ended == [Success(2 * number) for number in range(COUNT)]
        plain = await asyncio.to_thread(lambda: double.blocking.submit(21).outcome(timeout=PATIENCE_S))
        assert plain == Success(42)
        running.cancel()
        await asyncio.wait({running})


async def test_a_server_whom_nobody_trusts_is_none(url: str, namespace: str, tmp_path: Path) -> None:
    """Its certificate is checked by another authority, and nothing is sent."""
    other = Certificate(tmp_path)
    lash = Lash(url.partition("?")[0] + other.query, namespace=namespace)
    with pytest.raises(RegistryUnavailable, match="TLS: self-signed certificate"):
        async with lash:
            pass


@pytest.mark.parametrize("listens", [False, True], ids=["calls", "listener"])
def test_what_is_closed_over_tls_waits_for_no_server(server: tuple[OnPort, str], namespace: str, listens: bool) -> None:
    """By itself asyncio keeps a closed connection until the server confirms, for 30 s: the event loop may end first."""
    process, url = server

    async def close_while_it_is_silent() -> None:
        registry, subscribed = ProcessRegistry(url, namespace), asyncio.Event()
        await registry.open()
        listening = asyncio.create_task(listen(registry, "me", lambda *_: None, lambda *_: subscribed.set()))
        if listens:
            await subscribed.wait()
        else:
            listening.cancel()
            await asyncio.wait({listening})
        process.pause()
        listening.cancel()
        await asyncio.wait({listening})
        await registry.aclose()

    try:
        assert left_open_by(close_while_it_is_silent()) == []
    finally:
        process.resume()


def test_a_cancel_at_any_moment_leaves_nothing_open(url: str, namespace: str) -> None:
    """In the middle of a handshake, of a question to a Sentinel, or of a call."""

    async def cancel_after(seconds: float) -> None:
        registry = ProcessRegistry(url, namespace)
        opening = asyncio.create_task(registry.open())
        await asyncio.wait({opening}, timeout=seconds)
        opening.cancel()
        await asyncio.wait({opening})
        await registry.aclose()

    assert left_open_by(*(cancel_after(moment * STEP_S) for moment in range(MOMENTS))) == []

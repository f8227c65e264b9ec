"""Who takes a connection: one that is at rest is taken as it is, and whoever finds none waits for its turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis.asyncio

from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.connections import WIDTHS
from tests.conformance.actors import work
from tests.conftest import delete_namespace
from tests.proxy import Proxy
from tests.servers import Servers
from tests.support import wait_until


@pytest.fixture
async def registry(proxy: Proxy, servers: Servers, namespace: str) -> AsyncIterator[ProcessRegistry]:
    """Return an open registry behind the proxy."""
    made = ProcessRegistry(proxy.url, namespace)
    await made.open()
    yield made
    await made.aclose()
    async with redis.asyncio.Redis.from_url(servers["valkey"].url) as raw:
        await delete_namespace(raw, namespace)


@pytest.fixture
def blocking(registry: ProcessRegistry) -> Iterator[BlockingRegistry]:
    """Return its blocking counterpart."""
    made = BlockingRegistry(registry)
    yield made
    made.close()


async def test_a_connection_that_was_closed_while_nobody_used_it_is_opened_anew(
    registry: ProcessRegistry, blocking: BlockingRegistry, proxy: Proxy
) -> None:
    """Before anything is sent on it, so that a call that is made once succeeds."""
    await registry.register_many([work("p")])
    await asyncio.to_thread(blocking.get, "p")
    pool: Any = registry.connections._loops.get().clients["calls"].connection_pool  # noqa: SLF001
    (idle,) = pool._available_connections  # noqa: SLF001
    proxy.cut_all()
    await wait_until(idle._reader.at_eof, "the event loop knows that the connection was closed")  # noqa: SLF001

    lane = "default|work|"
    assert (await registry.service_of("p", lane, attempts=1)).lane == lane
    assert (await asyncio.to_thread(blocking.service_of, "p", lane, attempts=1)).lane == lane


async def test_a_connection_that_was_reset_while_nobody_used_it_is_opened_anew(
    registry: ProcessRegistry, blocking: BlockingRegistry, proxy: Proxy
) -> None:
    """A connection that ends by an error has no end of its stream, and is not at rest either."""
    await registry.register_many([work("p")])
    await asyncio.to_thread(blocking.get, "p")
    pool: Any = registry.connections._loops.get().clients["calls"].connection_pool  # noqa: SLF001
    (idle,) = pool._available_connections  # noqa: SLF001
    idle._reader.set_exception(ConnectionResetError("reset by peer"))  # noqa: SLF001 - as asyncio does
    idle._writer.transport.abort()  # noqa: SLF001

    lane = "default|work|"
    assert (await registry.service_of("p", lane, attempts=1)).lane == lane


async def test_calls_that_are_more_than_the_connections_take_turns(
    registry: ProcessRegistry, blocking: BlockingRegistry, proxy: Proxy
) -> None:
    """On an event loop, and in threads; a connection that is given back goes to one that waits."""
    await registry.register(work("p"))  # loads the functions
    with ThreadPoolExecutor(3 * WIDTHS["calls"]) as threads:
        before = proxy.counts["get"]
        asked = [threads.submit(blocking.get, "p") for _ in range(3 * WIDTHS["calls"])]
        records = await asyncio.gather(*(registry.get("p") for _ in range(10 * WIDTHS["calls"])))
        records += [await asyncio.wrap_future(each) for each in asked]
    assert {record and record.id for record in records} == {"p"}
    assert proxy.counts["get"] - before == 13 * WIDTHS["calls"]
    assert len(proxy.open_connections) <= 2 * WIDTHS["calls"]

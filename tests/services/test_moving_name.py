"""A name that leads to another server after a failover: it is resolved again (rule 8.13)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import work
from tests.proxy import Proxy
from tests.servers import Servers

NAME = "primary.test"


@pytest.fixture
def old(servers: Servers) -> Iterator[Proxy]:
    """Return the primary of before."""
    with Proxy(servers["valkey"].url, tcp=True) as made:
        yield made


@pytest.fixture
def new(servers: Servers) -> Iterator[Proxy]:
    """Return the primary of afterwards, which has all that the other had."""
    with Proxy(servers["valkey"].url, tcp=True) as made:
        yield made


async def test_a_name_that_leads_elsewhere_after_a_failover_is_resolved_again(
    old: Proxy, new: Proxy, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old primary lives on as a replica and keeps its connections: async and blocking calls reach the new one."""
    primaries = [old]
    resolve = socket.getaddrinfo

    def resolved(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host != NAME:
            return resolve(host, port, *args, **options)
        address, _, number = primaries[-1].url.removeprefix("redis://").partition(":")
        return resolve(address, int(number.partition("/")[0]), *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    registry = ProcessRegistry(f"redis://{NAME}:6379", namespace)
    blocking = BlockingRegistry(registry)
    await registry.register(work("before"))
    await asyncio.to_thread(blocking.register_many, [work("before-too")])
    assert new.accepted == 0

    primaries.append(new)
    old.answer(None, "READONLY You can't write against a read only replica.", before=True, times=None)

    await registry.register(work("after"))
    await asyncio.to_thread(blocking.register_many, [work("after-too")])
    assert new.counts["register"] == 2
    blocking.close()
    await registry.aclose()

"""Our own connections: redis-py repeats nothing on them, and each kind of traffic has its own (rule 8.11)."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
import redis.asyncio

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.outcomes import Success
from lash_redis.registry.answers import Death
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, begun, work
from tests.servers import Server


async def test_redis_py_repeats_no_call_by_itself() -> None:
    """A call whose connection breaks is an error at once: its reply may be lost, and only we know what that means."""
    connections = 0

    def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    with tempfile.TemporaryDirectory(prefix="lash-") as folder:
        path = Path(folder, "s")
        server = await asyncio.start_unix_server(hang_up, path)
        registry = ProcessRegistry(f"unix://{path}")
        with pytest.raises(RegistryUnavailable):
            await registry.check_server()
        await registry.aclose()
        server.close()
        await server.wait_closed()

    assert connections == 1


async def test_claims_and_control_traffic_have_connections_of_their_own() -> None:
    """However busy the others are, a lease is renewed and a result is written."""
    with Server("valkey") as server:
        raw, registry = redis.asyncio.Redis.from_url(server.url), ProcessRegistry(server.url)
        await registry.register(work())
        before = len(await raw.client_list())
        lease = await begun(registry, "p", ADA)
        claimed = len(await raw.client_list())
        await registry.complete(lease, Success(1))
        completed = len(await raw.client_list())
        await registry.aclose()
        await raw.aclose()

    assert (claimed, completed) == (before + 1, before + 2)


async def test_an_error_that_a_script_raises_opens_no_connection_anew() -> None:
    """It says nothing of the server, which is what it was; the connections to it stay."""
    with Server("valkey") as server:
        raw, registry = redis.asyncio.Redis.from_url(server.url), ProcessRegistry(server.url)
        await registry.register(work())
        before = registry.address.generation
        await raw.set("{lash:lash:0}:dead", "no hash")
        with pytest.raises(RegistryUnavailable, match="WRONGTYPE"):
            await registry.record_death(ADA, Death("exit 9", "bob"))
        after = registry.address.generation
        await registry.aclose()
        await raw.aclose()

    assert after == before

"""A registry behind Sentinels: it finds the primary, and follows a failover."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import redis.asyncio.sentinel
import redis.sentinel

from lash_redis import Lash, Worker
from lash_redis.core.errors import RegistryUnavailable, SettingsError, UnsafeServerError
from lash_redis.core.outcomes import Success
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import work
from tests.sentinels import SERVICE, Watched
from tests.support import block_until, wait_until


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    """Return servers that nothing happens to."""
    with Watched() as running:
        yield running


@pytest.mark.parametrize("form", ["url", "async", "blocking"])
async def test_the_primary_is_found(watched: Watched, namespace: str, form: str) -> None:
    """By a URL and by either of redis-py's clients; asynchronous and blocking calls reach it."""
    hosts = [("127.0.0.1", each.port) for each in watched.sentinels]
    kinds: dict[str, Any] = {"async": redis.asyncio.sentinel.Sentinel, "blocking": redis.sentinel.Sentinel}
    source = watched.url if form == "url" else kinds[form](hosts).master_for(SERVICE)
    registry = ProcessRegistry(source, namespace)
    blocking = BlockingRegistry(registry)
    await registry.register(work("p"))

    assert blocking.get("p") == await registry.get("p")
    assert watched.primary.ask("EXISTS", f"{{lash:{namespace}:0}}:p:p") == 1
    blocking.close()
    await registry.aclose()


async def test_one_sentinel_that_answers_is_enough(watched: Watched, namespace: str) -> None:
    """Wherever it stands in the list."""
    one = watched.sentinels[2].port
    registry = ProcessRegistry(f"redis+sentinel://127.0.0.1:1,127.0.0.1:2,127.0.0.1:{one}/{SERVICE}", namespace)
    await registry.open()
    await registry.aclose()


async def test_a_service_that_no_sentinel_knows_is_said_by_name(watched: Watched, namespace: str) -> None:
    """With the Sentinels that were asked."""
    registry = ProcessRegistry(watched.url.replace(SERVICE, "other"), namespace)
    said = rf"{watched.sentinels[0].port}.* names a primary 'other'; they know '{SERVICE}'"
    with pytest.raises(RegistryUnavailable, match=said) as refusal:
        await registry.open()
    assert not refusal.value.maybe_applied
    await registry.aclose()


async def test_sentinels_that_do_not_answer_are_said_to_be_silent(namespace: str) -> None:
    """A wrong address does not look like a wrong name of the primary; for a blocking caller neither."""
    registry = ProcessRegistry("redis+sentinel://127.0.0.1:1/primary", namespace)
    said = r"cannot reach redis\+sentinel://127\.0\.0\.1:1/primary: connection refused"
    with pytest.raises(RegistryUnavailable, match=said) as refusal:
        await registry.open()
    blocking = BlockingRegistry(registry)
    with pytest.raises(RegistryUnavailable, match="connection refused") as again:
        blocking.get("p")
    assert not refusal.value.maybe_applied
    assert not again.value.maybe_applied
    blocking.close()
    await registry.aclose()


async def test_an_error_names_the_primary_that_answered(watched: Watched, namespace: str) -> None:
    """With the Sentinels that named it, for either kind of call."""
    registry = ProcessRegistry(watched.url, namespace)
    blocking = BlockingRegistry(registry)
    await registry.open()
    blocking.open()
    watched.primary.ask("CONFIG", "SET", "maxmemory", 1)
    said = rf":{watched.sentinels[2].port}/{SERVICE} \(primary 127\.0\.0\.1:{watched.primary.port}\): .*OOM"
    try:
        with pytest.raises(RegistryUnavailable, match=said):
            await registry.register(work("p"))
        with pytest.raises(RegistryUnavailable, match=said):
            blocking.register_many([work("p")])
    finally:
        watched.primary.ask("CONFIG", "SET", "maxmemory", 0)
    blocking.close()
    await registry.aclose()


async def test_a_server_is_no_sentinel(watched: Watched, namespace: str) -> None:
    """A setting, whose error shows how a server is named."""
    registry = ProcessRegistry(f"redis+sentinel://127.0.0.1:{watched.primary.port}/{SERVICE}", namespace)
    with pytest.raises(SettingsError, match=r"no Sentinel: .* redis://HOST:PORT"):
        await registry.open()
    await registry.aclose()


async def test_a_sentinel_is_no_server(watched: Watched, namespace: str) -> None:
    """The error shows how it is named."""
    registry = ProcessRegistry(f"redis://127.0.0.1:{watched.sentinels[0].port}", namespace)
    with pytest.raises(UnsafeServerError, match=r"redis\+sentinel://HOST:PORT"):
        await registry.open()
    await registry.aclose()


async def test_a_failover_is_followed(namespace: str) -> None:
    """The primary is killed: a worker, a wait and a blocking caller go on with the other server, by themselves."""
    with Watched() as watched:
        lash = Lash(watched.url, namespace=namespace)

        @lash.task(recovery="rerunnable")
        async def double(number: int) -> int:
            return 2 * number

        async with lash:
            worker = Worker(lash.registry, lash.tasks, concurrency=4)
            running = asyncio.create_task(worker.run())
            before = [await double.submit(number) for number in range(8)]
            assert [await each.outcome() for each in before] == [Success(2 * number) for number in range(8)]
            await wait_until(lambda: watched.primary.ask("WAIT", 1, 1000) == 1, "the replica has what the primary has")
            watched.primary.kill()
            block_until(
                lambda: watched.sentinels[0].primary_port == watched.replica.port, "the Sentinels name the other server"
            )

            async def submitted() -> bool:
                try:
                    after.append(await double.submit(21))
                except RegistryUnavailable:
                    return False
                return True

            after: list[Any] = []
            await wait_until(submitted, "a submit reaches the new primary")
            assert await after[0].outcome(timeout=40) == Success(42)
            assert await asyncio.to_thread(lambda: double.blocking.submit(4).outcome(timeout=40)) == Success(8)
            running.cancel()
            await asyncio.wait({running})

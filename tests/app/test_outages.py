"""Waiting during outages, on a server of the test's own that can be stopped and started again."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from lash_redis.app import blocking_waiter
from lash_redis.app import waiter as waiter_module
from lash_redis.app.lash import Lash
from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.model import ExternalOwner
from lash_redis.core.outcomes import Success
from lash_redis.registry import subscription
from lash_redis.registry.listening import listen
from lash_redis.registry.registry import ProcessRegistry
from tests.app.test_waiting import has_waiter, waiting_for
from tests.app.working import until_subscribed
from tests.servers import Server
from tests.support import block_until, wait_until

DESK = ExternalOwner("desk")
WAIT_S = 4  # long enough for what a test does meanwhile, on a busy machine too


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server that keeps its data when it is restarted."""
    with Server("valkey", appendonly="yes", enable_debug_command="local") as running:
        yield running


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Any]:
    """Return a raw client."""
    async with redis.asyncio.Redis.from_url(server.url) as raw:
        yield raw


@pytest.fixture
async def lash(server: Server) -> AsyncIterator[Lash]:
    """Return a Lash on that server."""
    async with Lash(server.url, "outages", 2) as made:
        yield made


def restart(server: Server) -> None:
    """Restart the server with its data."""
    with redis.Redis(unix_socket_path=str(server.socket), retry=Retry(NoBackoff(), 0)) as raw:
        before = raw.info("server")["run_id"]
        with pytest.raises(redis.ConnectionError):
            raw.execute_command("DEBUG", "RESTART")

        def has_restarted() -> bool:
            try:
                return bool(raw.info("server")["run_id"] != before)
            except redis.ConnectionError:
                return False

        block_until(has_restarted, "the server has started again")


async def test_a_wait_survives_a_restart(lash: Lash, server: Server, client: Any) -> None:
    """It subscribes again, and gets the message of an end after the restart."""
    step = await lash.expect("approval:1")
    waiter = waiting_for(step, timeout=60)
    await until_subscribed(client, "outages")

    restart(server)
    async with redis.asyncio.Redis.from_url(server.url) as new_client:
        await until_subscribed(new_client, "outages")
    await lash.complete_external("approval:1", Success(1), DESK)

    assert await waiter == Success(1)


def test_a_blocking_wait_survives_a_restart(lash: Lash, server: Server) -> None:
    """The listening thread subscribes again."""
    step = lash.blocking.expect("approval:1")

    with ThreadPoolExecutor() as threads:
        wait = threads.submit(step.blocking.outcome, timeout=60)
        block_until(lambda: has_waiter(lash, step), "the row notes the wait")
        restart(server)
        lash.blocking.complete_external("approval:1", Success(1), DESK)

    assert wait.result() == Success(1)


def _in_thread(wait: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    return functools.partial(asyncio.to_thread, wait)


async def test_a_wait_for_an_unreachable_server_ends_at_its_timeout() -> None:
    """Nothing was read: its error is that of the reads, and none that says that the process has not ended."""
    lash = Lash("unix:///nowhere/s")
    step = lash.process("approval:1")

    for wait in (step.outcome, step.result, _in_thread(step.blocking.outcome), _in_thread(step.blocking.result)):
        timeout_s, said = 0.1, "no answer"
        while said.startswith("no answer"):  # a busy machine may not have tried within so short a time
            with pytest.raises(RegistryUnavailable) as raised:
                await wait(timeout=timeout_s)
            timeout_s, said = 2 * timeout_s, str(raised.value)
        assert re.fullmatch(r"cannot reach unix:.*nowhere[^;]*", said)
    await lash.aclose()


async def test_a_wait_for_a_server_that_says_nothing_ends_at_its_timeout(lash: Lash, server: Server) -> None:
    """No read was answered, and none has failed yet."""
    step = await lash.expect("approval:1")
    server.pause()
    try:
        with pytest.raises(RegistryUnavailable, match=r"no answer from unix:.* within 0\.1 s: process 'approval:1'"):
            await step.outcome(timeout=0.1)
    finally:
        server.resume()


async def test_a_wait_that_was_read_before_an_outage_names_it_at_its_timeout(
    lash: Lash, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process had not ended when it was read."""
    for module in (waiter_module, blocking_waiter):
        monkeypatch.setattr(module, "reread_delay_s", lambda: 0.05)
    step = await lash.expect("approval:1")
    with ThreadPoolExecutor() as threads:
        waiter = waiting_for(step, timeout=WAIT_S)
        await wait_until(lambda: has_waiter(lash, step), "the row notes the wait")
        blocking = threads.submit(step.blocking.outcome, timeout=WAIT_S)
        await wait_until(lambda: lash._sessions._blocking.waiter._listener is not None, "it was read")
        server.kill()

        why = rf"has not ended within {WAIT_S} s \(it is outside; cannot reach unix:"
        for wait in (waiter, asyncio.wrap_future(blocking)):
            with pytest.raises(TimeoutError, match=why):
                await wait


async def test_opening_an_unreachable_server_is_an_error() -> None:
    """``async with`` raises at once what a wait would raise at its timeout."""
    with pytest.raises(RegistryUnavailable):
        async with Lash("unix:///nowhere/s"):
            pass


def test_opening_an_unreachable_server_is_an_error_for_plain_code_too() -> None:
    """So does ``with lash.blocking``."""
    with pytest.raises(RegistryUnavailable), Lash("unix:///nowhere/s").blocking:
        pass


async def test_a_server_that_only_falls_silent_is_noticed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The listener sends a ping, and subscribes again if there is no answer."""
    monkeypatch.setattr(subscription, "QUIET_MS", 100)
    registry = ProcessRegistry(server.url, "outages", 2, timeout_s=2)
    new_client, connections, stands = registry.address.async_client, [], []

    def counted(*args: Any, **options: Any) -> Any:
        connections.append(1)
        return new_client(*args, **options)

    monkeypatch.setattr(registry.address, "async_client", counted)
    await registry.open()
    connections.clear()
    listener = asyncio.create_task(listen(registry, "me", lambda *_: None, lambda: stands.append(1)))
    await wait_until(lambda: stands, "the subscription stands")
    server.pause()
    try:
        await wait_until(lambda: len(connections) >= 2, "it connects again")
    finally:
        server.resume()
    await wait_until(lambda: len(stands) >= 2, "the subscription stands again")

    listener.cancel()
    await asyncio.wait([listener])
    await registry.aclose()

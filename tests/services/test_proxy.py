"""The proxy of the tests: it makes the faults that it says, at the calls that it says, and no others."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
from collections.abc import Iterator

import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.scripts import load_all
from tests.conformance.actors import work
from tests.fault_kinds import CUT, FAULT_KINDS, REPLIES, SWALLOW, FaultKind
from tests.proxy import Proxy
from tests.servers import Servers
from tests.support import block_until, wait_until


@pytest.fixture
def proxy(servers: Servers) -> Iterator[Proxy]:
    """Return a proxy before one real server."""
    with Proxy(servers["valkey"].url) as made:
        yield made


@pytest.fixture
def blocking(proxy: Proxy) -> Iterator[redis.Redis]:
    """Return a client of the proxy without retries, that waits for an answer for 2 s."""
    with redis.Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 0), socket_timeout=2) as client:
        yield client


def test_a_proxy_that_stops_under_its_clients_leaves_nothing_behind(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    """No task is pending that its event loop has left, and none ends by an error that asyncio reports."""
    over = threading.Event()

    def call(url: str) -> None:
        while not over.is_set():
            with contextlib.suppress(redis.RedisError), redis.Redis.from_url(url, socket_timeout=0.5) as client:
                client.ping()

    for _ in range(10):
        with Proxy(servers["valkey"].url) as proxy:
            callers = [threading.Thread(target=call, args=[proxy.url]) for _ in range(8)]
            for each in callers:
                each.start()
            block_until(lambda: proxy.accepted >= 16, "the clients call")
            proxy.cut_all()
        over.set()
        for each in callers:
            each.join(10)
        over.clear()
        gc.collect()

    assert [each.getMessage() for each in caplog.records if each.name == "asyncio"] == []


def test_what_no_fault_strikes_passes(blocking: redis.Redis, proxy: Proxy, namespace: str) -> None:
    """Requests and answers of every shape, and each request is recorded."""
    blocking.set(namespace, b"x" * 100_000)

    assert blocking.get(namespace) == b"x" * 100_000
    assert blocking.get("nothing") is None
    assert blocking.eval("return {1, {ARGV[1]}, {}, false}", 0, b"\r\n") == [1, [b"\r\n"], [], None]
    assert proxy.counts["SET"] == 1
    assert proxy.sizes["SET"] > 100_000
    blocking.delete(namespace)


@pytest.mark.parametrize("kind", FAULT_KINDS, ids=str)
def test_a_fault_strikes_before_or_after_and_then_no_more(
    kind: FaultKind, blocking: redis.Redis, proxy: Proxy, namespace: str
) -> None:
    """The first call is struck, and has happened or not; the second one passes."""
    fault = kind.strike(proxy, "SET")
    silent = {CUT: redis.ConnectionError, SWALLOW: redis.TimeoutError}

    with pytest.raises(silent.get(kind.name, redis.RedisError)) as error:
        blocking.set(namespace, 1)
    assert kind.name in silent or REPLIES[kind.name].endswith(str(error.value)[-20:])

    assert fault.struck == 1
    assert blocking.exists(namespace) == (0 if kind.before else 1)
    assert blocking.set(namespace, 2)
    blocking.delete(namespace)


def test_a_script_is_known_by_its_name(blocking: redis.Redis, proxy: Proxy) -> None:
    """By SHA and by source; other scripts pass."""
    script = load_all()["counts"]
    fault = proxy.answer("counts", "ERR a fault", before=True, times=2)

    for command in (("EVALSHA", script.shebang_sha), ("EVAL", script.source)):
        with pytest.raises(redis.ResponseError, match="a fault"):
            blocking.execute_command(*command, 1, "K", "")  # type: ignore[no-untyped-call]
    assert blocking.eval("return 1", 0) == 1
    assert fault.has_ended
    assert proxy.counts["counts"] == 2


async def test_an_answer_of_no_script_is_not_struck_after_the_call(proxy: Proxy, namespace: str) -> None:
    """The server has forgotten the script: nothing was applied, and the source that follows is struck."""
    proxy.answer("register", "ERR a fault", before=False, times=3)
    registry = ProcessRegistry(proxy.url, namespace)
    async with redis.asyncio.Redis.from_url(proxy.url) as raw:
        await raw.script_flush()
    with pytest.raises(Exception, match="a fault"):
        await registry.register(work())

    proxy.heal()
    assert await registry.get("p") is not None
    await registry.aclose()


def test_a_held_answer_comes_once_it_is_let_go(proxy: Proxy) -> None:
    """The call has happened meanwhile, and others pass on their own connections."""
    fault = proxy.hold("PING", before=False)
    with redis.Redis.from_url(proxy.url) as client, redis.Redis.from_url(proxy.url) as other:
        pubsub = client.connection_pool.get_connection()
        pubsub.send_command("PING")
        block_until(lambda: fault.struck, "the answer is held")
        assert other.echo("x") == b"x"
        assert not pubsub.can_read(timeout=0)
        fault.end()
        assert pubsub.read_response() in (b"PONG", "PONG")
        client.connection_pool.release(pubsub)


def test_a_black_hole_accepts_and_says_nothing(blocking: redis.Redis, proxy: Proxy) -> None:
    """On connections that are there and on new ones; it ends."""
    assert blocking.ping()
    proxy.black_hole()

    for _ in range(2):
        with pytest.raises(redis.TimeoutError):
            blocking.ping()
    proxy.heal()
    assert blocking.ping()


def test_bytes_are_throttled(proxy: Proxy, namespace: str) -> None:
    """In one direction, at about the rate asked for."""
    with redis.Redis.from_url(proxy.url) as client:
        client.set(namespace, b"x" * 30_000)
        proxy.throttle(down=100_000)
        began = time.monotonic()
        client.get(namespace)
        took_down = time.monotonic() - began
        proxy.throttle(up=100_000)
        began = time.monotonic()
        client.set(namespace, b"x" * 30_000)
        took_up = time.monotonic() - began
        proxy.throttle()
        client.delete(namespace)

    assert took_down >= 0.25
    assert took_up >= 0.25


def test_a_demoted_primary_keeps_its_connections_and_refuses_their_writes(proxy: Proxy, namespace: str) -> None:
    """Reads go on; a new connection reaches the new primary."""
    with redis.Redis.from_url(proxy.url) as old, redis.Redis.from_url(proxy.url) as new:
        old.ping()
        proxy.demote()

        with pytest.raises(redis.exceptions.ReadOnlyError):
            old.set(namespace, 1)
        assert old.get(namespace) is None
        assert new.set(namespace, 1)
        proxy.heal()
        assert old.delete(namespace) == 1


async def test_messages_pass_to_subscribers(proxy: Proxy) -> None:
    """They come when they come; a ping between them is answered."""
    async with redis.asyncio.Redis.from_url(proxy.url) as client, client.pubsub() as pubsub:
        await pubsub.subscribe("a", "b")
        await client.publish("a", "hello")
        seen = []

        async def heard() -> bool:
            seen.append(await pubsub.get_message(timeout=0.1))
            return any(each and each["type"] == "message" for each in seen)

        await wait_until(heard, "the message came")
        await client.publish("b", "again")
        seen.clear()
        await wait_until(heard, "the second message came")


def test_all_connections_can_be_cut(blocking: redis.Redis, proxy: Proxy) -> None:
    """The next call connects anew."""
    assert blocking.ping()
    proxy.cut_all()
    block_until(lambda: not proxy.open_connections, "it is cut")

    assert blocking.ping()
    assert proxy.accepted == 2


def test_other_os_processes_use_it_too(proxy: Proxy) -> None:
    """Its socket is a file."""
    child = os.fork()
    if child == 0:
        with redis.Redis.from_url(proxy.url) as client:
            os._exit(0 if client.ping() else 1)

    assert os.waitpid(child, 0)[1] == 0
    assert proxy.counts["PING"] == 1


async def test_it_stands_on_a_port_too(servers: Servers, namespace: str) -> None:
    """For whatever is different over TCP."""
    with Proxy(servers["valkey"].url, tcp=True) as proxy:
        async with redis.asyncio.Redis.from_url(proxy.url) as client:
            assert await asyncio.wait_for(client.ping(), 5)

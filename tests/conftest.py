"""Fixtures for all tests: servers, backends, namespaces, registries."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import fakeredis
import msgspec
import pytest
import redis.asyncio

from lash_redis.core.model import ProcessLease
from lash_redis.registry.keys import partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from tests.clusters import Cluster, start_cluster
from tests.look import lease_of
from tests.proxy import Proxy
from tests.servers import KINDS, Servers
from tests.support import ManualClock, wait_until

RegistryMaker = Callable[..., ProcessRegistry]

_numbers = itertools.count(1)

REPEATED = ("fakeredis-P8", "redis7-P1")  # the slowest, since it makes a server of eight partitions; and one more


class Backend:
    """One server that a test runs on: a fake one whose time is moved, or a real one whose time passes."""

    def __init__(
        self, name: str, url: str = "", clock: ManualClock | None = None, cluster: Cluster | None = None
    ) -> None:
        self.name = name
        self.url = url
        self.clock = clock
        self.cluster = cluster
        self._server = fakeredis.FakeServer() if clock is not None else None

    @property
    def is_fake(self) -> bool:
        """True for fakeredis."""
        return self._server is not None

    def client(self) -> Any:
        """Return a new client of redis-py; whoever asks closes it."""
        if self._server is not None:
            return fakeredis.FakeAsyncRedis(server=self._server)
        if self.cluster is not None:
            return self.cluster.client()
        return redis.asyncio.Redis.from_url(self.url)

    def client_of(self, key: str) -> Any:
        """Return a new client of the one server that has a key."""
        if self.cluster is not None:
            return redis.asyncio.Redis.from_url(self.cluster.owner(key).url)
        return self.client()


class ServerTime:
    """The time of the server, which decides about leases."""

    def __init__(self, backend: Backend, client: Any) -> None:
        self.is_fake = backend.is_fake
        self._clock = backend.clock
        self._client = client

    async def now_ms(self) -> int:
        """Return it, ms."""
        seconds, microseconds = await self._client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def pass_until(self, moment_ms: int) -> None:
        """Let it come to a moment: on a fake server it is moved there, on a real one we wait."""
        if self._clock is not None:
            self._clock.move_to(moment_ms)

        async def has_come() -> bool:
            return await self.now_ms() >= moment_ms

        await wait_until(has_come, f"the server's time is {moment_ms}")

    async def end(self, registry: ProcessRegistry, lease: ProcessLease) -> ProcessLease:
        """Let a long lease run out at once, so that a busy machine is in time for what a test does before its end.

        Its end is moved to now wherever it is written: in the row, in its key and in the index.
        """
        k = partition_prefix(registry.namespace, registry.partition_of(lease.process_id))
        now_ms = await self.now_ms()
        async with self._client.pipeline(transaction=True) as pipeline:
            pipeline.hset(f"{k}:p:{lease.process_id}", "ex", now_ms)
            pipeline.pexpireat(f"{k}:l:{lease.process_id}", now_ms)
            pipeline.zadd(f"{k}:leases", {lease.process_id: now_ms}, xx=True)
            await pipeline.execute()
        return msgspec.structs.replace(lease, expires_at_ms=now_ms)

    async def set_back(self, registry: ProcessRegistry, ms: int) -> None:
        """Set the clock back, as far as keyed lanes see it.

        A real server's clock is not ours: what it has written of times to come is moved forward instead.
        """
        if self._clock is not None:
            self._clock.advance(-ms)
            return
        for partition in range(registry.partitions):
            k = partition_prefix(registry.namespace, partition)
            if await self._client.hexists(f"{k}:hdr", "clock"):
                await self._client.hincrby(f"{k}:hdr", "clock", ms)
            for alarm, _ in await self._client.zrange(f"{k}:alarms", 0, -1, withscores=True):
                await self._client.zincrby(f"{k}:alarms", ms, alarm)
            firsts = [
                await self._client.zrange(f"{k}:{index}", 0, 0, withscores=True) for index in ("alarms", "delayed")
            ]
            if due := [int(score) for found in firsts for _, score in found]:
                await self._client.hset(f"{k}:hdr", "due", min(due))
            for kind in ("window", "next"):
                async for key in self._client.scan_iter(match=f"{k}:{kind}:*", count=1000):
                    ends, text = await self._client.pexpiretime(key), await self._client.get(key)
                    if text is None:
                        continue  # it has expired meanwhile
                    since, _, rest = text.decode().partition(" ")
                    await self._client.set(key, f"{int(since) and int(since) + ms} {rest}", pxat=ends + ms)

    async def lapse(self, registry: ProcessRegistry, *process_ids: str) -> list[ProcessLease]:
        """Let the leases on processes run out; return what they were."""
        leases = [await lease_of(registry, each) for each in process_ids]
        await self.pass_until(max(lease.expires_at_ms for lease in leases))
        assert [await registry.lease(each) for each in process_ids] == [None] * len(process_ids)
        return leases


async def delete_namespace(client: Any, namespace: str) -> None:
    """Delete all that a namespace holds, as a flush would."""
    keys = [key async for key in client.scan_iter(match=f"{{lash:{namespace}:*", count=1000)]
    if keys:
        await client.delete(*keys)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what repeats an idea, unless ``LASH_TESTS=all``.

    A count of partitions is tried on two of the servers, and each server with one count at least. Pools have eight. TLS
    is tried on one server. On the cluster runs of each test of conformance that is not made at random the first of its
    values, with eight partitions.
    """
    if os.environ.get("LASH_TESTS") == "all":
        return
    seen: set[str] = set()
    left_out = [item for item in items if _is_repeated(item) or (_is_of_cluster(item) and not _is_chosen(item, seen))]
    chosen = set(items) - set(left_out)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item in chosen]


def _is_repeated(item: pytest.Item) -> bool:
    is_of_a_pool = item.nodeid.startswith("tests/system/") and _values(item).get("partitions") == 1
    is_of_tls = item.nodeid.startswith("tests/services/test_tls.py") and _values(item).get("url", "server") != "server"
    return is_of_a_pool or is_of_tls or any(each in item.nodeid for each in REPEATED)


def _is_of_cluster(item: pytest.Item) -> bool:
    return _values(item).get("backend") == "cluster"


def _values(item: pytest.Item) -> dict[str, Any]:
    found: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    return found


def _is_chosen(item: pytest.Item, seen: set[str]) -> bool:
    """Say whether a test runs on the cluster by default; ``seen`` gets its name."""
    name = item.nodeid.partition("[")[0]
    is_chosen = name not in seen and "random" not in name and _values(item).get("partitions", 8) == 8
    is_chosen = is_chosen and name.startswith("tests/conformance/")
    seen.update([name] if is_chosen else [])
    return is_chosen


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Own the real servers of this session."""
    running = Servers()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Own the cluster of this session; its slots stay where they are."""
    with start_cluster() as running:
        yield running


@pytest.fixture
def proxy(servers: Servers) -> Iterator[Proxy]:
    """Return a proxy before the shared Valkey, which makes faults."""
    with Proxy(servers["valkey"].url) as made:
        yield made


@pytest.fixture(params=["fakeredis", *KINDS, "cluster"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Return each backend in turn."""
    name: str = request.param
    if name == "fakeredis":
        return Backend(name, clock=ManualClock(monkeypatch))
    if name == "cluster":
        nodes: Cluster = request.getfixturevalue("cluster")
        return Backend(name, url=nodes.url, cluster=nodes)
    running: Servers = request.getfixturevalue("servers")
    return Backend(name, url=running[name].url)


@pytest.fixture(params=[1, 8], ids=["P1", "P8"])
def partitions(request: pytest.FixtureRequest) -> int:
    """Return each partition count in turn."""
    count: int = request.param
    return count


@pytest.fixture
def namespace() -> str:
    """Return a namespace that no other test uses."""
    return f"test-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
async def client(backend: Backend, namespace: str) -> AsyncIterator[Any]:
    """Return a raw client; what the namespace holds is deleted at the end."""
    raw = backend.client()
    yield raw
    await delete_namespace(raw, namespace)
    await raw.aclose()


@pytest.fixture
def server(backend: Backend, client: Any) -> ServerTime:
    """Return the server's time."""
    return ServerTime(backend, client)


@pytest.fixture
async def make_registry(backend: Backend, client: Any, partitions: int, namespace: str) -> AsyncIterator[RegistryMaker]:
    """Return what makes a registry on this backend, in this namespace unless the test names another; all are closed."""
    made: list[ProcessRegistry] = []

    def make(**options: Any) -> ProcessRegistry:
        defaults: dict[str, Any] = {"namespace": namespace, "partitions": partitions}
        made.append(ProcessRegistry(options.pop("client", client), **(defaults | options)))
        return made[-1]

    yield make
    for registry in made:
        await registry.aclose()


@pytest.fixture
async def registry(make_registry: RegistryMaker) -> ProcessRegistry:
    """Return a registry with its namespace open, on each backend with each partition count."""
    made = make_registry()
    await made.open()
    return made

"""A registry on a real cluster: how it is named, what it hears, and what happens while slots move."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import pytest
import redis.cluster

from lash_redis.core.errors import RegistryUnavailable, SettingsError
from lash_redis.core.model import CancelRequest
from lash_redis.core.outcomes import Success
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.keys import channel
from lash_redis.registry.listening import listen, listen_blocking
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.slots import slot_of
from lash_redis.worker.identity import Identity
from lash_redis.worker.loops.retaining import Retaining
from lash_redis.worker.settings import WorkerSettings
from tests.clusters import Cluster, Node, start_cluster
from tests.conformance.actors import ADA, held, local_owner, work
from tests.servers import KINDS
from tests.support import wait_until

PARTITIONS = 8


@pytest.fixture(scope="module", params=KINDS)
def nodes(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Return a cluster of each kind, whose slots the tests of this module move."""
    with start_cluster(kind=request.param) as running:
        yield running


@pytest.fixture
async def registry(nodes: Cluster, namespace: str) -> AsyncIterator[ProcessRegistry]:
    """Return an open registry there."""
    made = ProcessRegistry(nodes.url, namespace, PARTITIONS)
    await made.open()
    yield made
    await made.aclose()


def header(registry: ProcessRegistry, partition: int) -> str:
    """Return the key of a partition's header."""
    return registry.target.namespace.header_key(partition)


def another(nodes: Cluster, than: Node) -> Node:
    """Return a primary that is not this one."""
    return next(node for node in nodes.primaries if node is not than)


def in_partition(registry: ProcessRegistry, partition: int) -> str:
    """Return the id of a process of a partition."""
    return next(f"p{n}" for n in range(1000) if registry.partition_of(f"p{n}") == partition)


def listener_of(kind: str, registry: ProcessRegistry, heard: list[Any]) -> Any:
    """Listen in either way; return what ends that."""

    def confirmed() -> None:
        heard.append("confirmed")

    def message(partition: int, text: str) -> None:
        heard.append((partition, text))

    if kind == "async":
        task = asyncio.create_task(listen(registry, "me", message, confirmed))

        async def end() -> None:
            task.cancel()
            await asyncio.wait({task})

        return end
    stopped, blocking = threading.Event(), BlockingRegistry(registry)
    thread = threading.Thread(target=listen_blocking, args=(blocking, "me", message, confirmed, stopped))
    thread.start()

    async def end_thread() -> None:
        stopped.set()
        await asyncio.to_thread(thread.join)
        blocking.close()

    return end_thread


async def publish(nodes: Cluster, registry: ProcessRegistry, partition: int, text: str) -> int:
    """Publish as a script does; return how many heard it."""
    name = channel(registry.namespace, partition, "me")
    return int(nodes.owner(name).ask("SPUBLISH", name, text))


async def hears_all(nodes: Cluster, registry: ProcessRegistry, heard: list[Any], text: str) -> None:
    """Wait until a message in each partition is heard."""
    for partition in range(PARTITIONS):

        async def has_come(partition: int = partition) -> bool:
            return (partition, text) in heard or (
                await publish(nodes, registry, partition, text) > 0 and (partition, text) in heard
            )

        await wait_until(has_come, f"a message in partition {partition} is heard")


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_what_is_published_in_any_partition_is_heard_also_after_moves(
    nodes: Cluster, registry: ProcessRegistry, kind: str
) -> None:
    """One subscription for each node; when a slot leaves one, its channels are heard on the other."""
    heard: list[Any] = []
    end = listener_of(kind, registry, heard)
    try:
        await hears_all(nodes, registry, heard, "before")
        slot = slot_of(header(registry, 3))
        confirmed, to = heard.count("confirmed"), another(nodes, nodes.owner(slot))
        nodes.move(slot, to)
        await hears_all(nodes, registry, heard, "after")
        assert heard.count("confirmed") > confirmed, "who listens reads again what it may have missed"
        nodes.move_at_once(slot, another(nodes, to))
        await hears_all(nodes, registry, heard, "at once")
    finally:
        await end()


def listeners(nodes: Cluster) -> set[tuple[int, str]]:
    """Return the connections that listen now: the port of the node, and the number of the connection there."""
    lines = [(node.port, line) for node in nodes.primaries for line in node.ask_lines("CLIENT LIST TYPE PUBSUB")]
    return {(port, line.partition(" ")[0]) for port, line in lines}


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_a_slot_that_moves_ends_no_connection(nodes: Cluster, registry: ProcessRegistry, kind: str) -> None:
    """The node that loses it and the one that gets it are both heard on: only the channels of that slot move."""
    heard: list[Any] = []
    end = listener_of(kind, registry, heard)
    try:
        await hears_all(nodes, registry, heard, "before")
        before = listeners(nodes)
        owners = [nodes.owner(header(registry, partition)) for partition in range(PARTITIONS)]
        most = max(owners, key=owners.count)
        for way in (nodes.move, nodes.move_at_once):
            slot = slot_of(header(registry, owners.index(most)))
            to = next((node for node in owners if node is not most), another(nodes, most))
            way(slot, to)
            await hears_all(nodes, registry, heard, way.__name__)
            assert before <= listeners(nodes)
            nodes.move(slot, most)
            await hears_all(nodes, registry, heard, f"{way.__name__} back")
            assert before <= listeners(nodes)
    finally:
        await end()


async def test_a_node_says_that_it_is_one_of_a_cluster(nodes: Cluster, namespace: str) -> None:
    """A URL of one server is enough, and the others are found."""
    made = ProcessRegistry(nodes.primaries[1].url, namespace, PARTITIONS)
    server = await made.open()
    await made.register_many([work(f"p{number}") for number in range(64)])

    assert "a cluster (3 nodes" in server.version
    assert all(node.ask("DBSIZE") for node in nodes.primaries)
    await made.aclose()


async def test_a_blocking_client_of_the_cluster_names_it(nodes: Cluster, namespace: str) -> None:
    """It stays as it is, and connections of our own are made as its."""
    with redis.cluster.RedisCluster(host="127.0.0.1", port=nodes.primaries[0].port) as client:
        made = ProcessRegistry(client, namespace, PARTITIONS)
        await made.register_many([work(f"p{number}") for number in range(64)])
        blocking = BlockingRegistry(made)
        assert [blocking.get(f"p{number}") is not None for number in range(64)] == [True] * 64
        blocking.close()
        await made.aclose()


async def test_a_call_finds_a_partition_that_has_moved(nodes: Cluster, registry: ProcessRegistry) -> None:
    """At once, by either way of moving, and the map has it from then on."""
    for partition in (0, 1):
        slot = slot_of(header(registry, partition))
        row = in_partition(registry, partition)
        await registry.register(work(row))
        to = another(nodes, nodes.owner(slot))
        (nodes.move if partition else nodes.move_at_once)(slot, to)
        assert await registry.get(row) is not None
        assert registry.address.cluster is not None
        node = await registry.address.cluster.node_of(header(registry, partition), registry.sender.transport.slots)
        assert node is not None
        assert node.place == to.address


@pytest.mark.parametrize("moved_first", ["the header", "the rows"])
async def test_a_partition_that_is_half_moved_stands_still(
    nodes: Cluster, namespace: str, moved_first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No script runs on either half, whichever keys went first; the same call succeeds once the move is over."""
    registry = ProcessRegistry(nodes.url, namespace, PARTITIONS, timeout_s=0.3)
    patient = ProcessRegistry(nodes.url, namespace, PARTITIONS)
    row = "old"
    await registry.register(work(row))
    await patient.open()
    partition = registry.partition_of(row)
    other = next(f"n{n}" for n in range(1000) if registry.partition_of(f"n{n}") == partition)
    slot = slot_of(header(registry, partition))
    to = another(nodes, nodes.owner(slot))
    with nodes.moving(slot, to) as of:
        keys = of.ask("CLUSTER", "GETKEYSINSLOT", slot, 100)
        first = [key for key in keys if key.endswith(":hdr") == (moved_first == "the header")]
        of.ask("MIGRATE", *to.address, "", 0, 10_000, "KEYS", *first)
        before = (of.ask("DBSIZE"), to.ask("DBSIZE"))
        for call in (
            registry.register(work(other)),
            registry.get(row),
            registry.request_cancel(row, CancelRequest("ops", 1)),
        ):
            with pytest.raises(RegistryUnavailable, match=r"moving (a|the) slot") as refusal:
                await call
            assert not refusal.value.maybe_applied
        assert (of.ask("DBSIZE"), to.ask("DBSIZE")) == before
        pause, pauses = patient.connections.pause, list[float]()

        def noted(seconds: float) -> Awaitable[None]:
            pauses.append(seconds)
            return pause(seconds)

        monkeypatch.setattr(patient.connections, "pause", noted)
        waiting = asyncio.create_task(patient.get(row))
        await wait_until(lambda: pauses, "the call was refused, and waits")
    assert await waiting is not None
    await registry.register(work(other))
    assert [each is not None for each in (await registry.get(row), await registry.get(other))] == [True, True]
    await registry.aclose()
    await patient.aclose()


async def test_each_node_must_allow_what_is_needed(nodes: Cluster, namespace: str) -> None:
    """The error names the node, and the line for a cluster."""
    line = ["on", ">p", f"~{{lash:{namespace}:*", f"&{{lash:{namespace}:*", "+@all"]
    for node in nodes.primaries:
        node.ask("ACL", "SETUSER", "ada", *line)
    try:
        url = nodes.url.replace("://", "://ada:p@")
        made = ProcessRegistry(url, namespace, PARTITIONS)
        await made.open()
        await made.aclose()
        lacking = nodes.primaries[2]
        lacking.ask("ACL", "SETUSER", "ada", "-spublish")
        with pytest.raises(
            SettingsError, match=rf":{lacking.port}/0: the ACL user 'ada' lacks: the commands SPUBLISH"
        ) as no:
            await ProcessRegistry(url, namespace, PARTITIONS).open()
        assert "+cluster|slots" in str(no.value)
        assert "+ssubscribe" in str(no.value)
    finally:
        for node in nodes.primaries:
            node.ask("ACL", "DELUSER", "ada")


async def test_a_node_that_comes_later_must_allow_it_too(nodes: Cluster, namespace: str) -> None:
    """Else the server would end a script in its middle, behind what it has written: the call is refused whole."""
    made = ProcessRegistry(nodes.url.replace("://", "://ada:p@"), namespace, PARTITIONS)
    *able, lacking = nodes.primaries
    line = ["on", ">p", f"~{{lash:{namespace}:*", f"&{{lash:{namespace}:*", "+@all"]
    for node in nodes.primaries:
        node.ask("ACL", "SETUSER", "ada", *line)
    lacking.ask("ACL", "SETUSER", "ada", "-zadd")
    for partition in range(PARTITIONS):
        if nodes.owner(header(made, partition)) is lacking:
            nodes.move(slot_of(header(made, partition)), able[0])
    row = in_partition(made, 0)
    try:
        await made.register(work(row))
        nodes.move(slot_of(header(made, 0)), lacking)
        with pytest.raises(
            RegistryUnavailable, match=rf":{lacking.port}/0: the ACL user 'ada' lacks: the commands ZADD"
        ) as no:
            await made.register(work(next(n for n in map("q{}".format, range(1000)) if made.partition_of(n) == 0)))
        assert not no.value.maybe_applied
        lacking.ask("ACL", "SETUSER", "ada", "+zadd")
        assert await made.get(row) is not None
    finally:
        for node in nodes.primaries:
            node.ask("ACL", "DELUSER", "ada")
        await made.aclose()


async def test_a_node_that_evicts_is_refused(nodes: Cluster, namespace: str) -> None:
    """Whichever it is."""
    nodes.primaries[2].ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        made = ProcessRegistry(nodes.url, namespace, PARTITIONS)
        with pytest.raises(SettingsError, match="allkeys-lru"):
            await made.open()
        await made.aclose()
    finally:
        nodes.primaries[2].ask("CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_only_a_node_that_is_short_of_memory_forgets(nodes: Cluster, registry: ProcessRegistry) -> None:
    """What has ended on others stays."""
    assert await registry.memory() is None
    for number in range(64):
        await registry.register(work(f"p{number}"))
        await registry.complete(await held(registry, f"p{number}", ADA), Success())
    full = nodes.owner(header(registry, 0))
    gone = {f"p{n}" for n in range(64) if nodes.owner(header(registry, registry.partition_of(f"p{n}"))) is full}
    for node in nodes.primaries:
        node.ask("CONFIG", "SET", "maxmemory", 1 << 40)
    full.ask("CONFIG", "SET", "maxmemory", int(full.asked("INFO memory", "used_memory")) + (64 << 10))
    try:
        await Retaining(registry, Identity(local_owner()), WorkerSettings()).step()
        left = {f"p{number}" for number in range(64) if await registry.get(f"p{number}") is not None}
    finally:
        for node in nodes.primaries:
            node.ask("CONFIG", "SET", "maxmemory", 0)
    assert 0 < len(gone) < 64
    assert {f"p{number}" for number in range(64)} - left == gone


async def test_the_fullest_node_counts(nodes: Cluster, registry: ProcessRegistry) -> None:
    """Whoever forgets what has ended looks at its memory first."""
    assert await registry.memory() is None
    nodes.primaries[1].ask("CONFIG", "SET", "maxmemory", 1 << 30)
    nodes.primaries[2].ask("CONFIG", "SET", "maxmemory", 1 << 31)
    try:
        memory = await registry.memory()
        assert memory is not None
        assert memory.limit == 1 << 30
    finally:
        for node in nodes.primaries:
            node.ask("CONFIG", "SET", "maxmemory", 0)


async def test_a_silent_node_is_waited_for_once(nodes: Cluster, namespace: str) -> None:
    """Who asks all partitions in turn, as renewals do, waits for one call to it, and not for one to each of its."""
    made = ProcessRegistry(nodes.url, namespace, PARTITIONS, timeout_s=2)
    await made.open()
    silent = nodes.owner(header(made, 0))
    of_silent = [partition for partition in range(PARTITIONS) if nodes.owner(header(made, partition)) is silent]
    blocking, said = BlockingRegistry(made), Counter[str]()
    blocking.open()
    silent.pause()
    try:
        for partition in range(PARTITIONS):
            try:
                blocking.renew_owned(partition, ["x"], 1000)
            except RegistryUnavailable as error:
                said["a moment ago" if "a moment ago" in str(error) else "no answer"] += 1
            else:
                said["renewed"] += 1
    finally:
        silent.resume()
    others = PARTITIONS - len(of_silent)
    assert said == Counter({"no answer": 1, "a moment ago": len(of_silent) - 1, "renewed": others})
    nodes.wait_until_ok()
    await wait_until(lambda: blocking_renewal(blocking), "it is asked again")
    blocking.close()
    await made.aclose()


def blocking_renewal(registry: BlockingRegistry) -> bool:
    """Say whether partition 0 can be renewed."""
    try:
        registry.renew_owned(0, ["x"], 1000)
    except RegistryUnavailable:
        return False
    return True

"""Opening a namespace: its header is written once and checked ever after."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import NamespaceMismatch, SettingsError
from lash_redis.registry import scripts
from lash_redis.registry.answers import Death
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.calls.call import Call
from lash_redis.registry.keys import SCHEMA_VERSION, owner_digest, partition_of
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, LONG_MS, batch_claim, held, work
from tests.conformance.test_lost_replies import CASES, World
from tests.conftest import RegistryMaker, delete_namespace
from tests.soundness import keyspace


async def test_each_partition_carries_the_same_header(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int
) -> None:
    """uuid, partition count and schema; a sequence of its own."""
    everything = await keyspace(client, namespace)

    assert sorted(everything) == list(range(partitions))
    headers: list[Any] = [keys["hdr"].value for keys in everything.values()]
    assert {header["partitions"] for header in headers} == {str(partitions).encode()}
    assert {header["schema"] for header in headers} == {str(SCHEMA_VERSION).encode()}
    assert len({header["uuid"] for header in headers}) == 1


async def test_constructing_a_registry_does_no_io(make_registry: RegistryMaker, client: Any, namespace: str) -> None:
    """And needs no event loop; the first call opens."""
    make_registry()

    assert await keyspace(client, namespace) == {}


async def test_the_second_to_open_finds_the_first_ones_header(
    make_registry: RegistryMaker, client: Any, namespace: str
) -> None:
    """First writer wins; both see the same rows."""
    one, two = make_registry(), make_registry()
    await one.open()
    before = await keyspace(client, namespace)
    await two.open()
    assert await keyspace(client, namespace) == before
    await one.register(work())

    assert await two.get("p") == await one.get("p")


async def test_another_partition_count_is_refused(
    registry: ProcessRegistry, make_registry: RegistryMaker, partitions: int
) -> None:
    """P is for ever, and the error says both numbers."""
    other = make_registry(partitions=partitions + 1)

    with pytest.raises(NamespaceMismatch, match=f"partitions to be {partitions}.*got {partitions + 1}"):
        await other.get("p")


async def test_the_partition_count_may_be_taken_as_it_is(
    registry: ProcessRegistry, make_registry: RegistryMaker, partitions: int
) -> None:
    """A reader need not know it."""
    await registry.register(work())
    adopting = make_registry(partitions=None)

    assert await adopting.get("p") == await registry.get("p")
    assert adopting.partitions == partitions


async def test_a_namespace_that_is_not_there_cannot_be_taken_as_it_is(
    make_registry: RegistryMaker, client: Any, namespace: str
) -> None:
    """It is not created by looking, and the error says where it was looked for."""
    adopting = make_registry(partitions=None)

    with pytest.raises(
        SettingsError, match=f"namespace '{namespace}' does not exist on .* yet: the first submit"
    ) as refusal:
        await adopting.get("p")
    assert f" on {adopting.address.shown} yet: " in str(refusal.value)
    assert await keyspace(client, namespace) == {}


async def test_a_newer_schema_is_refused(
    registry: ProcessRegistry, make_registry: RegistryMaker, client: Any, namespace: str
) -> None:
    """What a newer release wrote, this one does not touch."""
    await client.hset(f"{{lash:{namespace}:0}}:hdr", "schema", SCHEMA_VERSION + 1)

    what = f"schema {SCHEMA_VERSION}, got {SCHEMA_VERSION + 1}.*newer lash-redis. Upgrade"
    with pytest.raises(NamespaceMismatch, match=what):
        await make_registry().get("p")


async def test_an_older_schema_is_refused(
    registry: ProcessRegistry, make_registry: RegistryMaker, client: Any, namespace: str
) -> None:
    """Its indexes have other names, so that rows would be missed in silence; the error says what to do."""
    await client.hset(f"{{lash:{namespace}:0}}:hdr", "schema", SCHEMA_VERSION - 1)

    with pytest.raises(NamespaceMismatch, match=f"schema {SCHEMA_VERSION}, got {SCHEMA_VERSION - 1}.*a new namespace"):
        await make_registry().get("p")


async def test_after_a_flush_nothing_is_claimed_or_registered(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """A worker that finds the header gone stops, whichever script it asks."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)
    await delete_namespace(client, namespace)

    with pytest.raises(NamespaceMismatch):
        await registry.record_death(ADA, Death("exit 9", "bob"))
    with pytest.raises(NamespaceMismatch):
        await registry.renew_owned(0, [owner_digest(ADA)], LONG_MS)
    with pytest.raises(NamespaceMismatch):
        await registry.register(work("q"))
    with pytest.raises(NamespaceMismatch):
        await registry.claim("p", ADA, LONG_MS)
    with pytest.raises(NamespaceMismatch):
        await registry.reclaim("p", ADA, lease, LONG_MS)
    with pytest.raises(NamespaceMismatch):
        await registry.claim_next(batch_claim(registry, ADA))
    assert await keyspace(client, namespace) == {}


@pytest.mark.parametrize("script", scripts.names())
async def test_no_script_says_anything_of_another_namespace(
    registry: ProcessRegistry, client: Any, namespace: str, script: str
) -> None:
    """Another uuid, no header, nothing at all: it is a mismatch and never an empty answer, and nothing is written."""
    world = World(registry)
    call = await CASES[script](world)
    key = registry.target.namespace.header_key(call.partition)
    header = await client.hgetall(key)

    await client.hset(key, "uuid", "another")
    await _is_refused(registry, client, namespace, call)
    await client.delete(key)
    await _is_refused(registry, client, namespace, call)
    await client.hset(key, mapping=header)
    await registry.sender.send(call)
    await delete_namespace(client, namespace)
    await _is_refused(registry, client, namespace, call)


async def _is_refused(registry: ProcessRegistry, client: Any, namespace: str, call: Call[Any]) -> None:
    before = await keyspace(client, namespace)
    with pytest.raises(NamespaceMismatch, match="gone or changed"):
        await registry.sender.send(call)
    assert await keyspace(client, namespace) == before


async def test_who_opens_it_again_finds_the_same_namespace_or_none(
    registry: ProcessRegistry, make_registry: RegistryMaker, client: Any, namespace: str
) -> None:
    """Another view of an open registry neither creates it anew where it is gone, nor takes over another's uuid."""
    uuid = registry.target.namespace.uuid
    await delete_namespace(client, namespace)

    with pytest.raises(NamespaceMismatch):
        BlockingRegistry(registry).get("p")
    assert await keyspace(client, namespace) == {}
    await make_registry().register(work())
    with pytest.raises(NamespaceMismatch):
        BlockingRegistry(registry).get("p")
    assert registry.target.namespace.uuid == uuid


async def test_a_namespace_that_was_created_anew_is_another(
    registry: ProcessRegistry, make_registry: RegistryMaker, client: Any, namespace: str
) -> None:
    """The same name after a flush has another uuid: the old client is refused."""
    await delete_namespace(client, namespace)
    await make_registry().register(work())

    with pytest.raises(NamespaceMismatch):
        await registry.claim("p", ADA, LONG_MS)


async def test_a_partition_of_another_namespace_is_noticed(
    registry: ProcessRegistry, make_registry: RegistryMaker, client: Any, namespace: str, partitions: int
) -> None:
    """Flushed and created by another: its copy of the header says so."""
    if partitions == 1:
        pytest.skip("there is one header only")
    key = f"{{lash:{namespace}:3}}:hdr"
    uuid = await client.hget(key, "uuid")
    await client.hset(key, "uuid", "another")

    with pytest.raises(NamespaceMismatch, match="partition 3"):
        await make_registry().get("p")
    await client.hset(key, "uuid", uuid)


@pytest.mark.parametrize("lost", [0, 3])
async def test_a_header_that_is_lost_later_is_never_written_again(
    registry: ProcessRegistry, make_registry: RegistryMaker, client: Any, namespace: str, lost: int
) -> None:
    """Whoever opens is refused, also one who only looks, and neither writes anything."""
    partitions = registry.partitions
    if lost >= partitions:
        pytest.skip("there is no such partition")
    await registry.register_many([work(id_) for id_ in ("p", "q", "r", "approval:42", "order")])
    key = registry.target.namespace.header_key(lost)
    header = await client.hgetall(key)
    await client.delete(key)
    before = await keyspace(client, namespace)

    for count in (partitions, None):
        with pytest.raises(NamespaceMismatch):
            await make_registry(partitions=count).get("p")
    assert await keyspace(client, namespace) == before
    await client.hset(key, mapping=header)


async def test_a_creation_that_was_cut_short_is_finished_by_the_next_to_open(
    make_registry: RegistryMaker, client: Any, namespace: str, partitions: int
) -> None:
    """Partition 0 has its header, and says that the copies do not all stand; one who only looks writes none."""
    first = make_registry()
    await first.open()
    keys = [first.target.namespace.header_key(each) for each in range(partitions)]
    whole = await keyspace(client, namespace)
    await client.hset(keys[0], "whole", "")
    if partitions > 1:
        await client.delete(keys[1], keys[-1])
    cut_short = await keyspace(client, namespace)

    looking = make_registry(partitions=None)
    if partitions == 1:
        assert await looking.get("p") is None
    else:
        with pytest.raises(NamespaceMismatch, match="no header yet"):
            await looking.get("p")
    assert await keyspace(client, namespace) == cut_short
    assert await make_registry().get("p") is None
    assert await keyspace(client, namespace) == whole


async def test_two_namespaces_do_not_meet(
    registry: ProcessRegistry, make_registry: RegistryMaker, client: Any, namespace: str
) -> None:
    """The same id in each is another process."""
    other = make_registry(namespace=f"{namespace}-b")
    await registry.register(work())

    assert await other.get("p") is None
    await delete_namespace(client, f"{namespace}-b")


async def test_rows_of_one_route_share_a_partition(registry: ProcessRegistry, client: Any, namespace: str) -> None:
    """The route is what stands before the first ``::``, else the whole id."""
    await registry.register_many([work(id_) for id_ in ("order", "order::1", "order::2::3", "::odd")])

    found = {
        name.removeprefix("p:"): number
        for number, keys in (await keyspace(client, namespace)).items()
        for name in keys
        if name.startswith("p:")
    }

    assert found["order"] == found["order::1"] == found["order::2::3"]
    assert found == {id_: partition_of(id_, registry.partitions) for id_ in found}


def test_the_partition_of_a_process_is_for_ever() -> None:
    """Worked out by hand once: crc32 of the route, modulo P."""
    assert [partition_of(id_, 8) for id_ in ("order", "order::17", "p", "approval:42", "::odd")] == [0, 0, 1, 3, 0]
    assert partition_of("order", 1) == 0


async def test_code_without_an_event_loop_sees_the_same_namespace(
    registry: ProcessRegistry, make_registry: RegistryMaker, partitions: int
) -> None:
    """The blocking view opens it by the same rules."""
    record = await registry.register(work())
    blocking, refused = BlockingRegistry(registry), BlockingRegistry(make_registry(partitions=partitions + 1))

    assert blocking.get("p") == record
    with pytest.raises(NamespaceMismatch):
        refused.get("p")
    blocking.close()
    refused.close()

"""One broken partition out of two: recovery does its work in the other one, and says what is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lash_redis.core.errors import LashError, NamespaceMismatch, RegistryUnavailable
from lash_redis.core.model import ProcessStatus
from lash_redis.pool.connection import PoolConnection
from lash_redis.pool.deaths import Deaths
from lash_redis.pool.drain import PoolDrain
from lash_redis.pool.messages import RegistryLocation
from lash_redis.recovery.leftovers import Leftovers
from lash_redis.recovery.sweep import Sweep
from lash_redis.registry.answers import Death
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.settings import WorkerSettings
from tests.conformance.actors import ADA, BOB, OWNER_BOUND, begun, held, ids_of, work
from tests.look import evidence, record_of

DEATH = Death("exit 9", BOB.owner_id)
# Of partition 0, what can hold something that is no index.
INDEXES = (f"of:{owner_digest(ADA)}", "asked")


@pytest.fixture
def prefix(namespace: str) -> str:
    """Return the prefix of the keys of partition 0."""
    return f"{{lash:{namespace}:0}}"


@pytest.fixture
async def rows(registry: ProcessRegistry) -> list[str]:
    """Return the ids of started owner-bound work, one in each partition."""
    ids = [ids_of(1, partition, registry.partitions)[0] for partition in range(registry.partitions)]
    await registry.register_many([work(each, OWNER_BOUND) for each in ids])
    for each in ids:
        await begun(registry, each, ADA)
    return ids


@pytest.fixture
async def deaths(registry: ProcessRegistry) -> Deaths:
    """Return what a supervisor writes about the dead worker processes of its pool."""
    connection = PoolConnection(lambda _: registry)
    await connection.ensure_open(RegistryLocation("unix:///nowhere", registry.namespace, registry.partitions))
    settings = WorkerSettings()
    return Deaths(connection, BOB, settings, PoolDrain(settings))


@asynccontextmanager
async def without_header(client: Any, prefix: str) -> AsyncIterator[None]:
    """Let a partition be another namespace's while a block lasts."""
    before = await client.hget(f"{prefix}:hdr", "uuid")
    await client.hset(f"{prefix}:hdr", "uuid", "another")
    yield
    await client.hset(f"{prefix}:hdr", "uuid", before)


@asynccontextmanager
async def with_a_text_at(client: Any, key: str) -> AsyncIterator[None]:
    """Let a key hold a text in place of its index while a block lasts."""
    is_there = await client.exists(key)
    if is_there:
        await client.rename(key, f"{key}-away")
    await client.set(key, "?")
    yield
    await client.delete(key)
    if is_there:
        await client.rename(f"{key}-away", key)


async def test_a_death_is_recorded_and_settled_past_a_partition_without_its_header(
    registry: ProcessRegistry, client: Any, prefix: str, rows: list[str], deaths: Deaths
) -> None:
    """Peers on any host may rely on the record; the supervisor is told of the partition that has none."""
    async with without_header(client, prefix):
        with pytest.raises(NamespaceMismatch):
            await deaths.record_and_settle(ADA, "exit 9")
        assert await client.hlen(f"{prefix}:dead") == 0
    await held(registry, await _new_in(registry, 1), ADA)

    assert [holder.death for holder in await registry.holders(1)] == [DEATH]
    assert evidence(await record_of(registry, rows[1])).proof == "reaped"


@pytest.mark.parametrize("index", INDEXES)
async def test_a_sweep_goes_on_past_a_partition(
    registry: ProcessRegistry, client: Any, prefix: str, rows: list[str], index: str
) -> None:
    """The row of the dead owner in the other partition is settled, and the error is raised at the end."""
    await registry.record_death(ADA, DEATH)
    async with with_a_text_at(client, f"{prefix}:{index}"):
        with pytest.raises(RegistryUnavailable):
            await Sweep(registry, BOB).run_once()

    assert (await record_of(registry, rows[1])).status is ProcessStatus.ABANDONED


async def test_the_settling_of_one_owner_goes_on_past_a_partition(
    registry: ProcessRegistry, client: Any, prefix: str, rows: list[str]
) -> None:
    """What it held in the other one is settled."""
    await registry.record_death(ADA, DEATH)
    async with with_a_text_at(client, f"{prefix}:of:{owner_digest(ADA)}"):
        with pytest.raises(RegistryUnavailable):
            await Sweep(registry, BOB).settle_dead(ADA, DEATH)

    assert (await record_of(registry, rows[1])).status is ProcessStatus.ABANDONED


async def test_a_drain_in_anothers_name_goes_on_past_a_partition_without_its_header(
    registry: ProcessRegistry, client: Any, prefix: str, rows: list[str], deaths: Deaths
) -> None:
    """No claim hands out anything there, so that none need be closed; the work in the other one is settled."""
    async with without_header(client, prefix):
        report = await deaths.finish_drain(ADA, [], "killed", 500)

    assert report.abandoned == [rows[1]]
    assert [left.process_id for left in report.deferred] == ["*"]
    assert (await record_of(registry, rows[1])).status is ProcessStatus.ABANDONED


async def test_a_drain_goes_on_past_a_partition(
    registry: ProcessRegistry, client: Any, prefix: str, rows: list[str]
) -> None:
    """It abandons and gives back in the other one, and says that it does not know all."""
    free = await _new_in(registry, 1)
    await held(registry, free, ADA)
    async with with_a_text_at(client, f"{prefix}:of:{owner_digest(ADA)}"):
        leftovers = Leftovers(registry, ADA)
        with pytest.raises(LashError):
            await leftovers.release_unstarted()
        report = await leftovers.settle(500)

    assert leftovers.released == {free}
    assert report.abandoned == [rows[1]]
    assert [left.process_id for left in report.deferred] == ["*"]


async def _new_in(registry: ProcessRegistry, partition: int) -> str:
    (id_,) = ids_of(1, partition, registry.partitions, stem="new")
    await registry.register(work(id_, OWNER_BOUND))
    return id_

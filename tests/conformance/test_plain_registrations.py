"""A batch of plain rows is written without a plan, and leaves what the planned way leaves."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.bounds import QueueBound
from lash_redis.core.errors import QueueFull, RegistrationConflict
from lash_redis.core.model import ProcessRegistration
from lash_redis.core.terms import Terms
from lash_redis.registry.keys import partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import LONG_MS, OWNER_BOUND, RERUNNABLE, work
from tests.conftest import RegistryMaker
from tests.soundness import Keyspace, Value, keyspace

ONE = pytest.mark.parametrize("partitions", [1])
ARGUMENTS: dict[str, list[tuple[Any, ...]]] = {
    "short": [(1, "two"), (2, "three")],
    "long": [("x" * 100,), ("y" * 70,)],
    "long and short": [("x" * 100,), (1,), ("z" * 65,)],
    "without order": [({"b": 1, "a": 2},), (7,)],
}


def batch(arguments: list[tuple[Any, ...]], **options: Any) -> list[ProcessRegistration]:
    """Return registrations that differ in id and arguments alone."""
    disposition, named = options.pop("disposition", RERUNNABLE), options.pop("named", "p")
    return [work(f"{named}{number}", disposition, *each, **options) for number, each in enumerate(arguments)]


async def written(client: Any, registry: ProcessRegistry, beside: str = "") -> dict[str, Value]:
    """Return what stands in the partition without what tells namespaces, moments and the row ``beside`` apart."""
    found: Keyspace = await keyspace(client, registry.namespace)
    fields: dict[str, Value] = {}
    for name, key in found[0].items():
        value = key.value
        if isinstance(value, dict):
            value = {each: held for each, held in value.items() if each not in ("at", "uuid", "clock", beside)}
            value = {each: held for each, held in value.items() if not each.startswith("other|")}
        if name not in ("names", f"p:{beside}", "q:other|work|"):
            fields[name] = value
    return fields


@ONE
@pytest.mark.parametrize("arguments", list(ARGUMENTS.values()), ids=list(ARGUMENTS))
@pytest.mark.parametrize("options", [{"chosen_id": False}, {"disposition": OWNER_BOUND}, {"queue": "slow"}], ids=repr)
@pytest.mark.parametrize("waiter", ["", "+desk"])
async def test_both_ways_leave_the_same_rows_and_indexes(
    make_registry: RegistryMaker,
    client: Any,
    arguments: list[tuple[Any, ...]],
    options: dict[str, Any],
    waiter: str,
) -> None:
    """A row of another lane in the batch, its last one, has the others planned. The order of the fields is the same."""
    plain = make_registry()
    planned = make_registry(namespace=f"{plain.namespace}-b")
    beside = work("beside", RERUNNABLE, queue="other", chosen_id=False)
    for registry in (plain, planned):
        await registry.register_many(batch([()], **options, named="first"))  # names the lane

    rows = batch(arguments, **options)
    told = await plain.submit_all(rows, waiter=waiter)
    await plain.submit_all([beside], waiter=waiter)

    assert (await planned.submit_all([*rows, beside], waiter=waiter))[:-1] == told == [(each.id, True) for each in rows]
    assert await written(client, plain, "beside") == await written(client, planned, "beside")
    orders = [
        [list(await client.hgetall(f"{{lash:{registry.namespace}:0}}:p:{each.id}")) for each in rows]
        for registry in (plain, planned)
    ]
    assert orders[0] == orders[1]
    assert all(order[:6] == [b"d", b"ph", b"ln", b"in", b"at", b"sq"] for order in orders[0])


@ONE
async def test_a_batch_that_is_known_in_part_is_answered_row_by_row(registry: ProcessRegistry) -> None:
    """The rows that are new are written all the same."""
    await registry.register_many([work("first"), work("p")])

    assert await registry.register_many([work("p"), work("q")]) == [False, True]
    assert await registry.register_many([work("r"), work("s")]) == [True, True]


@ONE
async def test_rows_of_a_bounded_queue_are_counted(registry: ProcessRegistry) -> None:
    """A bound of another queue changes nothing for plain rows."""
    await registry.register_many([work("first"), work("other", queue="slow")])
    await registry.submit_many([work("p", queue="slow")], Terms(bounds=[QueueBound("slow", 2)]))

    assert await registry.register_many([work("q"), work("r")]) == [True, True]
    with pytest.raises(QueueFull):
        await registry.register_many([work("s", queue="slow"), work("t", queue="slow")])


@ONE
async def test_a_chosen_id_that_was_forgotten_is_not_registered_again(registry: ProcessRegistry, client: Any) -> None:
    """Its tombstone is seen in a plain batch too."""
    await registry.register_many([work("first")])
    key = f"{partition_prefix(registry.namespace, 0)}:t:gone"
    await client.set(key, f"c{10**12}another content", px=LONG_MS)

    with pytest.raises(RegistrationConflict):
        await registry.register_many([work("gone"), work("new")])

    await client.delete(key)

"""Whom a cluster's map is read from."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.address import Address
from lash_redis.registry.transport.cluster import Cluster
from lash_redis.registry.transport.slots import SLOTS, Place

NODES = 8


def outside(place: Place) -> Place:
    """Return where a node is reached that the cluster names otherwise."""
    return "127.0.0.1", place[1] + 1000


@pytest.mark.parametrize("remap", [None, outside], ids=["as named", "remapped"])
async def test_the_node_that_got_a_slot_is_asked_first(remap: Any) -> None:
    """Since it knows of the move; also where it is reached at another place than the cluster names."""
    share, asked = SLOTS // NODES, list[Place]()

    async def ask(node: Address) -> Any:
        asked.append(node.place)
        return [[n * share, (n + 1) * share - 1, [b"10.0.0.1", 7000 + n]] for n in range(NODES)]

    seed = Address("redis://127.0.0.1:9000")
    cluster = Cluster([seed], remap)
    await cluster.node_of("key", ask)
    for number in range(NODES):
        place = ("10.0.0.1", 7000 + number)
        cluster.follow(f"0 {place[0]}:{place[1]}", seed)
        await cluster.node_of("key", ask)
        assert asked[-1] == (place if remap is None else remap(place))


async def test_a_map_that_no_node_gives_is_an_outage() -> None:
    """Also for who only asks for the memory, and has opened nothing."""
    registry = ProcessRegistry("redis+cluster://127.0.0.1:1", "shop", 8)
    with pytest.raises(RegistryUnavailable, match="cannot reach"):
        await registry.memory()
    await registry.aclose()

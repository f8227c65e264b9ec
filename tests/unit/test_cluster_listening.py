"""Listening on the nodes of a cluster: what ends with who listens."""

from __future__ import annotations

import asyncio
from typing import Any

from lash_redis.registry.cluster_listening import NodeChannels, at_all_nodes
from lash_redis.registry.keys import channel
from lash_redis.registry.transport.address import Address
from lash_redis.registry.transport.cluster import Cluster
from lash_redis.registry.transport.slots import SLOTS
from tests.support import wait_until

NODES = 4
CHANNELS = {channel("shop", partition, "me"): partition for partition in range(8)}


async def test_a_listener_that_is_cancelled_leaves_every_node() -> None:
    """None is listened on any more once the task has ended."""
    share, listening = SLOTS // NODES, set[Address]()

    async def ask(_: Address) -> Any:
        return [[n * share, (n + 1) * share - 1, [b"127.0.0.1", 7000 + n]] for n in range(NODES)]

    async def listen_at(node: Address, _: NodeChannels) -> None:
        listening.add(node)
        try:
            await asyncio.Event().wait()
        finally:
            listening.remove(node)

    cluster = Cluster([Address("redis://127.0.0.1:7000")])
    task = asyncio.create_task(at_all_nodes(cluster, CHANNELS, ask, listen_at, lambda: False))
    await wait_until(lambda: len(listening) == NODES, "each node is listened on")
    task.cancel()
    await asyncio.wait({task})

    assert task.cancelled()
    assert not listening

"""The clusters that other tests and the benchmarks start: their slots are shared, they move, a client sees all keys."""

from __future__ import annotations

import pytest
from redis.crc import key_slot

from tests.clusters import start_cluster
from tests.servers import KINDS


@pytest.mark.parametrize("kind", KINDS)
async def test_slots_are_shared_and_move(kind: str) -> None:
    """Each of three primaries has a share; a slot with keys moves whole, and a client finds every key after it."""
    with start_cluster(kind=kind) as cluster:
        client = cluster.client()
        names = {f"{{{number % 16}}}:{number}".encode() for number in range(64)}
        for name in names:
            await client.set(name, "x")
        slot = key_slot(b"0")
        before = cluster.owner(slot)
        assert {cluster.owner(f"{{{number}}}").port for number in range(16)} == {
            node.port for node in cluster.primaries
        }
        to = next(node for node in cluster.primaries if node is not before)
        cluster.move(slot, to)
        assert cluster.owner(slot) is to
        if kind == "valkey":
            cluster.move_at_once(slot, before)
            assert cluster.owner(slot) is before
        assert {name async for name in client.scan_iter(count=10)} == names
        await client.aclose()

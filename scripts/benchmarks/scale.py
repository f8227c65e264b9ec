"""The constants of the model of docs/scaling.md, and the model held against a cluster with a thousand owners.

The owners are no OS processes. They claim, hold leases, are renewed for and sweep by the calls that worker processes
send, as many of them as fall into a second of their life. What that takes does not depend on how fast they are sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from pathlib import Path

import redis

from benchmarks import results
from benchmarks.scaling import PER_POOL, RENEW_S, REST_S, SWEEP_S, Constants, Fleet, load
from benchmarks.server import Work
from benchmarks.transitions import SIGNATURE, complete, registrations
from lash_redis import LeaseOwner, ProcessLease, ProcessRegistry
from lash_redis.registry.answers import BatchClaim
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.served_lanes import ServedLanes
from tests.clusters import start_cluster

KEPT = Path(__file__).with_name("scaling.json")
OWNERS, PARTITIONS, NODES, LIFE_S = 1_000, 64, 3, 1.0
CALLS, LEASES, ROWS, BATCH = 1_000, 2_000, 6_400, 64
TTL_MS = 3_600_000
SERVED = ServedLanes([("default", [f"default|nothing|{SIGNATURE}"])])


def _owner(number: int) -> LeaseOwner:
    """Return an owner on a machine that has one pool."""
    return LeaseOwner.local_process(f"worker-{number}", f"{number:032x}", f"machine-{number // PER_POOL}")


def _neighbour(number: int) -> LeaseOwner:
    """Return an owner on the machine of the first one."""
    return LeaseOwner.local_process(f"neighbour-{number}", f"{number:032x}", "machine-0")


async def _claim(
    registry: ProcessRegistry, partition: int, owner: LeaseOwner, number: int, count: int
) -> list[ProcessLease]:
    batch = await registry.claim_next(BatchClaim(partition, owner, number, count, TTL_MS, SERVED))
    return [ProcessLease(row.process_id, owner, row.token, row.fence, 0, 0) for row in batch.rows]


async def _us(url: str, calls: Iterable[Awaitable[object]]) -> float:
    """Return the server CPU for each of some calls."""
    work, count = Work(url), 0
    for call in calls:
        await call
        count += 1
    return 1e6 * work.since()[1] / count


async def constants() -> Constants:
    """Measure what one call of each kind costs, on a cluster of one node: that is a little more than elsewhere."""
    cluster = start_cluster(1)
    try:
        url = f"redis://127.0.0.1:{cluster.primaries[0].port}/0"
        registry = ProcessRegistry(cluster.url, namespace="bench")
        me, owners = _owner(0), [owner_digest(_owner(number)) for number in range(500)]
        await _claim(registry, 0, me, 1, 1)
        glance = await _us(url, (registry.glance(0) for _ in range(CALLS)))
        claim = await _us(url, (_claim(registry, 0, _owner(1), number, 1) for number in range(1, CALLS)))
        one = await _us(url, (registry.renew_owned(0, owners[:1], TTL_MS) for _ in range(CALLS)))
        hundred = await _us(url, (registry.renew_owned(0, owners[:100], TTL_MS) for _ in range(CALLS // 10)))
        work = Work(url)
        for first in range(0, ROWS, BATCH):
            await registry.register_many(list(registrations(BATCH, SIGNATURE, first=first)))
        size = work.since()[2] / ROWS
        for number in range(2, 2 + ROWS // BATCH):
            await complete(registry, await _claim(registry, 0, me, number, BATCH))
        process = 1e6 * work.since()[1] / ROWS
        await registry.prune(older_than_ms=0)
        await registry.register_many(list(registrations(LEASES, SIGNATURE)))
        for number in range(LEASES // 500):
            await _claim(registry, 0, me, 1_000 + number, 500)
        held = await _us(url, (registry.glance(0) for _ in range(CALLS)))
        few = await _us(url, (registry.holders(0, near=me) for _ in range(CALLS)))
        lease = await _us(url, (registry.renew_owned(0, owners[:1], TTL_MS) for _ in range(5))) / LEASES
        await registry.register_many(list(registrations(LEASES + 499, SIGNATURE)))
        for number in range(2, 501):
            await _claim(registry, 0, _neighbour(number), 1, 1)
        lots = await _us(url, (registry.holders(0, near=me) for _ in range(CALLS // 5)))
        await registry.aclose()
    finally:
        cluster.stop()
    connections = _connections()
    holder, renewed_owner = (lots - few) / 499, (hundred - one) / 99
    return Constants(
        glance, held, few - holder, holder, claim, one - renewed_owner, renewed_owner, lease, process, connections, size
    )


def _connections() -> float:
    """Return how many connections a worker process has, as the part ``idle`` has measured it last; say which run."""
    measured = results.load().get("idle", {}).get("figures", {}).get("connections")
    if measured is not None:
        return float(measured[0])
    kept = float(json.loads(KEPT.read_text(encoding="utf-8"))["connections"])
    print(f"The part idle was not measured in this run: {kept} connections a worker process, as {KEPT.name} has it.\n")
    return kept


class Nodes:
    """The primaries of a cluster: their CPU and keys since a moment."""

    def __init__(self, ports: Iterable[int]) -> None:
        self._clients = [redis.Redis(port=port) for port in ports]
        self._before = self._cpu()

    def _cpu(self) -> list[float]:
        return [sum(each.info("cpu")[name] for name in ("used_cpu_user", "used_cpu_sys")) for each in self._clients]

    def cpu(self) -> list[float]:
        """Return the CPU seconds of each since this object was made."""
        return [after - before for after, before in zip(self._cpu(), self._before, strict=True)]

    def rows(self) -> list[int]:
        """Return how many rows each has."""
        return [sum(1 for _ in each.scan_iter(match="*}:p:*", count=5_000)) for each in self._clients]

    def close(self) -> None:
        """Close the connections."""
        for each in self._clients:
            each.close()


async def _live(registry: ProcessRegistry, owners: list[LeaseOwner]) -> None:
    """Send what falls into ``LIFE_S`` seconds of the life of all owners, each partition as often as any other."""

    async def each(count: float, call: Callable[[int, int], Awaitable[object]]) -> None:
        for number in range(int(count)):
            await call(number % len(owners), (number * 5 + number // len(owners)) % PARTITIONS)

    async def sweep(owner: int, partition: int) -> None:
        if (await registry.glance(partition)).holders:
            await registry.holders(partition, near=owners[owner])

    claims = dict.fromkeys(((owner, partition) for owner in range(len(owners)) for partition in range(PARTITIONS)), 1)

    async def poll(owner: int, partition: int) -> None:
        claims[owner, partition] += 1
        await _claim(registry, partition, owners[owner], claims[owner, partition], 1)

    async def renew(number: int, partition: int) -> None:
        first = number * PER_POOL % len(owners)
        await registry.renew_owned(partition, [owner_digest(each) for each in owners[first : first + PER_POOL]], TTL_MS)

    asked = len(owners) * PARTITIONS * LIFE_S
    await asyncio.gather(each(asked / SWEEP_S, sweep), each(asked / REST_S, poll))
    pools = len(owners) / PER_POOL
    for number in range(int(pools * PARTITIONS * LIFE_S / RENEW_S)):
        await renew(number % int(pools), number // int(pools) % PARTITIONS)


async def measure() -> None:
    """Measure the constants; print how the model compares with a cluster, and how evenly the load is spread."""
    found = await constants()
    KEPT.write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")
    print("| server CPU of | µs |\n|---|---|")
    for name, value in asdict(found).items():
        print(f"| {name} | {value:.2f} |")
    cluster = start_cluster(NODES)
    try:
        registry = ProcessRegistry(cluster.url, namespace="bench", partitions=PARTITIONS)
        owners = [_owner(number) for number in range(OWNERS)]
        rows = list(registrations(4 * OWNERS, SIGNATURE))
        await registry.register_many(rows)
        leases = 0
        for number, owner in enumerate(owners):  # each takes one row in some partitions
            for step in range(4):
                leases += len(await _claim(registry, (number + 16 * step) % PARTITIONS, owner, 1, 1))
        for partition in range(PARTITIONS):  # nothing waits any more
            leases += len(await _claim(registry, partition, _owner(OWNERS), 1, 500))
        nodes = Nodes(node.port for node in cluster.primaries)
        await _live(registry, owners)
        cpu, spread = nodes.cpu(), nodes.rows()
        nodes.close()
        await registry.aclose()
    finally:
        cluster.stop()
    fleet = Fleet(OWNERS, PARTITIONS, NODES, leases=round(leases / OWNERS))
    predicted, got = load(fleet, found).fixed, sum(cpu) / LIFE_S / NODES
    print(f"\n{OWNERS:,} owners with {leases:,} leases, {PARTITIONS} partitions on {NODES} primaries.\n")
    print("| what | figure |\n|---|---|")
    print(f"| share of a core of each primary, by the model | {predicted:.1%} |")
    print(f"| the same, measured | {got:.1%} |")
    print(f"| rows of each primary | {', '.join(f'{each:,}' for each in spread)} |")
    print(f"| CPU of each primary | {', '.join(f'{each / LIFE_S:.1%}' for each in cpu)} |\n")
    results.save("scale", {"predicted": predicted, "measured": got})


if __name__ == "__main__":
    asyncio.run(measure())

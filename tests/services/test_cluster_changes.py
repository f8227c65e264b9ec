"""Work that goes on while a cluster changes: slots move, and a primary is killed."""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from lash_redis import Lash, Worker
from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.outcomes import Success
from lash_redis.registry.transport.slots import slot_of
from tests.clusters import Cluster, Node, start_cluster
from tests.soundness import assert_sound
from tests.support import PATIENCE_S

PARTITIONS = 8
LONG_MS = 60_000


@asynccontextmanager
async def workers(lash: Lash, count: int) -> AsyncIterator[None]:
    """Run so many workers whose leases last for longer than any test."""
    made = [Worker(lash.registry, lash.tasks, concurrency=16, lease_ttl_ms=LONG_MS) for _ in range(count)]
    running = [asyncio.create_task(each.run()) for each in made]
    yield
    for each in running:
        each.cancel()
    await asyncio.wait(running)


def headers(lash: Lash) -> list[str]:
    """Return the keys of the partitions' headers."""
    return [lash.registry.target.namespace.header_key(each) for each in range(PARTITIONS)]


def spread(cluster: Cluster, lash: Lash) -> set[int]:
    """Return the ports of the servers that have partitions."""
    return {cluster.owner(each).port for each in headers(lash)}


async def submitted(task: Any, number: int) -> Any:
    """Submit one process, again and again while the cluster cannot take it, under one id."""
    while True:
        try:
            return await task.options(process_id=f"n{number}").submit(number)
        except RegistryUnavailable:
            await asyncio.sleep(0)


async def test_every_process_runs_once_while_slots_move(namespace: str) -> None:
    """Its slot moves key by key and as a whole, to and fro, while work is submitted and runs; counted by identity."""
    with start_cluster() as cluster:
        lash, ran, moves = Lash(cluster.url, namespace=namespace, partitions=PARTITIONS), Counter[int](), 0

        @lash.task(recovery="owner_bound")
        async def note(number: int) -> int:
            ran[number] += 1
            return number

        async with lash:
            await lash.registry.open()
            slots, over = [slot_of(each) for each in headers(lash)], asyncio.Event()

            async def move() -> None:
                nonlocal moves
                some_keys = functools.partial(cluster.move, at_a_time=8)
                ways: Iterator[Callable[[int, Node], None]] = itertools.cycle([some_keys, cluster.move_at_once])
                for slot, way in zip(itertools.cycle(slots), ways, strict=False):
                    to = cluster.primaries[(cluster.primaries.index(cluster.owner(slot)) + 1) % 3]
                    await asyncio.to_thread(way, slot, to)
                    moves += 1
                    if over.is_set() and moves >= PARTITIONS:
                        return

            async with workers(lash, 2):
                moving = asyncio.create_task(move())
                for first in range(0, 600, 100):
                    batch = await asyncio.gather(*(submitted(note, number) for number in range(first, first + 100)))
                    ended = await asyncio.gather(*(each.outcome(timeout=PATIENCE_S) for each in batch))
                    assert ended == [Success(number) for number in range(first, first + 100)]
                over.set()
                await moving
            assert ran == Counter(range(600))
            client = cluster.client()
            await assert_sound(client, namespace)
            await client.aclose()


async def test_work_goes_on_when_a_replica_takes_over(namespace: str) -> None:
    """A primary with partitions is killed: what is submitted then is done, and what its partitions held is there."""
    with start_cluster(replicas=1, cluster_node_timeout="2000") as cluster:
        lash = Lash(cluster.url, namespace=namespace, partitions=PARTITIONS)
        done = set[int]()

        @lash.task(recovery="rerunnable")
        async def note(number: int) -> int:
            done.add(number)
            return number

        async with lash:
            async with workers(lash, 2):
                before = await asyncio.gather(*(submitted(note, number) for number in range(100)))
                await asyncio.gather(*(each.outcome(timeout=PATIENCE_S) for each in before))
                victim = cluster.primaries[0]
                assert victim.port in spread(cluster, lash)
                assert victim.ask("WAIT", 1, 10_000) == 1
                victim.kill()
                after = await asyncio.gather(*(submitted(note, number) for number in range(100, 200)))
                ended = await asyncio.gather(*(each.outcome(timeout=PATIENCE_S) for each in after))
                assert ended == [Success(number) for number in range(100, 200)]
            assert done == set(range(200))
            assert cluster.replicas[0].port in spread(cluster, lash)
            for each in before:
                assert await each.outcome(timeout=PATIENCE_S) is not None


async def test_what_a_partition_cannot_do_holds_up_no_other(namespace: str) -> None:
    """A primary without a replica is gone: the partitions of the others go on, and are heard."""
    with start_cluster(cluster_node_timeout="1000") as cluster:
        lash = Lash(cluster.url, namespace=namespace, partitions=PARTITIONS)

        @lash.task(recovery="rerunnable")
        async def note(number: int) -> int:
            return number

        async with lash, workers(lash, 1):
            await lash.registry.open()
            gone = cluster.primaries[0]
            of_gone = {number for number, each in enumerate(headers(lash)) if cluster.owner(each) is gone}
            gone.kill()
            others = [n for n in range(200) if lash.registry.partition_of(f"n{n}") not in of_gone]
            cluster.wait_until_ok(*cluster.primaries[1:])
            processes = await asyncio.gather(*(submitted(note, number) for number in others))
            ended = await asyncio.gather(*(each.outcome(timeout=PATIENCE_S) for each in processes))
            assert ended == [Success(number) for number in others]

"""Work that goes on while a cluster changes: slots move, and a primary is killed."""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from lash_redis import Lash, Worker
from lash_redis.core.errors import AlreadyTerminal, LeaseLost, RegistryUnavailable
from lash_redis.core.model import Acquired, CancelRequest, ProcessLease, ProcessRecord, ProcessStatus
from lash_redis.core.outcomes import Success
from lash_redis.recovery.sweep import Sweep
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.slots import slot_of
from lash_redis.tasks.declaration import declare
from tests.clusters import Cluster, Node, start_cluster
from tests.conformance.actors import ADA, OWNER_BOUND, RERUNNABLE, begun, dead_owner, local_owner, work
from tests.look import record_of
from tests.soundness import assert_sound
from tests.support import PATIENCE_S, wait_until

T = TypeVar("T")
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


async def until_answered(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call again and again while the cluster cannot take it."""
    while True:
        try:
            return await call()
        except RegistryUnavailable:
            await asyncio.sleep(0)


async def life(registry: ProcessRegistry, sweep: Sweep, number: int) -> None:
    """Take three processes through their lives by bare transitions: one ends, one is cancelled, one is recovered."""
    ends, asked, lost = (f"{kind}{number}" for kind in ("ends", "asked", "lost"))
    for name in (ends, asked, lost):
        record = await until_answered(lambda name=name: registry.register(work(name, OWNER_BOUND)))  # type: ignore[misc]
        assert record.id == name
    for name, owner in ((ends, ADA), (lost, dead_owner())):
        got = await until_answered(lambda name=name, owner=owner: registry.claim(name, owner, LONG_MS))  # type: ignore[misc]
        assert isinstance(got, Acquired)
        await until_answered(partial(registry.start, got.lease))
        if owner is ADA:
            ended = await until_answered(lambda lease=got.lease: completed(registry, lease))  # type: ignore[misc]
            assert ended.status is ProcessStatus.COMPLETED
    await until_answered(lambda: cancelled(registry, asked))
    await until_answered(sweep.run_once)
    found = [await until_answered(partial(registry.get, name)) for name in (ends, asked, lost)]
    wanted = [ProcessStatus.COMPLETED, ProcessStatus.CANCELLED, ProcessStatus.ABANDONED]
    assert [each and each.status for each in found] == wanted


async def completed(registry: ProcessRegistry, lease: ProcessLease) -> ProcessRecord:
    """Complete a process; one whose answer was lost has ended already."""
    try:
        return await registry.complete(lease, Success(1))
    except (AlreadyTerminal, LeaseLost):
        return await record_of(registry, lease.process_id)


async def cancelled(registry: ProcessRegistry, name: str) -> ProcessRecord:
    """Cancel a process that nobody holds; one whose answer was lost has ended already."""
    try:
        return await registry.request_cancel(name, CancelRequest("ops", 1))
    except AlreadyTerminal:
        return await record_of(registry, name)


async def test_each_transition_is_whole_while_slots_move(namespace: str) -> None:
    """Registering, claiming, starting, ending, cancelling and recovering, in a loop while each slot moves on and on."""
    with start_cluster() as cluster:
        registry = ProcessRegistry(cluster.url, namespace, PARTITIONS)
        await registry.open()
        slots, over, moves = (
            [slot_of(registry.target.namespace.header_key(each)) for each in range(PARTITIONS)],
            False,
            0,
        )

        async def move() -> None:
            nonlocal moves
            for slot in itertools.cycle(slots):
                to = cluster.primaries[(cluster.primaries.index(cluster.owner(slot)) + 1) % 3]
                await asyncio.to_thread(cluster.move, slot, to, 4)
                moves += 1
                if over and moves >= PARTITIONS:
                    return

        moving, sweep = asyncio.create_task(move()), Sweep(registry, local_owner("sweeper"))
        for first in range(0, 60, 12):
            await asyncio.gather(*(life(registry, sweep, number) for number in range(first, first + 12)))
        over = True
        await moving
        client = cluster.client()
        rows = {
            name.decode().rpartition(":p:")[2] async for name in client.scan_iter(match=f"{{lash:{namespace}:*}}:p:*")
        }
        assert rows == {f"{kind}{number}" for kind in ("ends", "asked", "lost") for number in range(60)}
        await assert_sound(client, namespace)
        await client.aclose()
        await registry.aclose()


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


async def test_a_silent_primary_delays_neither_work_nor_recovery_elsewhere(namespace: str) -> None:
    """Claims and sweeps ask all partitions in turn, and wait for none as long as a server may be silent."""
    silence_s = 20.0
    with start_cluster(cluster_node_timeout="60000") as cluster:
        registry, ran = ProcessRegistry(cluster.url, namespace, PARTITIONS, timeout_s=silence_s), Counter[str]()

        async def note(name: str) -> None:
            ran[name] += 1

        await registry.open()
        slow = cluster.owner(registry.target.namespace.header_key(0))
        owners = [cluster.owner(registry.target.namespace.header_key(each)) for each in range(PARTITIONS)]
        elsewhere = {number for number, each in enumerate(owners) if each is not slow}
        names = [f"n{n}" for n in range(400) if registry.partition_of(f"n{n}") in elsewhere]
        lost, later = names[:50], names[50:]
        await registry.register_many([work(name, RERUNNABLE, name) for name in lost])
        for name in lost:
            await begun(registry, name, dead_owner())
        worker = Worker(registry, [declare(note, recovery="rerunnable", name="work")], sweep_ms=200, poll_ms=200)
        slow.pause()
        began = time.monotonic()
        running = asyncio.create_task(worker.run())
        try:
            await registry.register_many([work(name, RERUNNABLE, name) for name in later])
            await wait_until(lambda: ran.keys() >= {*later}, "what waits elsewhere has run")
            work_s = time.monotonic() - began
            await wait_until(lambda: ran.keys() >= {*lost}, "what a dead owner held elsewhere has run again")
            recovery_s = time.monotonic() - began
        finally:
            slow.resume()
            running.cancel()
            await asyncio.wait({running})
            await registry.aclose()
        logging.getLogger(__name__).info("work after %.2f s, recovery after %.2f s", work_s, recovery_s)
        assert max(work_s, recovery_s) < silence_s


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

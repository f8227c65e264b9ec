"""What a sweep forgets, and that it passes over nothing: who lives for a moment leaves no more behind than others."""

from __future__ import annotations

from typing import Any

from lash_redis.core.liveness import LeaseOwner
from lash_redis.recovery.leftovers import Leftovers
from lash_redis.recovery.sweep import Sweep, SweepReport
from lash_redis.registry.answers import Death
from lash_redis.registry.codec import encode_values
from lash_redis.registry.keys import ASKED, owner_digest
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    OWNER_BOUND,
    RERUNNABLE,
    SHORT_MS,
    batch_claim,
    held,
    ids_of,
    outside,
    work,
)
from tests.conftest import ServerTime
from tests.services.benches import Bench
from tests.services.conftest import Crew
from tests.soundness import keyspace
from tests.support import wait_until

MANY = 1_300  # more than two pages


async def call_long_ago(registry: ProcessRegistry, client: Any, *owners: LeaseOwner) -> None:
    """Let owners have made their last call years ago."""
    for partition in range(registry.partitions):
        await client.zadd(f"{{lash:{registry.namespace}:{partition}}}:seen", {owner_digest(each): 1 for each in owners})


async def test_one_pass_puts_back_all_that_lapsed_at_one_moment(
    registry: ProcessRegistry, server: ServerTime, client: Any, namespace: str
) -> None:
    """As after a renewal, which gives all leases of an owner one end. What is settled leaves the index that is read."""
    ids = ids_of(MANY, 0, registry.partitions)
    await registry.register_many([work(id_) for id_ in ids])
    batches = [await registry.claim_next(batch_claim(registry, ADA, count=500, ttl_ms=SHORT_MS)) for _ in range(3)]
    await server.pass_until(batches[-1].expires_at_ms)
    await client.zadd(f"{{lash:{namespace}:0}}:leases", dict.fromkeys(ids, 1))

    assert await Sweep(registry, BOB).run_once() == SweepReport(requeued=MANY)


async def test_what_stays_in_an_index_hides_nothing_behind_it(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """What was asked for at one moment: some of it is settled, some stays, and one row cannot be read."""
    ids = ids_of(MANY, 0, registry.partitions)
    stays, key = ids[::3], f"{{lash:{namespace}:0}}"
    await registry.register_many([outside(id_) for id_ in ids])
    await client.zadd(f"{key}:{ASKED}", dict.fromkeys(ids, 1))
    changes = client.pipeline(transaction=False)
    for id_ in set(ids) - set(stays):
        changes.hset(f"{key}:p:{id_}", "ar", encode_values("ops", 1, "enough"))
    await changes.execute()
    await client.hset(f"{key}:p:{ids[0]}", "at", "never")

    assert await Sweep(registry, BOB).run_once() == SweepReport(abandoned=MANY - len(stays), unreadable=1)

    await client.hset(f"{key}:p:{ids[0]}", "at", "1")
    await client.zrem(f"{key}:{ASKED}", *stays)


async def test_all_that_a_dead_owner_held_is_settled_at_once(registry: ProcessRegistry) -> None:
    """Its index is read page by page, while what is settled leaves it."""
    ids = ids_of(MANY, 0, registry.partitions)
    await registry.register_many([work(id_, OWNER_BOUND) for id_ in ids])
    for _ in range(3):
        await registry.claim_next(batch_claim(registry, ADA, count=500))

    assert await Sweep(registry, BOB).settle_dead(ADA, Death("exit 9", "bob")) == SweepReport(abandoned=MANY)


async def test_a_drain_leaves_nothing_of_many_behind(registry: ProcessRegistry) -> None:
    """What is leased and not started is released, what it started is abandoned, however many pages that is."""
    ids = ids_of(1_020, 0, registry.partitions)
    await registry.register_many([work(id_, OWNER_BOUND) for id_ in ids])
    for id_ in ids[:510]:
        await held(registry, id_, ADA)
    for _ in range(2):
        await registry.claim_next(batch_claim(registry, ADA, count=500))
    leftovers = Leftovers(registry, ADA)

    await leftovers.release_unstarted()
    assert leftovers.released == set(ids[:510])

    report = await leftovers.settle(10_000)
    assert (sorted(report.abandoned), report.deferred) == (sorted(ids[510:]), [])


async def test_the_first_pass_of_a_sweep_forgets_whom_nobody_needs(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """Where no worker lives for an hour nobody else would."""
    await registry.record_death(ADA, Death("exit 9", "bob"))
    await registry.claim_next(batch_claim(registry, BOB))
    await call_long_ago(registry, client, ADA, BOB)

    await Sweep(registry, BOB).run_once()

    for keys in (await keyspace(client, namespace)).values():
        assert not keys.keys() & {"owners", "claims", "dead", "seen"}


async def test_work_driven_now_and_then_leaves_no_more_behind(
    registry: ProcessRegistry, crew: Crew, client: Any, namespace: str
) -> None:
    """Each time another owner drives what is pending, as a line of a crontab does."""

    async def drive() -> str:
        worker = crew.worker(Bench(is_open=True).task(), registry=registry)
        await worker.drive_pending()
        return owner_digest(worker.owner)

    await registry.register(work("p", RERUNNABLE, "p"))
    first = await drive()

    async def is_forgotten() -> bool:  # once its renewals, which were on their way, have arrived
        for partition in range(registry.partitions):
            await client.zadd(f"{{lash:{namespace}:{partition}}}:seen", {first: 1})
        await drive()
        return all(first not in keys["owners"].value for keys in (await keyspace(client, namespace)).values())

    await wait_until(is_forgotten, "the first owner is forgotten")


async def test_whoever_settles_one_owner_forgets_too(registry: ProcessRegistry, client: Any, namespace: str) -> None:
    """A supervisor whose worker processes die before their first sweep."""
    await registry.record_death(ADA, Death("exit 9", "bob"))
    await call_long_ago(registry, client, ADA)

    await Sweep(registry, BOB).settle_dead(ADA, Death("exit 9", "bob"))

    for keys in (await keyspace(client, namespace)).values():
        assert not keys.keys() & {"owners", "dead", "seen"}


async def test_one_pass_forgets_more_than_a_page(registry: ProcessRegistry, client: Any, namespace: str) -> None:
    """Page by page until nothing is left."""
    await client.zadd(f"{{lash:{namespace}:0}}:seen", {f"gone{number}": 1 for number in range(MANY)})

    assert await registry.forget_owners(1_000) == MANY
    assert await client.zcard(f"{{lash:{namespace}:0}}:seen") == 0

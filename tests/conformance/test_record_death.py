"""record_death, holders, forget_owners: who has unsettled rows, and who is known to be dead."""

from __future__ import annotations

from typing import Any

import msgspec

from lash_redis.core.liveness import LeaseOwner, LocalProcess
from lash_redis.core.model import ProcessStarted
from lash_redis.core.outcomes import Success
from lash_redis.registry.answers import Death, Holder
from lash_redis.registry.calls import owners
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    CYD,
    OWNER_BOUND,
    batch_claim,
    begun,
    call_of,
    held,
    ids_of,
    local_owner,
    work,
)
from tests.conftest import ServerTime
from tests.look import record_of
from tests.soundness import keyspace

DEATH = Death("killed by signal 9", "supervisor")


async def test_a_death_stands_in_every_partition(registry: ProcessRegistry) -> None:
    """A pass in any partition finds it beside the owner."""
    await registry.register_many([work(f"p{number}", OWNER_BOUND) for number in range(60)])
    for partition in range(registry.partitions):
        await registry.claim_next(batch_claim(registry, ADA, partition=partition))

    await registry.record_death(ADA, DEATH)

    for partition in range(registry.partitions):
        found = await registry.holders(partition)
        assert [(each.digest, each.owner, each.death) for each in found] == [(owner_digest(ADA), ADA, DEATH)]


async def test_the_first_record_of_a_death_stands(registry: ProcessRegistry, client: Any, namespace: str) -> None:
    """What the one who saw it said is not said over."""
    await registry.record_death(ADA, DEATH)
    before = await keyspace(client, namespace)

    answer = await registry.sender.send(call_of(registry, owners.record_death, ADA, Death("exit 1", "another")))

    assert answer == DEATH
    assert await keyspace(client, namespace) == before


async def test_holders_are_those_with_unsettled_rows(registry: ProcessRegistry, partitions: int) -> None:
    """Who holds something, or started owner-bound work that is not settled: no one else."""
    one, two, three, four = ids_of(4, 0, partitions)
    await registry.register_many(
        [work(one, task="a"), work(two, OWNER_BOUND), work(three, OWNER_BOUND, task="b"), work(four, task="c")]
    )
    await held(registry, one, ADA)
    await registry.release(await begun(registry, two, BOB))
    await registry.record_first_started(three, ProcessStarted(CYD, 1))
    me = local_owner("done")
    await registry.complete(await held(registry, four, me), Success())

    found = await registry.holders(0)

    assert {each.owner for each in found} == {ADA, BOB, CYD}
    assert all(each.death is None for each in found)


async def test_owners_come_by_pages(registry: ProcessRegistry, partitions: int) -> None:
    """Each page begins after a digest."""
    ids = ids_of(3, 0, partitions)
    await registry.register_many([work(id_) for id_ in ids])
    for id_, owner in zip(ids, (ADA, BOB, CYD), strict=True):
        await held(registry, id_, owner)
    digests = sorted(owner_digest(owner) for owner in (ADA, BOB, CYD))

    pages = [await registry.holders(0, after, limit=2) for after in ("", digests[0], digests[1], "~")]

    assert [[each.digest for each in page] for page in pages] == [digests[:2], digests[1:], digests[2:], []]


async def test_a_claimant_reads_the_owners_of_its_machine_and_the_dead(
    registry: ProcessRegistry, partitions: int
) -> None:
    """It could prove nothing of opaque ones, nor of those of other machines, boots and namespaces (rule 2.1)."""
    me = local_owner()
    assert isinstance(me.liveness, LocalProcess)
    here, other = (LeaseOwner(name, f"{name}-1", me.liveness) for name in ("beside", "below"))
    moved = LeaseOwner("moved", "moved-1", msgspec.structs.replace(me.liveness, host_id="another"))
    booted = LeaseOwner("booted", "booted-1", msgspec.structs.replace(me.liveness, boot_id="another"))
    late = LeaseOwner("late", "late-1", msgspec.structs.replace(me.liveness, host_id="another"))
    owners_there = (ADA, BOB, here, other, moved, booted, late)
    ids = ids_of(len(owners_there), 0, partitions)
    await registry.register_many([work(id_) for id_ in ids])
    for id_, owner in zip(ids, owners_there, strict=True):
        await held(registry, id_, owner)
    for owner in (BOB, late, other, CYD):  # the last holds nothing
        await registry.record_death(owner, DEATH)

    near = await registry.holders(0, near=me)
    digests = [each.digest for each in near]

    assert {each.owner.owner_id for each in near} == {"bob", "late", "beside", "below"}
    assert {each.owner.owner_id for each in near if each.death is not None} == {"bob", "late", "below"}
    assert {each.owner.owner_id for each in await registry.holders(0, near=ADA)} == {"bob", "late", "below"}
    assert digests == sorted(digests)
    pages = [await registry.holders(0, after, limit=2, near=me) for after in ("", digests[1], digests[3])]
    assert [[each.digest for each in page] for page in pages] == [digests[:2], digests[2:], []]


async def test_an_owner_is_of_the_machine_that_it_named_first(registry: ProcessRegistry, partitions: int) -> None:
    """The first liveness stands, and so does where its death can be proven."""
    me = local_owner()
    one, two = ids_of(2, 0, partitions)
    await registry.register_many([work(one), work(two)])
    await held(registry, one, LeaseOwner.opaque("beside", "beside-1"))
    await held(registry, two, LeaseOwner("beside", "beside-1", me.liveness))

    assert await registry.holders(0, near=me) == []
    assert len(await registry.holders(0)) == 1


async def test_one_owner_with_unsettled_rows_is_read_by_its_digest(registry: ProcessRegistry, partitions: int) -> None:
    """With its recorded death; an owner without such rows is not found, dead or not."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_))
    await held(registry, id_, ADA)

    alive = await registry.holder(0, owner_digest(ADA))
    for owner in (ADA, BOB):
        await registry.record_death(owner, DEATH)
    dead = await registry.holder(0, owner_digest(ADA))

    assert alive == Holder(owner_digest(ADA), ADA, None)
    assert dead == Holder(owner_digest(ADA), ADA, DEATH)
    assert await registry.holder(0, owner_digest(BOB)) is None


async def test_an_owner_without_rows_is_forgotten_after_its_time(
    registry: ProcessRegistry, server: ServerTime, client: Any, namespace: str, partitions: int
) -> None:
    """Owner, claim number and death go; what is younger, or still has rows, stays."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_, OWNER_BOUND))
    await registry.release(await begun(registry, id_, BOB))
    await registry.claim_next(batch_claim(registry, ADA))
    await registry.record_death(CYD, DEATH)
    now = await server.now_ms()
    await server.pass_until(now + 40)

    assert await registry.forget_owners(3_600_000) == 0
    assert await registry.forget_owners(20) == 1 + partitions

    keys = (await keyspace(client, namespace))[0]
    assert {name: list(keys[name].value) for name in ("owners", "claims")} == {
        "owners": [owner_digest(BOB)],
        "claims": [owner_digest(BOB)],
    }
    assert "dead" not in keys


async def test_a_row_that_outlives_its_owner_shows_the_digest(registry: ProcessRegistry, server: ServerTime) -> None:
    """The owner with its liveness is kept for a while only."""
    await registry.register(work())
    await registry.complete(await begun(registry, "p", ADA), Success())
    now = await server.now_ms()
    await server.pass_until(now + 10)
    assert await registry.forget_owners(5) == 1

    record = await record_of(registry, "p")

    assert record.first_started is not None
    assert record.first_started.owner.owner_id == owner_digest(ADA)

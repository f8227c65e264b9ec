"""renew, renew_owned: a live lease's expiry moves, and nothing else does."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lash_redis.core.errors import LeaseLost
from lash_redis.core.model import ProcessStarted
from lash_redis.core.outcomes import Success
from lash_redis.registry.calls import leases
from lash_redis.registry.keys import owned_index, owner_digest, partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    CYD,
    LONG_MS,
    OWNER_BOUND,
    abandon,
    batch_claim,
    begun,
    begun_and_lapsed,
    cancel,
    held,
    ids_of,
    work,
)
from tests.conftest import ServerTime
from tests.look import lease_of
from tests.soundness import keyspace


async def test_a_renewal_moves_the_expiry_alone(registry: ProcessRegistry) -> None:
    """Token, fence and claim time stay; the new expiry is what reads say."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)

    renewed = await registry.renew(lease, 2 * LONG_MS)

    assert renewed == msgspec.structs.replace(lease, expires_at_ms=renewed.expires_at_ms)
    assert renewed.expires_at_ms >= lease.claimed_at_ms + 2 * LONG_MS
    assert await registry.lease("p") == renewed


async def test_a_renewal_never_shortens(registry: ProcessRegistry) -> None:
    """A shorter TTL leaves the end where it is."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)

    assert await registry.renew(lease, 1) == lease


async def test_a_renewed_lease_outlives_its_first_end(registry: ProcessRegistry, client: Any) -> None:
    """The key in Redis lives on as the row says."""
    await registry.register(work())
    renewed = await registry.renew(await held(registry, "p", ADA), 2 * LONG_MS)

    assert await registry.lease("p") == renewed
    key = f"{partition_prefix(registry.namespace, registry.partition_of('p'))}:l:p"
    assert await client.pexpiretime(key) == renewed.expires_at_ms


async def test_a_lapsed_lease_is_lost(registry: ProcessRegistry, server: ServerTime) -> None:
    """Even if nobody took it since."""
    await registry.register(work())
    lease = await server.end(registry, await held(registry, "p", ADA))

    with pytest.raises(LeaseLost) as refusal:
        await registry.renew(lease, LONG_MS)
    assert refusal.value.lease == lease
    assert await registry.lease("p") is None


@pytest.mark.parametrize("change", [{"token": "another"}, {"fencing_token": 1}, {"owner": BOB}])
async def test_a_renewal_needs_owner_token_and_fence(registry: ProcessRegistry, change: dict[str, Any]) -> None:
    """Each of the three must be the lease's."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)

    with pytest.raises(LeaseLost):
        await registry.renew(msgspec.structs.replace(lease, **change), 2 * LONG_MS)
    assert await registry.lease("p") == lease


async def test_the_old_fence_is_lost_although_the_token_is_kept(registry: ProcessRegistry, server: ServerTime) -> None:
    """A starter that claimed again has a new fence; its old lease is none."""
    await registry.register(work("p", OWNER_BOUND))
    old = await begun_and_lapsed(registry, server, "p", ADA)
    new = await held(registry, "p", ADA)

    with pytest.raises(LeaseLost):
        await registry.renew(old, LONG_MS)
    assert await registry.renew(new, 1) == new


async def test_a_terminal_or_unknown_process_has_no_lease_to_renew(registry: ProcessRegistry) -> None:
    """Renewing answers lost, whatever became of the row."""
    await registry.register(work())
    lease = await begun(registry, "p", ADA)
    await registry.complete(lease, Success())

    for gone in (lease, msgspec.structs.replace(lease, process_id="nobody")):
        with pytest.raises(LeaseLost):
            await registry.renew(gone, LONG_MS)


async def test_many_are_answered_each_in_its_place(registry: ProcessRegistry) -> None:
    """A lost one among them does not touch the others."""
    ids = [f"p{number}" for number in range(20)]
    await registry.register_many([work(id_) for id_ in ids])
    leases = [await held(registry, id_, ADA) for id_ in ids]
    await registry.release(leases[3])

    answers = await registry.renew_many(leases, 2 * LONG_MS)

    assert [number for number, expires in enumerate(answers) if expires is None] == [3]
    assert all(expires > lease.expires_at_ms for expires, lease in zip(answers, leases, strict=True) if expires)


async def test_all_live_leases_of_owners_are_renewed_by_their_index(
    registry: ProcessRegistry, server: ServerTime, partitions: int
) -> None:
    """One call renews what these owners hold, and lists exactly that."""
    one, two, foreign, over, given, done = ids_of(6, 0, partitions)
    await registry.register_many([work(id_) for id_ in (one, two, foreign, over, given, done)])
    await server.end(registry, await held(registry, over, ADA))
    leases = {id_: await held(registry, id_, owner) for id_, owner in ((one, ADA), (two, BOB), (foreign, CYD))}
    await registry.release(await held(registry, given, ADA))
    ended = await held(registry, done, ADA)
    await registry.complete(ended, Success())

    renewed = await registry.renew_owned(0, [owner_digest(ADA), owner_digest(BOB)], 2 * LONG_MS)

    assert {(row.process_id, row.owner, row.token, row.fence) for row in renewed} == {
        (id_, owner_digest(lease.owner), lease.token, lease.fencing_token)
        for id_, lease in leases.items()
        if id_ != foreign
    }
    for id_ in (one, two):
        lease = await lease_of(registry, id_)
        assert lease.expires_at_ms > leases[id_].expires_at_ms
    assert await registry.lease(foreign) == leases[foreign]
    assert await registry.lease(over) is None


async def test_started_work_that_is_not_held_is_not_renewed(registry: ProcessRegistry) -> None:
    """The owner's index keeps what it started owner-bound; only a lease can be renewed."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.release(await begun(registry, "p", ADA))

    partition = registry.partition_of("p")
    assert await registry.renew_owned(partition, [owner_digest(ADA)], LONG_MS) == []


async def test_a_starter_does_not_renew_for_another_holder(registry: ProcessRegistry, partitions: int) -> None:
    """The starter's index keeps the row while somebody else holds it."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_, OWNER_BOUND))
    await registry.record_first_started(id_, ProcessStarted(ADA, 1))
    lease = await held(registry, id_, BOB)

    assert await registry.renew_owned(0, [owner_digest(ADA)], 2 * LONG_MS) == []
    assert await registry.lease(id_) == lease


async def test_a_renewal_by_owner_never_shortens(registry: ProcessRegistry, partitions: int) -> None:
    """As one by lease."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_))
    lease = await held(registry, id_, ADA)

    assert len(await registry.renew_owned(0, [owner_digest(ADA)], 1)) == 1
    assert await registry.lease(id_) == lease


async def test_one_call_renews_no_more_than_a_page_of_all_its_owners(
    registry: ProcessRegistry, partitions: int
) -> None:
    """200 rows, whoever holds them; the answer says where to go on."""
    await registry.register_many([work(id_) for id_ in ids_of(240, 0, partitions)])
    for owner in (ADA, BOB):
        await registry.claim_next(batch_claim(registry, owner, count=120))
    owners = [owner_digest(ADA), owner_digest(BOB)]

    pages = leases.renew_owned(registry.target.namespace, 0, owners, LONG_MS)

    first = await registry.sender.send(next(pages))
    second, end = await registry.sender.send(pages.send(first))

    assert (len(first[0]), len(second), end) == (200, 40, None)


async def test_a_renewal_by_owner_returns_what_was_requested(registry: ProcessRegistry, partitions: int) -> None:
    """The holder learns of a cancel or an abandon request with its next renewal."""
    cancelled, abandoned, left = ids_of(3, 0, partitions)
    for id_ in (cancelled, abandoned, left):
        await registry.register(work(id_, OWNER_BOUND))
        await begun(registry, id_, ADA)
    await registry.request_cancel(cancelled, cancel())
    await registry.request_abandon(abandoned, abandon())

    renewed = {row.process_id: row for row in await registry.renew_owned(0, [owner_digest(ADA)], LONG_MS)}

    assert {id_: (bool(row.cancel_request), bool(row.abandon_request)) for id_, row in renewed.items()} == {
        cancelled: (True, False),
        abandoned: (False, True),
        left: (False, False),
    }


async def test_more_leases_than_a_page_are_all_renewed(registry: ProcessRegistry, partitions: int) -> None:
    """Pages of 200 over several owners: none is missed, none is listed twice."""
    chosen = ids_of(1_250, 0, partitions)
    await registry.register_many([work(id_) for id_ in chosen])
    for owner, counts in ((ADA, (500, 250)), (BOB, (500,))):
        for count in counts:
            await registry.claim_next(batch_claim(registry, owner, count=count))

    owners = [owner_digest(owner) for owner in (CYD, ADA, BOB)]
    renewed = await registry.renew_owned(0, owners, LONG_MS)

    assert sorted(row.process_id for row in renewed) == sorted(chosen)


@pytest.mark.parametrize("batches", [(120, 120), (180,)], ids=["in batches", "one by one"])
async def test_rows_that_end_between_two_pages_hide_no_others(
    registry: ProcessRegistry, partitions: int, batches: tuple[int, ...]
) -> None:
    """Every other live lease is renewed and listed: what is not listed counts as lost."""
    chosen = ids_of(240, 0, partitions)
    await registry.register_many([work(id_) for id_ in chosen])
    for count in batches:
        await registry.claim_next(batch_claim(registry, ADA, count=count))
    for id_ in chosen[sum(batches) :]:
        await held(registry, id_, ADA)
    owners = [owner_digest(ADA)]

    pages = leases.renew_owned(registry.target.namespace, 0, owners, 2 * LONG_MS)
    first, following = await registry.sender.send(next(pages))
    for row in first[-20:]:
        lease = await lease_of(registry, row.process_id)
        await registry.release(lease)
    second, end = await registry.sender.send(pages.send((first, following)))

    assert sorted(row.process_id for row in first + second) == sorted(chosen)
    assert end is None


async def test_work_started_without_a_lease_has_its_own_place_in_the_index(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int
) -> None:
    """As has what is held: no two rows of an owner's index share a score."""
    begun_outside, claimed = ids_of(4, 0, partitions)[:2], ids_of(4, 0, partitions)[2:]
    await registry.register_many([work(id_, OWNER_BOUND) for id_ in (*begun_outside, *claimed)])
    for id_ in begun_outside:
        await registry.record_first_started(id_, ProcessStarted(ADA, 1))
    for id_ in claimed:
        await held(registry, id_, ADA)

    index = (await keyspace(client, namespace))[0][owned_index(owner_digest(ADA))].value

    assert isinstance(index, dict)
    assert len(set(index.values())) == len(index) == 4


async def test_a_renewal_of_nothing_remembers_that_the_owner_called(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """It writes no more than when the owner was last seen."""
    await registry.renew_owned(0, [owner_digest(ADA)], LONG_MS)

    assert (await keyspace(client, namespace))[0].keys() == {"hdr", "seen"}

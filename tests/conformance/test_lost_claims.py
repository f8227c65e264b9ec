"""claim_next: an answer that was lost for longer than the lease, while a peer's sweep passed."""

from __future__ import annotations

from typing import Any

from lash_redis.core.model import Phase
from lash_redis.core.outcomes import AbandonWriter, Success
from lash_redis.recovery.sweep import Sweep
from lash_redis.registry.answers import BatchClaim, ClaimedBatch, ClaimedRow, Death
from lash_redis.registry.keys import owned_index, owner_digest
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    abandoned,
    batch_claim,
    begun,
    held,
    ids_of,
    settled,
    work,
)
from tests.conftest import ServerTime
from tests.look import lease_of, record_of
from tests.soundness import keyspace


async def lost_for_longer_than_the_lease(
    registry: ProcessRegistry, server: ServerTime, *process_ids: str
) -> tuple[BatchClaim, ClaimedBatch]:
    """Let ADA claim processes whose leases lapse, and BOB's sweep pass; return the claim and the answer."""
    claim = batch_claim(registry, ADA, count=len(process_ids), ttl_ms=LONG_MS)
    answer = await registry.claim_next(claim)
    assert [row.process_id for row in answer.rows] == list(process_ids)
    for process_id in process_ids:
        await server.end(registry, await lease_of(registry, process_id))
    await Sweep(registry, BOB).run_once()
    return claim, answer


def unfenced(rows: list[ClaimedRow]) -> list[tuple[str, str, str]]:
    """Return what names the attempts of rows, without their fences."""
    return [(row.process_id, row.token, row.lane) for row in rows]


async def test_the_same_number_hands_out_what_a_peers_sweep_made_uncertain(
    registry: ProcessRegistry, server: ServerTime, partitions: int
) -> None:
    """Nobody took it, and nobody but its starter ever may: it is leased anew, under its token and a new fence."""
    chosen = ids_of(3, 0, partitions)
    await registry.register_many([work(id_, OWNER_BOUND) for id_ in chosen])
    claim, first = await lost_for_longer_than_the_lease(registry, server, *chosen)
    for id_ in chosen:
        assert (await record_of(registry, id_)).phase is Phase.UNCERTAIN

    again = await registry.claim_next(claim)

    assert unfenced(again.rows) == unfenced(first.rows)
    for before, row in zip(first.rows, again.rows, strict=True):
        lease = await lease_of(registry, row.process_id)
        assert (lease.owner, lease.token, lease.fencing_token) == (ADA, row.token, row.fence)
        assert row.fence > before.fence
        assert (await record_of(registry, row.process_id)).phase is Phase.STARTED
        assert (await registry.complete(lease, Success())).is_terminal


async def test_it_keeps_its_order_and_its_place_in_the_owners_index(
    registry: ProcessRegistry, server: ServerTime, client: Any, namespace: str, partitions: int
) -> None:
    """So that the same number finds it as often as it is sent."""
    chosen = ids_of(3, 0, partitions)
    await registry.register_many([work(id_, OWNER_BOUND) for id_ in chosen])
    claim, _ = await lost_for_longer_than_the_lease(registry, server, *chosen)
    before = (await keyspace(client, namespace))[0][owned_index(owner_digest(ADA))]

    once = await registry.claim_next(claim)
    twice = await registry.claim_next(claim)

    assert (await keyspace(client, namespace))[0][owned_index(owner_digest(ADA))] == before
    assert twice.rows == once.rows


async def test_rerunnable_work_that_a_sweep_put_back_is_not_among_it(
    registry: ProcessRegistry, server: ServerTime, partitions: int
) -> None:
    """It is whose turn it is in the lane; and the number is never filled up with other rows."""
    bound, rerunnable, late = ids_of(3, 0, partitions)
    await registry.register_many([work(bound, OWNER_BOUND), work(rerunnable, RERUNNABLE)])
    claim, first = await lost_for_longer_than_the_lease(registry, server, bound, rerunnable)
    await registry.register(work(late, OWNER_BOUND))

    assert unfenced((await registry.claim_next(claim)).rows) == unfenced(first.rows[:1])
    assert (await record_of(registry, late)).phase is Phase.QUEUED
    assert (await begun(registry, rerunnable, BOB)).owner == BOB


async def test_what_its_starter_gave_up_or_what_ended_is_not_among_it(
    registry: ProcessRegistry, server: ServerTime, partitions: int
) -> None:
    """A late copy of the claim leases nothing of that: a worker that was answered has dealt with it."""
    given_up, ended, claimed = ids_of(3, 0, partitions)
    await registry.register_many([work(id_, OWNER_BOUND) for id_ in (given_up, ended, claimed)])
    claim, _ = await lost_for_longer_than_the_lease(registry, server, given_up, ended, claimed)
    await registry.release(await held(registry, given_up, ADA))
    await registry.record_death(ADA, Death("exit 9", "bob"))
    assert await settled(registry, ended, "fact", abandoned(AbandonWriter.SWEEP, ADA, "reaped"))
    await registry.claim(claimed, ADA, LONG_MS)

    assert (await registry.claim_next(claim)).stale
    assert await registry.lease(given_up) is None


async def test_a_late_copy_takes_no_lease_that_its_starter_gave_back(
    registry: ProcessRegistry, partitions: int
) -> None:
    """The claim was answered: whoever gives work up knows of it."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_, OWNER_BOUND))
    claim = batch_claim(registry, ADA)
    await registry.claim_next(claim)
    await registry.release(await lease_of(registry, id_))

    assert (await registry.claim_next(claim)).rows == []
    assert (await record_of(registry, id_)).phase is Phase.UNCERTAIN


async def test_a_claim_of_another_number_does_not_take_it(
    registry: ProcessRegistry, server: ServerTime, partitions: int
) -> None:
    """It stays uncertain until its own number asks, or its starter claims it by name."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_, OWNER_BOUND))
    await lost_for_longer_than_the_lease(registry, server, id_)

    assert (await registry.claim_next(batch_claim(registry, ADA, count=9))).rows == []
    assert (await held(registry, id_, ADA)).owner == ADA

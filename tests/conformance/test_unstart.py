"""unstart: what was started and never begun is given back whole (rule 4.5)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lash_redis.core.errors import LeaseLost
from lash_redis.core.model import Acquired, Phase, ProcessLease, RecoveryDisposition
from lash_redis.core.outcomes import Cancelled, Success
from lash_redis.registry.calls import starts
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    CYD,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    batch_claim,
    begun,
    begun_and_lapsed,
    call_of,
    cancel,
    held,
    ids_of,
    settled,
    work,
)
from tests.conftest import ServerTime
from tests.look import record_of
from tests.soundness import keyspace

EACH = pytest.mark.parametrize("disposition", [RERUNNABLE, OWNER_BOUND])


async def unstart(registry: ProcessRegistry, lease: ProcessLease) -> str:
    """Say that what was started under a lease never began; return the answer."""
    (status,) = await registry.unstart_many([lease])
    return status


async def claimed_again(registry: ProcessRegistry, lease: ProcessLease) -> ProcessLease:
    """Claim one's own again, as a starter does whose lease lapsed."""
    claimed = await registry.claim(lease.process_id, lease.owner, LONG_MS)
    assert isinstance(claimed, Acquired)
    return claimed.lease


@EACH
async def test_what_never_began_is_as_it_was_registered(
    registry: ProcessRegistry, disposition: RecoveryDisposition
) -> None:
    """Its start is cleared, no loss is counted, and any worker may claim it at once."""
    registered = await registry.register(work("p", disposition))
    lease = await begun(registry, "p", ADA)

    assert await unstart(registry, lease) == "DONE"

    assert await registry.get("p") == registered
    assert await registry.lease("p") is None
    assert (await begun(registry, "p", BOB)).fencing_token > lease.fencing_token
    assert (await record_of(registry, "p")).first_started.owner == BOB  # type: ignore[union-attr]


@EACH
async def test_sent_again_it_changes_nothing(
    registry: ProcessRegistry, client: Any, namespace: str, disposition: RecoveryDisposition
) -> None:
    """The token is gone, whether the row stands in its lane or another worker began it."""
    await registry.register(work("p", disposition))
    lease = await begun(registry, "p", ADA)
    await unstart(registry, lease)
    for later in (None, BOB):
        if later is not None:
            await begun(registry, "p", later)
        before = await keyspace(client, namespace)

        assert await unstart(registry, lease) == "STALE"

        assert await keyspace(client, namespace) == before


@pytest.mark.parametrize("change", [{"token": "another"}, {"fencing_token": 1}, {"owner": BOB}])
@EACH
async def test_owner_token_and_fence_must_be_the_leases(
    registry: ProcessRegistry, client: Any, namespace: str, disposition: RecoveryDisposition, change: dict[str, Any]
) -> None:
    """Any other changes nothing."""
    await registry.register(work("p", disposition))
    lease = await begun(registry, "p", ADA)
    before = await keyspace(client, namespace)

    assert await unstart(registry, msgspec.structs.replace(lease, **change)) != "DONE"

    assert await keyspace(client, namespace) == before


@EACH
async def test_what_is_held_and_was_never_started_has_nothing_to_clear(
    registry: ProcessRegistry, client: Any, namespace: str, disposition: RecoveryDisposition
) -> None:
    """A release gives that back."""
    await registry.register(work("p", disposition))
    lease = await held(registry, "p", ADA)
    before = await keyspace(client, namespace)

    assert await unstart(registry, lease) == "STALE"

    assert await keyspace(client, namespace) == before


async def test_a_lapsed_lease_on_owner_bound_work_is_lost_until_its_starter_claims_again(
    registry: ProcessRegistry, server: ServerTime, client: Any, namespace: str
) -> None:
    """The starter claims its own again under the same token, and then gives it back."""
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun_and_lapsed(registry, server, "p", ADA)
    before = await keyspace(client, namespace)
    assert await unstart(registry, lease) == "LOST"
    assert await keyspace(client, namespace) == before

    again = await claimed_again(registry, lease)

    assert await unstart(registry, lease) == "LOST"  # the old fence
    assert await unstart(registry, again) == "DONE"
    assert (await record_of(registry, "p")).first_started is None


async def test_uncertain_work_that_never_began_goes_back_into_its_lane(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """A peer's sweep had moved it; its starter knows better."""
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun_and_lapsed(registry, server, "p", ADA)
    assert await settled(registry, "p", "uncertain")
    assert await unstart(registry, lease) == "LOST"

    assert await unstart(registry, await claimed_again(registry, lease)) == "DONE"

    assert (await record_of(registry, "p")).phase is Phase.QUEUED
    assert (await begun(registry, "p", BOB)).owner == BOB


async def test_rerunnable_work_under_a_lapsed_lease_goes_back_as_by_a_release(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """Nobody has to claim it again for that."""
    registered = await registry.register(work())
    lease = await begun_and_lapsed(registry, server, "p", ADA)

    assert await unstart(registry, lease) == "DONE"

    assert await registry.get("p") == registered


async def test_a_loss_of_what_never_began_is_taken_back(registry: ProcessRegistry, server: ServerTime) -> None:
    """A sweep counted it while the holder was silent, and another worker runs it now."""
    await registry.register(work())
    lease = await begun_and_lapsed(registry, server, "p", ADA)
    assert await settled(registry, "p", "queue")
    assert (await record_of(registry, "p")).losses == 1
    other = await begun(registry, "p", BOB)

    assert await unstart(registry, lease) == "STALE"

    assert (await record_of(registry, "p")).losses == 0
    assert await registry.lease("p") == other


async def test_the_first_start_of_rerunnable_work_stands_if_another_token_made_it(registry: ProcessRegistry) -> None:
    """Only the start of the attempt that never began is cleared."""
    await registry.register(work())
    await registry.release(await begun(registry, "p", ADA))
    lease = await begun(registry, "p", BOB)

    assert await unstart(registry, lease) == "DONE"

    record = await record_of(registry, "p")
    assert record.first_started is not None
    assert (record.first_started.owner, record.phase) == (ADA, Phase.QUEUED)
    assert (await begun(registry, "p", CYD)).owner == CYD


@EACH
async def test_a_cancel_request_ends_what_never_began(
    registry: ProcessRegistry, disposition: RecoveryDisposition
) -> None:
    """Nobody holds it any more and nobody started it: line 10 of the verdict."""
    await registry.register(work("p", disposition))
    lease = await begun(registry, "p", ADA)
    await registry.request_cancel("p", cancel())

    assert await unstart(registry, lease) == "DONE"

    record = await record_of(registry, "p")
    assert (record.outcome, record.first_started) == (Cancelled("enough"), None)
    assert await unstart(registry, lease) == "TERMINAL"


async def test_an_abandon_request_stays_on_what_never_began(registry: ProcessRegistry) -> None:
    """It is immutable; nothing is abandoned that nobody started."""
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun(registry, "p", ADA)
    await registry.request_abandon("p", abandon())

    assert await unstart(registry, lease) == "DONE"

    record = await record_of(registry, "p")
    assert (record.phase, record.abandon_request) == (Phase.QUEUED, abandon())


@EACH
async def test_a_late_copy_of_the_claim_hands_it_out_no_more(
    registry: ProcessRegistry, disposition: RecoveryDisposition
) -> None:
    """The same number answers nothing of it, and leases nothing anew."""
    await registry.register(work("p", disposition))
    claim = batch_claim(registry, ADA, partition=registry.partition_of("p"))
    await registry.claim_next(claim)
    lease = await registry.lease("p")
    assert lease is not None
    await unstart(registry, lease)

    assert (await registry.claim_next(claim)).rows == []
    assert await registry.lease("p") is None


async def test_a_late_copy_of_a_start_is_refused(registry: ProcessRegistry) -> None:
    """The lease is gone with the start, so that nothing is begun under that token."""
    await registry.register(work("p", OWNER_BOUND))
    lease = await held(registry, "p", ADA)
    start = call_of(registry, starts.start, lease)
    await registry.sender.send(start)
    await unstart(registry, lease)

    with pytest.raises(LeaseLost):
        await registry.sender.send(start)
    assert (await record_of(registry, "p")).first_started is None


async def test_many_are_given_back_in_one_call_and_wake_a_worker(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int, server: ServerTime
) -> None:
    """Each answers for itself; rows that nobody knows and that have ended too."""
    one, two, three, four = ids_of(4, 0, partitions)
    await registry.register_many([work(id_, OWNER_BOUND, task=id_) for id_ in (one, two, three)])
    leases = []
    for id_ in (one, two, three):
        leases.append(await held(registry, id_, ADA))
        await registry.start(leases[-1])
    await server.end(registry, leases[1])
    await registry.complete(leases[2], Success())
    leases.append(msgspec.structs.replace(leases[0], process_id=four))
    await registry.claim_next(batch_claim(registry, BOB, served=(("default", ()),)))
    assert owner_digest(BOB) in (await keyspace(client, namespace))[0]["idle:default"].value

    assert await registry.unstart_many(leases) == ["DONE", "LOST", "TERMINAL", "UNKNOWN"]

    assert "idle:default" not in (await keyspace(client, namespace))[0]

"""release: a lease is given back; a stale one changes nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lash_redis.core.errors import LeaseLost, SettingsError
from lash_redis.core.model import Phase, ProcessStarted, ProcessStatus, RecoveryDisposition
from lash_redis.core.outcomes import Cancelled, Success
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    CYD,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    batch_claim,
    begun,
    begun_and_lapsed,
    cancel,
    held,
    ids_of,
    settled,
    work,
)
from tests.conftest import ServerTime
from tests.look import record_of
from tests.soundness import keyspace


@pytest.mark.parametrize("disposition", [RERUNNABLE, OWNER_BOUND])
async def test_held_work_goes_back_into_its_lane(registry: ProcessRegistry, disposition: RecoveryDisposition) -> None:
    """It is as it was registered, and may be claimed at once."""
    registered = await registry.register(work("p", disposition))
    lease = await held(registry, "p", ADA)

    await registry.release(lease)

    assert await registry.get("p") == registered
    assert await registry.lease("p") is None
    with pytest.raises(LeaseLost):
        await registry.renew(lease, LONG_MS)
    assert (await begun(registry, "p", BOB)).fencing_token > lease.fencing_token


async def test_begun_rerunnable_work_goes_back_without_a_loss(registry: ProcessRegistry) -> None:
    """The holder itself gave it up."""
    await registry.register(work())

    await registry.release(await begun(registry, "p", ADA))

    record = await record_of(registry, "p")
    assert (record.phase, record.losses) == (Phase.QUEUED, 0)


async def test_it_goes_back_to_its_place_in_the_lane(registry: ProcessRegistry, partitions: int) -> None:
    """What was taken first is handed out first again."""
    one, two, three = ids_of(3, 0, partitions)
    await registry.register_many([work(id_) for id_ in (one, two, three)])
    await registry.release(await begun(registry, one, ADA))

    batch = await registry.claim_next(batch_claim(registry, BOB, count=3))

    assert [row.process_id for row in batch.rows] == [one, two, three]


async def test_started_owner_bound_work_becomes_uncertain(registry: ProcessRegistry) -> None:
    """Nobody else may run it, so it enters no lane."""
    await registry.register(work("p", OWNER_BOUND))

    await registry.release(await begun(registry, "p", ADA))

    record = await record_of(registry, "p")
    assert (record.phase, record.lease_lapsed, record.is_terminal) == (Phase.UNCERTAIN, False, False)


async def test_work_started_elsewhere_becomes_uncertain_again(registry: ProcessRegistry) -> None:
    """Held by an owner that is not its starter, and given back."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.record_first_started("p", ProcessStarted(BOB, 1))

    await registry.release(await held(registry, "p", ADA))

    record = await record_of(registry, "p")
    assert record.phase is Phase.UNCERTAIN


@pytest.mark.parametrize("change", [{"token": "another"}, {"fencing_token": 1}, {"owner": BOB}])
async def test_a_stale_release_changes_nothing(
    registry: ProcessRegistry, client: Any, namespace: str, change: dict[str, Any]
) -> None:
    """Token, fence and owner must be the lease's, and the successor stays renewable."""
    await registry.register(work())
    lease = await begun(registry, "p", ADA)
    before = await keyspace(client, namespace)

    await registry.release(msgspec.structs.replace(lease, **change))

    assert await keyspace(client, namespace) == before
    assert (await registry.renew(lease, 2 * LONG_MS)).token == lease.token


async def test_a_release_of_a_superseded_lease_leaves_the_successor(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """It never disturbs a newer holder."""
    await registry.register(work())
    old = await server.end(registry, await held(registry, "p", ADA))
    new = await held(registry, "p", BOB)

    assert await registry.release_many([old]) == [False]
    assert await registry.renew(new, 1) == new


async def test_a_lapsed_lease_may_still_be_given_back(registry: ProcessRegistry, server: ServerTime) -> None:
    """Nobody took it since: the work goes back, and the lapse was no loss."""
    await registry.register(work())
    lease = await begun_and_lapsed(registry, server, "p", ADA)

    assert await registry.release_many([lease]) == [True]
    record = await record_of(registry, "p")
    assert (record.phase, record.losses) == (Phase.QUEUED, 0)


async def test_a_holder_that_returns_takes_its_loss_back(registry: ProcessRegistry, server: ServerTime) -> None:
    """It gave the work up after all; the newer holder is not disturbed, and a second release takes nothing more."""
    await registry.register(work())
    old = await begun_and_lapsed(registry, server, "p", ADA)
    new = await held(registry, "p", BOB)
    record = await record_of(registry, "p")
    assert record.losses == 1

    for _ in range(2):
        assert await registry.release_many([old]) == [False]
        record = await record_of(registry, "p")
        assert record.losses == 0
    assert await registry.lease("p") == new


async def test_only_the_last_counted_loss_is_taken_back(registry: ProcessRegistry, server: ServerTime) -> None:
    """An earlier one stands."""
    await registry.register(work())
    first = await begun_and_lapsed(registry, server, "p", ADA)
    assert await settled(registry, "p", "queue")
    second = await begun_and_lapsed(registry, server, "p", BOB)
    await held(registry, "p", CYD)

    losses = []
    for lease in (first, second, second, first):
        await registry.release(lease)
        record = await record_of(registry, "p")
        losses.append(record.losses)

    assert losses == [2, 1, 1, 1]


async def test_a_loss_that_a_sweep_counted_is_taken_back(registry: ProcessRegistry, server: ServerTime) -> None:
    """Whichever script counted it."""
    await registry.register(work())
    old = await begun_and_lapsed(registry, server, "p", ADA)
    assert await settled(registry, "p", "queue")

    await registry.release(old)

    record = await record_of(registry, "p")
    assert (record.losses, record.phase) == (0, Phase.QUEUED)


@pytest.mark.parametrize("disposition", [RERUNNABLE, OWNER_BOUND])
async def test_what_was_to_be_cancelled_is_cancelled_when_it_is_given_back(
    registry: ProcessRegistry, disposition: RecoveryDisposition
) -> None:
    """Nobody runs it, and someone asked for a stop."""
    await registry.register(work("p", disposition))
    lease = await held(registry, "p", ADA)
    await registry.request_cancel("p", cancel(reason="too late"))

    await registry.release(lease)

    record = await record_of(registry, "p")
    assert (record.status, record.outcome) == (ProcessStatus.CANCELLED, Cancelled("too late"))


async def test_a_cancel_does_not_settle_started_owner_bound_work(registry: ProcessRegistry) -> None:
    """Given back it is uncertain: the wish for a stop says nothing about its result."""
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun(registry, "p", ADA)
    await registry.request_cancel("p", cancel())

    await registry.release(lease)

    record = await record_of(registry, "p")
    assert record.phase is Phase.UNCERTAIN


async def test_a_terminal_or_pruned_row_is_no_error(
    registry: ProcessRegistry, client: Any, namespace: str, server: ServerTime
) -> None:
    """A release raises for nothing that has gone."""
    await registry.register(work())
    lease = await begun(registry, "p", ADA)
    ended = await registry.complete(lease, Success())
    before = await keyspace(client, namespace)

    await registry.release(lease)
    assert await keyspace(client, namespace) == before
    assert await registry.get("p") == ended
    await server.pass_until((ended.ended_at_ms or 0) + 1)
    assert (await registry.prune(await server.now_ms())).processes == 1
    await registry.release(lease)
    assert await registry.get("p") is None


async def test_a_holder_that_returns_too_late_changes_no_terminal_row(
    registry: ProcessRegistry, server: ServerTime, client: Any, namespace: str
) -> None:
    """Not even the losses that stood when it ended."""
    await registry.register(work())
    old = await begun_and_lapsed(registry, server, "p", ADA)
    await registry.complete(await held(registry, "p", BOB), Success())
    before = await keyspace(client, namespace)

    await registry.release(old)

    assert await keyspace(client, namespace) == before


async def test_many_are_given_back_in_one_batch(registry: ProcessRegistry) -> None:
    """Each is answered in its place."""
    ids = [f"p{number}" for number in range(20)]
    await registry.register_many([work(id_) for id_ in ids])
    leases = [await held(registry, id_, ADA) for id_ in ids]
    await registry.release(leases[5])

    assert await registry.release_many(leases) == [number != 5 for number in range(20)]
    assert {row.record().phase for row in await registry.rows(ids) if row} == {Phase.QUEUED}


async def test_an_old_and_a_new_lease_may_be_given_back_together(registry: ProcessRegistry, server: ServerTime) -> None:
    """Of two leases on one process at most one is current; the other takes its loss back."""
    await registry.register(work())
    old = await begun_and_lapsed(registry, server, "p", ADA)
    await registry.release(await held(registry, "p", BOB))
    new = await begun(registry, "p", ADA)

    assert await registry.release_many([old, new]) == [False, True]
    record = await record_of(registry, "p")
    assert (record.phase, record.losses) == (Phase.QUEUED, 0)


async def test_one_lease_twice_in_a_batch_is_refused(registry: ProcessRegistry) -> None:
    """It can be given back once."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)

    with pytest.raises(SettingsError, match="distinct"):
        await registry.release_many([lease, lease])


async def test_the_leases_of_two_owners_in_a_batch_are_refused(registry: ProcessRegistry) -> None:
    """A batch speaks for one owner: another's would be taken for stale in silence."""
    await registry.register_many([work("a"), work("a::b")])
    leases = [await held(registry, "a", ADA), await held(registry, "a::b", BOB)]

    with pytest.raises(SettingsError, match="2 owners"):
        await registry.release_many(leases)

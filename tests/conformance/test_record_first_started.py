"""record_first_started: a host that runs work elsewhere says that it began."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import AlreadyTerminal, AuthorityRejected, LeaseHeld, UnknownProcess
from lash_redis.core.model import Phase, ProcessStarted, RecoveryDisposition
from lash_redis.core.outcomes import Success
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    OWNER_BOUND,
    RERUNNABLE,
    begun,
    begun_and_lapsed,
    cancel,
    held,
    outside,
    work,
)
from tests.conftest import ServerTime
from tests.look import record_of, row_of
from tests.soundness import keyspace

EITHER = pytest.mark.parametrize("disposition", [RERUNNABLE, OWNER_BOUND])
BY_ADA = ProcessStarted(ADA, 12_345)


async def test_owner_bound_work_leaves_its_lane_for_uncertain(registry: ProcessRegistry) -> None:
    """Nobody here may run it any more; the caller's word is stored as given."""
    await registry.register(work("p", OWNER_BOUND))

    record = await registry.record_first_started("p", BY_ADA)

    assert (record.phase, record.first_started) == (Phase.UNCERTAIN, BY_ADA)
    assert record == await registry.get("p")
    holders = [each for number in range(registry.partitions) for each in await registry.holders(number)]
    assert [each.digest for each in holders] == [owner_digest(ADA)]


async def test_rerunnable_work_only_records_it(registry: ProcessRegistry) -> None:
    """It stays in its lane, and runs wherever it is claimed."""
    await registry.register(work())

    record = await registry.record_first_started("p", BY_ADA)

    assert (record.phase, record.first_started) == (Phase.QUEUED, BY_ADA)
    assert (await begun(registry, "p", BOB)).owner == BOB


@EITHER
async def test_a_second_writer_gets_the_record_as_it_stands(
    registry: ProcessRegistry, client: Any, namespace: str, disposition: RecoveryDisposition
) -> None:
    """The first start is immutable."""
    await registry.register(work("p", disposition))
    record = await registry.record_first_started("p", BY_ADA)
    before = await keyspace(client, namespace)

    for other in (BY_ADA, ProcessStarted(BOB, 1), ProcessStarted(ADA, 1)):
        assert await registry.record_first_started("p", other) == record
    assert await keyspace(client, namespace) == before


@EITHER
async def test_a_live_lease_of_another_refuses_it(registry: ProcessRegistry, disposition: RecoveryDisposition) -> None:
    """The holder is named."""
    await registry.register(work("p", disposition))
    lease = await held(registry, "p", BOB)

    with pytest.raises(LeaseHeld) as refusal:
        await registry.record_first_started("p", BY_ADA)
    assert refusal.value.holder == lease
    record = await record_of(registry, "p")
    assert record.first_started is None


@EITHER
async def test_under_the_own_live_lease_it_is_start(
    registry: ProcessRegistry, disposition: RecoveryDisposition
) -> None:
    """Under that lease's token, at the server's time."""
    await registry.register(work("p", disposition))
    lease = await held(registry, "p", ADA)

    record = await registry.record_first_started("p", BY_ADA)

    assert record.phase is Phase.STARTED
    assert record.first_started is not None
    assert record.first_started.owner == ADA
    assert record.first_started.started_at_ms >= lease.claimed_at_ms
    assert await registry.start(lease) == record
    assert (await registry.complete(lease, Success(1))).outcome == Success(1)


@EITHER
async def test_under_the_own_begun_lease_it_changes_nothing(
    registry: ProcessRegistry, client: Any, namespace: str, disposition: RecoveryDisposition
) -> None:
    """It has started already."""
    await registry.register(work("p", disposition))
    await begun(registry, "p", ADA)
    before = await keyspace(client, namespace)

    assert (await registry.record_first_started("p", BY_ADA)).phase is Phase.STARTED
    assert await keyspace(client, namespace) == before


async def test_a_second_attempt_begins_under_its_own_lease(registry: ProcessRegistry, server: ServerTime) -> None:
    """Rerunnable work that another began first: the record keeps the first start, the attempt is begun."""
    await registry.register(work())
    await begun_and_lapsed(registry, server, "p", BOB)
    lease = await held(registry, "p", ADA)

    record = await registry.record_first_started("p", BY_ADA)

    assert record.first_started is not None
    assert (record.first_started.owner, record.phase) == (BOB, Phase.STARTED)
    assert (await registry.start(lease)).phase is Phase.STARTED


async def test_under_the_own_lease_what_was_recorded_unleased_stays_so(registry: ProcessRegistry) -> None:
    """Owner-bound work has one start, and that one had no token."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.record_first_started("p", BY_ADA)
    await held(registry, "p", ADA)

    record = await registry.record_first_started("p", ProcessStarted(ADA, 99))

    assert (record.first_started, record.phase) == (BY_ADA, Phase.HELD)


@pytest.mark.parametrize("holder", [ADA, BOB], ids=["own", "another's"])
async def test_a_lapsed_lease_is_ended_by_it(registry: ProcessRegistry, server: ServerTime, holder: Any) -> None:
    """With no live lease owner-bound work becomes uncertain, whoever held it last."""
    await registry.register(work("p", OWNER_BOUND))
    await server.end(registry, await held(registry, "p", holder))

    record = await registry.record_first_started("p", BY_ADA)

    assert (record.phase, record.first_started) == (Phase.UNCERTAIN, BY_ADA)


async def test_of_lapsed_rerunnable_work_it_is_only_recorded(registry: ProcessRegistry, server: ServerTime) -> None:
    """The row keeps its place until a sweep or a claim has seen it."""
    await registry.register(work())
    await server.end(registry, await held(registry, "p", BOB))

    record = await registry.record_first_started("p", BY_ADA)

    assert (record.phase, record.lease_lapsed, record.first_started) == (Phase.HELD, True, BY_ADA)
    assert (await held(registry, "p", BOB)).owner == BOB


async def test_the_own_record_is_answered_under_anothers_lease(registry: ProcessRegistry) -> None:
    """A call that finds its own effect answers the record."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.record_first_started("p", BY_ADA)
    await held(registry, "p", BOB)

    assert (await registry.record_first_started("p", BY_ADA)).first_started == BY_ADA


async def test_the_own_start_under_a_lease_is_answered_under_anothers_too(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """Although the time on the record is the server's and not the caller's."""
    await registry.register(work())
    await held(registry, "p", ADA, 1_000 if server.is_fake else 300)
    started = await registry.record_first_started("p", BY_ADA)
    row = await row_of(registry, "p")
    lease = row.lease()
    assert lease is not None
    await server.end(registry, lease)
    await held(registry, "p", BOB)

    record = await registry.record_first_started("p", BY_ADA)

    assert record.first_started == started.first_started


async def test_the_own_record_is_answered_on_a_terminal_row(registry: ProcessRegistry) -> None:
    """Whether it was recorded unleased or under a lease; another's is refused."""
    await registry.register_many([work("p"), work("q", task="other")])
    await registry.record_first_started("p", BY_ADA)
    await registry.request_cancel("p", cancel())
    lease = await held(registry, "q", ADA)
    await registry.record_first_started("q", BY_ADA)
    await registry.complete(lease, Success())

    for id_ in ("p", "q"):
        assert (await registry.record_first_started(id_, BY_ADA)).is_terminal
        with pytest.raises(AlreadyTerminal):
            await registry.record_first_started(id_, ProcessStarted(BOB, 1))


async def test_externally_owned_work_is_never_started_here(registry: ProcessRegistry) -> None:
    """It has no owner in the pool."""
    registered = await registry.register(outside())

    with pytest.raises(AuthorityRejected):
        await registry.record_first_started("p", BY_ADA)
    assert await registry.get("p") == registered


async def test_unknown_is_said_first(registry: ProcessRegistry, client: Any, namespace: str) -> None:
    """And creates nothing."""
    before = await keyspace(client, namespace)

    with pytest.raises(UnknownProcess):
        await registry.record_first_started("p", BY_ADA)
    assert await keyspace(client, namespace) == before

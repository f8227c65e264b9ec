"""start: the fenced answer that alone lets user code run."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lash_redis.core.errors import AlreadyStarted, AlreadyTerminal, LeaseLost, UnknownProcess
from lash_redis.core.model import Phase, ProcessStarted, RecoveryDisposition
from lash_redis.core.outcomes import Success
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    begun,
    begun_and_lapsed,
    held,
    work,
)
from tests.conftest import ServerTime
from tests.look import record_of, row_of
from tests.soundness import keyspace

EITHER = pytest.mark.parametrize("disposition", [RERUNNABLE, OWNER_BOUND])


@EITHER
async def test_a_start_is_on_the_record(
    registry: ProcessRegistry, server: ServerTime, disposition: RecoveryDisposition
) -> None:
    """Owner and server time of the first start, before the first line of user code."""
    await registry.register(work("p", disposition))
    lease = await held(registry, "p", ADA)

    record = await registry.start(lease)

    assert record.first_started is not None
    assert record.first_started.owner == ADA
    assert lease.claimed_at_ms <= record.first_started.started_at_ms <= await server.now_ms()
    assert record.phase is Phase.STARTED
    assert record == await registry.get("p")


@EITHER
async def test_a_start_asked_again_answers_the_same(
    registry: ProcessRegistry, client: Any, namespace: str, disposition: RecoveryDisposition
) -> None:
    """Under the same token, and changes nothing."""
    await registry.register(work("p", disposition))
    lease = await held(registry, "p", ADA)
    record = await registry.start(lease)
    before = await keyspace(client, namespace)

    assert await registry.start(lease) == record
    assert await keyspace(client, namespace) == before


@EITHER
async def test_what_a_batch_claim_started_is_answered_as_started(
    registry: ProcessRegistry, disposition: RecoveryDisposition
) -> None:
    """The start that came with the claim is that token's own."""
    await registry.register(work("p", disposition))
    lease = await begun(registry, "p", ADA)

    assert (await registry.start(lease)).phase is Phase.STARTED


@EITHER
async def test_a_start_under_a_lapsed_lease_is_refused(
    registry: ProcessRegistry, server: ServerTime, disposition: RecoveryDisposition
) -> None:
    """Nothing has started, and the row still binds nobody."""
    await registry.register(work("p", disposition))
    lease = await server.end(registry, await held(registry, "p", ADA))

    with pytest.raises(LeaseLost) as refusal:
        await registry.start(lease)
    assert refusal.value.lease == lease
    record = await record_of(registry, "p")
    assert record.first_started is None


@pytest.mark.parametrize("change", [{"token": "another"}, {"fencing_token": 1}, {"owner": BOB}])
async def test_a_start_needs_owner_token_and_fence(registry: ProcessRegistry, change: dict[str, Any]) -> None:
    """Each of the three must be the lease's."""
    await registry.register(work("p", OWNER_BOUND))
    lease = await held(registry, "p", ADA)

    with pytest.raises(LeaseLost):
        await registry.start(msgspec.structs.replace(lease, **change))
    record = await record_of(registry, "p")
    assert (record.first_started, record.phase) == (None, Phase.HELD)


async def test_a_start_after_a_release_is_refused(registry: ProcessRegistry) -> None:
    """User code never runs after a release for that token was sent."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)
    await registry.release(lease)

    with pytest.raises(LeaseLost):
        await registry.start(lease)


async def test_a_start_of_a_superseded_lease_is_refused(registry: ProcessRegistry, server: ServerTime) -> None:
    """The newer holder is not disturbed."""
    await registry.register(work())
    old = await server.end(registry, await held(registry, "p", ADA))
    new = await held(registry, "p", BOB)

    with pytest.raises(LeaseLost):
        await registry.start(old)
    assert await registry.lease("p") == new


async def test_a_second_attempt_keeps_the_first_start(registry: ProcessRegistry, server: ServerTime) -> None:
    """On rerunnable work each attempt starts anew; the record keeps the first."""
    await registry.register(work())
    await begun_and_lapsed(registry, server, "p", ADA)
    first = await record_of(registry, "p")
    lease = await held(registry, "p", BOB)

    record = await registry.start(lease)

    assert record.first_started == first.first_started
    assert (record.phase, record.losses) == (Phase.STARTED, 1)
    assert await registry.start(lease) == record


async def test_a_starter_that_claims_again_starts_under_its_token(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """It continues its one attempt: the replay of its start, under a new fence."""
    await registry.register(work("p", OWNER_BOUND))
    await begun_and_lapsed(registry, server, "p", ADA)
    started = await record_of(registry, "p")
    again = await held(registry, "p", ADA)

    assert (await registry.start(again)).first_started == started.first_started


async def test_owner_bound_work_that_another_started_names_the_starter(registry: ProcessRegistry) -> None:
    """Whoever holds it."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.record_first_started("p", ProcessStarted(BOB, 7))
    lease = await held(registry, "p", ADA)

    with pytest.raises(AlreadyStarted) as refusal:
        await registry.start(lease)
    assert refusal.value.starter == BOB


async def test_the_starter_recorded_unleased_may_not_start_under_a_lease(registry: ProcessRegistry) -> None:
    """Its one start was recorded: a second token never runs it."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.record_first_started("p", ProcessStarted(ADA, 7))

    with pytest.raises(AlreadyStarted):
        await registry.start(await held(registry, "p", ADA))


async def test_rerunnable_work_recorded_unleased_starts_under_a_lease(registry: ProcessRegistry) -> None:
    """It runs again wherever it is claimed."""
    await registry.register(work())
    await registry.record_first_started("p", ProcessStarted(BOB, 7))

    record = await registry.start(await held(registry, "p", ADA))

    assert (record.first_started, record.phase) == (ProcessStarted(BOB, 7), Phase.STARTED)


async def test_the_own_start_is_answered_on_a_terminal_row(registry: ProcessRegistry) -> None:
    """A call that finds its own effect answers the record; any other token is refused."""
    await registry.register(work())
    lease = await begun(registry, "p", ADA)
    ended = await registry.complete(lease, Success(1))

    assert await registry.start(lease) == ended
    with pytest.raises(AlreadyTerminal):
        await registry.start(msgspec.structs.replace(lease, token="another"))


async def test_the_own_start_is_answered_under_anothers_lease(registry: ProcessRegistry, server: ServerTime) -> None:
    """What was recorded was recorded; the lease that it had is lost all the same."""
    await registry.register(work())
    lease = await begun_and_lapsed(registry, server, "p", ADA)
    newer = await held(registry, "p", BOB)

    record = await registry.start(lease)

    assert record.first_started is not None
    assert record.first_started.owner == ADA
    assert await registry.lease("p") == newer
    with pytest.raises(LeaseLost):
        await registry.renew(lease, LONG_MS)


async def test_unknown_is_said_first(registry: ProcessRegistry) -> None:
    """What was pruned cannot be started."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)

    with pytest.raises(UnknownProcess):
        await registry.start(msgspec.structs.replace(lease, process_id="nobody"))


async def test_who_started_first_is_known_whatever_becomes_of_the_lease(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """While the lease is there the row says it once; when it is given back or replaced, it is written out."""
    names, leases = ("released", "uncertain", "replaced"), {}
    for id_ in names:
        await registry.register(work(id_, OWNER_BOUND if id_ == "uncertain" else RERUNNABLE))
        leases[id_] = await begun(registry, id_, ADA)
    leases["replaced"] = await server.end(registry, leases["replaced"])
    before = {id_: await row_of(registry, id_) for id_ in names}
    await registry.release_many([leases["released"], leases["uncertain"]])
    await held(registry, "replaced", BOB)

    for id_ in names:
        then, now = before[id_], await row_of(registry, id_)
        assert (then.starter, then.start_token) == (now.starter, now.start_token) == (ADA, leases[id_].token)
        assert then.record().first_started == now.record().first_started
        assert then.lease() == leases[id_]
        assert now.holder == (BOB if id_ == "replaced" else None)

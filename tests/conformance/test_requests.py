"""request_cancel and request_abandon: first writer wins, and what each settles at once."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import AlreadyTerminal, NothingToAbandon, UnknownProcess
from lash_redis.core.model import Phase, ProcessStarted, ProcessStatus, RecoveryDisposition
from lash_redis.core.outcomes import Cancelled, Success
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    begun,
    begun_and_lapsed,
    cancel,
    held,
    outside,
    settled,
    work,
)
from tests.conftest import ServerTime
from tests.look import lease_of, record_of
from tests.soundness import keyspace

EITHER = pytest.mark.parametrize("disposition", [RERUNNABLE, OWNER_BOUND])


@EITHER
async def test_a_cancel_of_queued_work_settles_it_at_once(
    registry: ProcessRegistry, disposition: RecoveryDisposition
) -> None:
    """Nobody holds it: cancelled, for the reason given, in the same step."""
    await registry.register(work("p", disposition))

    record = await registry.request_cancel("p", cancel(reason="changed my mind"))

    assert (record.status, record.phase) == (ProcessStatus.CANCELLED, None)
    assert record.outcome == Cancelled("changed my mind")
    assert record.cancel_request == cancel(reason="changed my mind")
    assert record == await registry.get("p")


async def test_a_cancel_without_a_reason_is_one(registry: ProcessRegistry) -> None:
    """A reason is welcome and not required."""
    await registry.register(work())

    assert (await registry.request_cancel("p", cancel(reason=None))).outcome == Cancelled(None)


async def test_a_cancel_of_lapsed_rerunnable_work_settles_it_at_once(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """A lapsed lease holds nobody back."""
    await registry.register(work())
    await begun_and_lapsed(registry, server, "p", ADA)

    assert (await registry.request_cancel("p", cancel())).status is ProcessStatus.CANCELLED


@EITHER
async def test_a_cancel_of_held_work_waits_for_its_holder(
    registry: ProcessRegistry, disposition: RecoveryDisposition
) -> None:
    """It is recorded; the holder goes on until it hears of it."""
    await registry.register(work("p", disposition))
    lease = await begun(registry, "p", ADA)

    record = await registry.request_cancel("p", cancel())

    assert (record.phase, record.cancel_request, record.is_terminal) == (Phase.STARTED, cancel(), False)
    assert await registry.lease("p") == lease


async def test_a_cancel_does_not_settle_uncertain_work(registry: ProcessRegistry) -> None:
    """Line 9: started owner-bound work that nobody holds stays uncertain."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.release(await begun(registry, "p", ADA))

    record = await registry.request_cancel("p", cancel())

    assert (record.phase, record.cancel_request) == (Phase.UNCERTAIN, cancel())


async def test_a_cancel_settles_rerunnable_work_that_was_recorded_started_elsewhere(registry: ProcessRegistry) -> None:
    """It is queued, and line 10 applies to it."""
    await registry.register(work())
    await registry.record_first_started("p", ProcessStarted(ADA, 1))

    assert (await registry.request_cancel("p", cancel())).status is ProcessStatus.CANCELLED


@pytest.mark.parametrize("state", ["held", "lapsed", "uncertain", "outside"])
async def test_an_abandon_request_is_recorded_and_settles_nothing(
    registry: ProcessRegistry, server: ServerTime, state: str
) -> None:
    """A sweep acts on it, never this call."""
    await registry.register(outside() if state == "outside" else work("p", OWNER_BOUND))
    match state:
        case "held":
            await begun(registry, "p", ADA)
        case "lapsed":
            await begun_and_lapsed(registry, server, "p", ADA)
        case "uncertain":
            await registry.release(await begun(registry, "p", ADA))
    before = await record_of(registry, "p")

    record = await registry.request_abandon("p", abandon())

    assert (record.abandon_request, record.is_terminal, record.phase) == (abandon(), False, before.phase)
    assert sum([(await registry.counts(number)).asked for number in range(registry.partitions)]) == 1


async def test_nothing_is_to_abandon_in_rerunnable_work(registry: ProcessRegistry) -> None:
    """Queued, held or begun: it can be cancelled and run again."""
    await registry.register(work())
    for _ in range(2):
        with pytest.raises(NothingToAbandon, match="cancel it instead"):
            await registry.request_abandon("p", abandon())
        await begun(registry, "p", ADA)
        with pytest.raises(NothingToAbandon):
            await registry.request_abandon("p", abandon())
        lease = await lease_of(registry, "p")
        await registry.release(lease)


async def test_nothing_is_to_abandon_in_work_that_never_started(registry: ProcessRegistry) -> None:
    """Owner-bound work binds at its first start, even while somebody holds it."""
    await registry.register(work("p", OWNER_BOUND))
    with pytest.raises(NothingToAbandon):
        await registry.request_abandon("p", abandon())
    await held(registry, "p", ADA)
    with pytest.raises(NothingToAbandon):
        await registry.request_abandon("p", abandon())
    record = await record_of(registry, "p")
    assert record.abandon_request is None


@pytest.mark.parametrize("kind", ["cancel", "abandon"])
async def test_the_first_request_stands(registry: ProcessRegistry, client: Any, namespace: str, kind: str) -> None:
    """Who, when and why never change, and nothing else does by asking again."""
    await registry.register(work("p", OWNER_BOUND))
    await begun(registry, "p", ADA)
    ask = {"cancel": registry.request_cancel, "abandon": registry.request_abandon}[kind]
    make = {"cancel": cancel, "abandon": abandon}[kind]
    first = await ask("p", make("ops", 1, "one"))  # type: ignore[operator]
    before = await keyspace(client, namespace)

    for other in (make("ops", 1, "one"), make("ops", 2, "one"), make("else", 1, "one"), make("ops", 1, "two")):
        assert await ask("p", other) == first  # type: ignore[operator]
    assert await keyspace(client, namespace) == before


async def test_both_requests_may_stand(registry: ProcessRegistry) -> None:
    """Each is a word of its own."""
    await registry.register(work("p", OWNER_BOUND))
    await begun(registry, "p", ADA)
    await registry.request_cancel("p", cancel())

    record = await registry.request_abandon("p", abandon("someone else"))

    assert (record.cancel_request, record.abandon_request) == (cancel(), abandon("someone else"))


async def test_the_same_request_is_answered_on_a_terminal_row(registry: ProcessRegistry) -> None:
    """It finds its own effect; another request is refused."""
    await registry.register(work())
    cancelled = await registry.request_cancel("p", cancel())
    await registry.register(work("q", OWNER_BOUND))
    lease = await begun(registry, "q", ADA)
    await registry.request_abandon("q", abandon())
    ended = await registry.complete(lease, Success())

    assert await registry.request_cancel("p", cancel()) == cancelled
    assert await registry.request_abandon("q", abandon()) == ended
    with pytest.raises(AlreadyTerminal):
        await registry.request_cancel("p", cancel("another"))
    with pytest.raises(AlreadyTerminal):
        await registry.request_abandon("q", abandon("another"))


@pytest.mark.parametrize("kind", ["cancel", "abandon"])
async def test_unknown_and_terminal_are_said_first(registry: ProcessRegistry, kind: str) -> None:
    """Before *nothing to abandon*."""
    await registry.register(work())
    await registry.complete(await begun(registry, "p", ADA), Success())

    async def ask(process_id: str) -> None:
        if kind == "cancel":
            await registry.request_cancel(process_id, cancel())
        else:
            await registry.request_abandon(process_id, abandon())

    with pytest.raises(UnknownProcess):
        await ask("nobody")
    with pytest.raises(AlreadyTerminal):
        await ask("p")


async def test_a_request_survives_what_happens_to_the_row(registry: ProcessRegistry, server: ServerTime) -> None:
    """Lapse, uncertainty and the starter's return leave it on the record."""
    await registry.register(work("p", OWNER_BOUND))
    await begun_and_lapsed(registry, server, "p", ADA)
    await registry.request_abandon("p", abandon())
    assert await settled(registry, "p", "uncertain")
    lease = await held(registry, "p", ADA)

    record = await registry.complete(lease, Success(1))

    assert (record.abandon_request, record.outcome) == (abandon(), Success(1))
    assert sum([(await registry.counts(number)).asked for number in range(registry.partitions)]) == 0


async def test_a_cancel_takes_queued_work_out_of_its_lane(registry: ProcessRegistry) -> None:
    """No claim meets it again."""
    await registry.register_many([work("p"), work("p::next")])
    await registry.request_cancel("p", cancel())

    assert (await begun(registry, "p::next", BOB)).process_id == "p::next"

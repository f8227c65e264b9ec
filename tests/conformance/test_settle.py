"""settle: a verdict is carried out without a lease, if the facts that it saw still stand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, get_args

import pytest

from lash_redis.core.errors import SettingsError
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Phase, ProcessStarted, ProcessStatus, RecoveryDisposition
from lash_redis.core.outcomes import Abandoned, AbandonEvidence, AbandonWriter, Cancelled, Success
from lash_redis.registry.answers import SettleAction, Settlement
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    abandoned,
    batch_claim,
    begun,
    begun_and_lapsed,
    cancel,
    dead_owner,
    held,
    outside,
    settled,
    work,
)
from tests.conftest import ServerTime
from tests.look import lease_of, record_of, row_of
from tests.soundness import keyspace


async def test_a_dead_starters_work_is_abandoned_naming_it(registry: ProcessRegistry, server: ServerTime) -> None:
    """Line 6, under a live lease too: the fact carries the owner whole, and the server's time."""
    dead = dead_owner()
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun(registry, "p", dead)
    evidence = AbandonEvidence(AbandonWriter.SWEEP, dead, 0, "replaced", "another start time")

    assert await settled(registry, "p", "fact", Abandoned(evidence), even_if_live=True)

    record = await record_of(registry, "p")
    assert isinstance(record.outcome, Abandoned)
    written = record.outcome.evidence
    assert (written.writer, written.owner, written.proof, written.detail) == (
        AbandonWriter.SWEEP, dead, "replaced", "another start time",
    )  # fmt: skip
    assert written.epoch_ms == record.ended_at_ms
    assert lease.claimed_at_ms <= written.epoch_ms <= await server.now_ms()
    assert record.status is ProcessStatus.ABANDONED
    assert await registry.lease("p") is None


async def test_a_fact_raises_the_fence(registry: ProcessRegistry) -> None:
    """Nothing that was granted before can pass for the writer."""
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun(registry, "p", ADA)

    assert await settled(registry, "p", "fact", abandoned(AbandonWriter.OWNER_DRAIN, ADA), even_if_live=True)

    assert (await row_of(registry, "p")).fence > lease.fencing_token


async def test_a_live_lease_is_a_difference(registry: ProcessRegistry) -> None:
    """Unless the verdict rests on a dead or own holder: a clock that stepped back revives one."""
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun(registry, "p", ADA)

    assert not await settled(registry, "p", "fact", abandoned(AbandonWriter.RECONCILED_REQUEST, ADA))
    assert not await settled(registry, "p", "uncertain")
    assert await registry.lease("p") == lease


async def test_a_lease_that_a_clock_revived_is_a_difference(registry: ProcessRegistry, backend: Any) -> None:
    """What was lapsed when it was read lives again: nothing happens."""
    if not backend.is_fake:
        pytest.skip("only a fake server's clock can be set back")
    await registry.register(work())
    lease = await begun(registry, "p", ADA, 1_000)
    backend.clock.advance(1_000)
    row = await row_of(registry, "p")
    assert not row.is_live
    backend.clock.advance(-500)

    assert await registry.settle_many([Settlement(row, "queue")]) == [False]
    assert await registry.lease("p") == lease


async def test_lapsed_begun_work_is_put_back_with_a_loss(registry: ProcessRegistry, server: ServerTime) -> None:
    """Line 14: into its lane, at its place, to run through the ordinary claim."""
    await registry.register(work())
    await begun_and_lapsed(registry, server, "p", ADA)

    assert await settled(registry, "p", "queue")

    record = await record_of(registry, "p")
    assert (record.phase, record.losses, record.lease_lapsed) == (Phase.QUEUED, 1, False)
    assert (await begun(registry, "p", BOB)).owner == BOB


async def test_lapsed_held_work_is_put_back_without_a_loss(registry: ProcessRegistry, server: ServerTime) -> None:
    """Nothing had begun."""
    await registry.register(work("p", OWNER_BOUND))
    await server.end(registry, await held(registry, "p", ADA))

    assert await settled(registry, "p", "queue")

    record = await record_of(registry, "p")
    assert (record.phase, record.losses) == (Phase.QUEUED, 0)


async def test_a_loss_is_counted_once_for_its_token(registry: ProcessRegistry, server: ServerTime) -> None:
    """Of the sweep and a claim that saw the same lapse, one counts it."""
    await registry.register(work())
    await begun_and_lapsed(registry, server, "p", ADA)
    row = await row_of(registry, "p")
    lease = await held(registry, "p", BOB)

    assert await registry.settle_many([Settlement(row, "queue")]) == [False]
    await server.end(registry, lease)
    assert await settled(registry, "p", "queue")

    record = await record_of(registry, "p")
    assert record.losses == 1


async def test_what_stands_in_its_lane_stays_there(registry: ProcessRegistry) -> None:
    """Put back once more it is not lost, and not doubled."""
    registered = await registry.register(work())

    assert await settled(registry, "p", "queue")
    assert await registry.get("p") == registered


async def test_lapsed_started_owner_bound_work_becomes_uncertain(registry: ProcessRegistry, server: ServerTime) -> None:
    """Line 9: elapsed time alone never terminalizes; its place says what is known."""
    await registry.register(work("p", OWNER_BOUND))
    await begun_and_lapsed(registry, server, "p", ADA)
    row = await row_of(registry, "p")
    assert (row.phase, row.record().lease_lapsed) == (Phase.STARTED, True)

    for _ in range(3):
        assert await settled(registry, "p", "uncertain")
        record = await record_of(registry, "p")
        assert (record.phase, record.is_terminal, record.lease_lapsed) == (Phase.UNCERTAIN, False, False)
        assert record.first_started is not None
        assert record.first_started.owner == ADA


async def test_uncertain_work_is_abandoned_on_request(registry: ProcessRegistry) -> None:
    """Line 8: the request licenses it, and the starter is named."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.release(await begun(registry, "p", ADA))
    await registry.request_abandon("p", abandon())

    assert await settled(registry, "p", "fact", abandoned(AbandonWriter.RECONCILED_REQUEST, ADA))

    record = await record_of(registry, "p")
    assert isinstance(record.outcome, Abandoned)
    assert record.outcome.evidence.owner == ADA
    assert record.abandon_request == abandon()


async def test_externally_owned_work_is_abandoned_on_request_without_an_owner(registry: ProcessRegistry) -> None:
    """Line 2."""
    await registry.register(outside())
    await registry.request_abandon("p", abandon())

    assert await settled(registry, "p", "fact", abandoned(AbandonWriter.RECONCILED_REQUEST, None))

    record = await record_of(registry, "p")
    assert isinstance(record.outcome, Abandoned)
    assert (record.outcome.evidence.writer, record.outcome.evidence.owner) == (AbandonWriter.RECONCILED_REQUEST, None)


async def test_the_loss_limit_is_written_naming_the_last_holder(registry: ProcessRegistry, server: ServerTime) -> None:
    """Line 11."""
    await registry.register(work("p", RERUNNABLE, loss_limit=1))
    await begun_and_lapsed(registry, server, "p", ADA)

    assert await settled(registry, "p", "fact", abandoned(AbandonWriter.LOSS_LIMIT, ADA, "loss_limit"))

    record = await record_of(registry, "p")
    assert isinstance(record.outcome, Abandoned)
    assert record.outcome.evidence.owner == ADA


async def test_a_cancel_that_came_while_it_was_held_is_settled_after_the_lapse(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """Line 10: cancelled, for the reason that the request gives."""
    await registry.register(work())
    lease = await begun(registry, "p", ADA)
    await registry.request_cancel("p", cancel(reason="late"))
    await server.end(registry, lease)

    assert await settled(registry, "p", "fact", Cancelled())

    record = await record_of(registry, "p")
    assert (record.status, record.outcome) == (ProcessStatus.CANCELLED, Cancelled("late"))


async def test_a_settle_whose_fact_stands_is_answered_as_done(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """Sent again it changes nothing; another fact is a difference."""
    await registry.register(work("p", OWNER_BOUND))
    await begun(registry, "p", ADA)
    row = await row_of(registry, "p")
    mine = Settlement(row, "fact", abandoned(AbandonWriter.OWNER_DRAIN, ADA, "ended_here"), even_if_live=True)
    assert await registry.settle_many([mine]) == [True]
    before = await keyspace(client, namespace)

    assert await registry.settle_many([mine]) == [True]
    other = Settlement(row, "fact", abandoned(AbandonWriter.SWEEP, ADA, "gone"), even_if_live=True)
    assert await registry.settle_many([other]) == [False]
    assert await registry.settle_many([Settlement(row, "queue", even_if_live=True)]) == [False]
    assert await keyspace(client, namespace) == before


async def test_what_was_cancelled_meanwhile_is_not_put_back(registry: ProcessRegistry, server: ServerTime) -> None:
    """Only a fact can be found to stand already."""
    await registry.register(work())
    await begun_and_lapsed(registry, server, "p", ADA)
    row = await row_of(registry, "p")
    await registry.request_cancel("p", cancel())

    assert await registry.settle_many([Settlement(row, "queue")]) == [False]


async def test_a_settle_of_what_is_gone_is_a_difference(registry: ProcessRegistry, server: ServerTime) -> None:
    """Pruned between the read and the write."""
    await registry.register(work())
    await registry.request_cancel("p", cancel())
    row = await row_of(registry, "p")
    await server.pass_until(row.now_ms + 2)
    await registry.prune(await server.now_ms())

    assert await registry.settle_many([Settlement(row, "fact", Cancelled())]) == [False]


Change = Callable[[ProcessRegistry, LeaseOwner], Awaitable[object]]


async def _released(registry: ProcessRegistry, owner: LeaseOwner) -> None:
    row = await row_of(registry, "p")
    lease = row.lease()
    assert lease is not None
    await registry.release(lease)


async def _claimed(registry: ProcessRegistry, owner: LeaseOwner) -> None:
    await registry.claim("p", BOB, LONG_MS)


async def _claimed_again(registry: ProcessRegistry, owner: LeaseOwner) -> None:
    await registry.claim("p", owner, LONG_MS)


async def _completed(registry: ProcessRegistry, owner: LeaseOwner) -> None:
    await _claimed_again(registry, owner)
    lease = await lease_of(registry, "p")
    if not (await row_of(registry, "p")).has_begun:
        await registry.start(lease)
    await registry.complete(lease, Success())


async def _asked_to_stop(registry: ProcessRegistry, owner: LeaseOwner) -> None:
    await registry.request_cancel("p", cancel())


async def _asked_to_abandon(registry: ProcessRegistry, owner: LeaseOwner) -> None:
    await registry.request_abandon("p", abandon())


async def _recorded(registry: ProcessRegistry, owner: LeaseOwner) -> None:
    await registry.record_first_started("p", ProcessStarted(BOB, 1))


Between = tuple[RecoveryDisposition, bool, Change]

# What stood when it was read (and whether it had begun), and what came between the read and the settle.
BETWEEN: list[Between] = [
    (RERUNNABLE, True, _released),
    (RERUNNABLE, True, _claimed),
    (RERUNNABLE, True, _claimed_again),
    (RERUNNABLE, True, _completed),
    (RERUNNABLE, True, _asked_to_stop),
    (RERUNNABLE, False, _recorded),
    (OWNER_BOUND, True, _released),
    (OWNER_BOUND, True, _claimed_again),
    (OWNER_BOUND, True, _completed),
    (OWNER_BOUND, True, _asked_to_stop),
    (OWNER_BOUND, True, _asked_to_abandon),
    (OWNER_BOUND, False, _recorded),
    (OWNER_BOUND, False, _claimed),
]


@pytest.mark.parametrize("between", BETWEEN, ids=[f"{d.value}-{s}{c.__name__}" for d, s, c in BETWEEN])
async def test_any_fact_that_changed_between_stops_the_settle(
    registry: ProcessRegistry, server: ServerTime, client: Any, namespace: str, between: Between
) -> None:
    """It compares holder, token, fence, start, requests, losses and place: of any difference nothing happens."""
    disposition, starts, change = between
    await registry.register(work("p", disposition))
    lease = await (begun if starts else held)(registry, "p", ADA)
    await server.end(registry, lease)
    row = await row_of(registry, "p")
    await change(registry, ADA)
    before = await keyspace(client, namespace)

    for action in get_args(SettleAction):
        settlement = Settlement(row, action, abandoned(AbandonWriter.SWEEP, ADA, "gone"), even_if_live=True)
        assert await registry.settle_many([settlement]) == [False]
    assert await keyspace(client, namespace) == before


FIELDS = ["ho", "tk", "fe", "fs", "fa", "ft", "st", "lo", "lt", "ar", "cr", "ph"]


@pytest.mark.parametrize("field", FIELDS)
async def test_each_observed_fact_is_compared_by_itself(
    registry: ProcessRegistry, client: Any, namespace: str, field: str
) -> None:
    """One fact read otherwise, and nothing happens; the expiry is no such fact."""
    await registry.register(work("p", OWNER_BOUND))
    await begun(registry, "p", ADA)
    row, before = await row_of(registry, "p"), await keyspace(client, namespace)
    row.fields[b"ex"] = b"1"
    row.fields[field.encode()] = row.fields.get(field.encode(), b"") + b"0"

    outcome = abandoned(AbandonWriter.SWEEP, ADA, "gone")
    assert await registry.settle_many([Settlement(row, "fact", outcome, even_if_live=True)]) == [False]
    assert await keyspace(client, namespace) == before
    row.fields[field.encode()] = row.fields[field.encode()][:-1]
    assert await registry.settle_many([Settlement(row, "fact", outcome, even_if_live=True)]) == [True]


async def test_many_are_settled_each_by_its_own_facts(registry: ProcessRegistry) -> None:
    """More than a script may touch go in batches; a difference in one leaves the others."""
    ids = [f"p{number}" for number in range(230)]
    await registry.register_many([work(id_, OWNER_BOUND) for id_ in ids])
    for partition in range(registry.partitions):
        await registry.claim_next(batch_claim(registry, ADA, count=500, partition=partition))
    rows = [row for row in await registry.rows(ids) if row]
    await registry.request_cancel(ids[7], cancel())

    outcome = abandoned(AbandonWriter.OWNER_DRAIN, ADA, "ended_here")
    answers = await registry.settle_many([Settlement(row, "fact", outcome, even_if_live=True) for row in rows])

    assert answers == [id_ != ids[7] for id_ in ids]


async def test_a_lane_that_one_row_leaves_and_another_enters_stays_listed(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """In one batch: the claim still finds what was put back."""
    await registry.register(work("p"))
    await begun_and_lapsed(registry, server, "p", ADA)
    await registry.register(work("p::waits"))
    ended = Settlement(await row_of(registry, "p::waits"), "fact", abandoned(AbandonWriter.LOSS_LIMIT, ADA))

    assert await registry.settle_many([Settlement(await row_of(registry, "p"), "queue"), ended]) == [True, True]
    assert (await begun(registry, "p", BOB)).owner == BOB


async def test_one_process_twice_in_a_batch_is_refused(registry: ProcessRegistry) -> None:
    """Ids are distinct within a batch."""
    await registry.register(work("p", OWNER_BOUND))
    await begun(registry, "p", ADA)
    row = await row_of(registry, "p")
    both = [Settlement(row, "fact", abandoned(writer, ADA), even_if_live=True) for writer in AbandonWriter][:2]

    with pytest.raises(SettingsError, match="'p' twice"):
        await registry.settle_many(both)
    assert not (await row_of(registry, "p")).is_terminal

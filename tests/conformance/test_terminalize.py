"""complete, terminalize_many: the one and only terminal fact, under its lease."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lash_redis.core.errors import AlreadyTerminal, AuthorityRejected, LeaseLost, SettingsError, UnknownProcess
from lash_redis.core.model import ProcessLease, ProcessStarted, ProcessStatus, RecoveryDisposition
from lash_redis.core.outcomes import AbandonWriter, Cancelled, Failure, Outcome, Success
from lash_redis.registry.answers import TerminalFact
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    EXTERNALLY_OWNED,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    abandoned,
    begun,
    begun_and_lapsed,
    cancel,
    held,
    outside,
    settled,
    work,
)
from tests.conftest import ServerTime
from tests.look import record_of
from tests.soundness import keyspace


def fact(registry: ProcessRegistry, lease: ProcessLease, outcome: Outcome) -> TerminalFact:
    """Return one fact of a batch, its outcome encoded."""
    return TerminalFact(lease, *registry.encoded(outcome))


EITHER = pytest.mark.parametrize("disposition", [RERUNNABLE, OWNER_BOUND])
ENDINGS = [
    (Success({"rows": [1, 2]}), ProcessStatus.COMPLETED),
    (Success(), ProcessStatus.COMPLETED),
    (Failure("ValueError", "no", "line 1"), ProcessStatus.FAILED),
]


@EITHER
@pytest.mark.parametrize("ending", ENDINGS, ids=["success", "nothing", "failure"])
async def test_the_holder_writes_what_became_of_its_work(
    registry: ProcessRegistry,
    server: ServerTime,
    disposition: RecoveryDisposition,
    ending: tuple[Outcome, ProcessStatus],
) -> None:
    """Fact, time and the end of the lease are one step."""
    outcome, status = ending
    await registry.register(work("p", disposition))
    lease = await begun(registry, "p", ADA)

    record = await registry.complete(lease, outcome)

    assert (record.status, record.outcome, record.phase) == (status, outcome, None)
    assert record.is_terminal
    assert lease.claimed_at_ms <= (record.ended_at_ms or 0) <= await server.now_ms()
    assert await registry.lease("p") is None
    assert record == await registry.get("p")


async def test_the_holder_of_rerunnable_work_may_end_it_unstarted(registry: ProcessRegistry) -> None:
    """Completed and failed need no start on rerunnable work."""
    await registry.register_many([work("a"), work("b")])

    assert (await registry.complete(await held(registry, "a", ADA), Success(1))).status is ProcessStatus.COMPLETED
    assert (await registry.complete(await held(registry, "b", ADA), Failure("X"))).status is ProcessStatus.FAILED


@pytest.mark.parametrize("outcome", [Success(), Failure("X"), Cancelled()])
async def test_owner_bound_work_that_nobody_started_has_no_result(registry: ProcessRegistry, outcome: Outcome) -> None:
    """A lease is not a right to any fact."""
    await registry.register(work("p", OWNER_BOUND))
    lease = await held(registry, "p", ADA)

    with pytest.raises(AuthorityRejected, match=r"only the owner that started|it ends as cancelled only if"):
        await registry.complete(lease, outcome)
    assert await registry.lease("p") == lease


@pytest.mark.parametrize("outcome", [Success(), Failure("X"), Cancelled()])
async def test_only_the_starter_knows_the_result_of_owner_bound_work(
    registry: ProcessRegistry, outcome: Outcome
) -> None:
    """Another holder of work that was recorded started elsewhere may write nothing."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.record_first_started("p", ProcessStarted(BOB, 1))
    await registry.request_cancel("p", cancel())
    lease = await held(registry, "p", ADA)

    with pytest.raises(AuthorityRejected, match=r"only the owner that started|it ends as cancelled only if"):
        await registry.complete(lease, outcome)


async def test_the_starter_recorded_unleased_writes_under_a_lease(registry: ProcessRegistry) -> None:
    """It is the starter, so the result is its to tell."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.record_first_started("p", ProcessStarted(ADA, 1))

    record = await registry.complete(await held(registry, "p", ADA), Success(5))

    assert record.outcome == Success(5)


@EITHER
async def test_abandoned_is_never_written_under_a_lease(
    registry: ProcessRegistry, disposition: RecoveryDisposition
) -> None:
    """Settling alone writes it."""
    await registry.register(work("p", disposition))
    lease = await begun(registry, "p", ADA)
    outcome = abandoned(AbandonWriter.OWNER_DRAIN, ADA)

    with pytest.raises(AuthorityRejected, match="only recovery writes that it was abandoned"):
        await registry.complete(lease, outcome)
    assert await registry.terminalize_many([fact(registry, lease, outcome)]) == ["AUTHORITY"]
    assert await registry.lease("p") == lease


@EITHER
async def test_cancelled_needs_a_request(registry: ProcessRegistry, disposition: RecoveryDisposition) -> None:
    """Nobody asked for a stop, so nobody may say that it was stopped."""
    await registry.register(work("p", disposition))

    with pytest.raises(AuthorityRejected):
        await registry.complete(await begun(registry, "p", ADA), Cancelled("bored"))


@EITHER
async def test_the_holder_writes_cancelled_once_a_stop_was_asked_for(
    registry: ProcessRegistry, disposition: RecoveryDisposition
) -> None:
    """On started work with a cancel request."""
    await registry.register(work("p", disposition))
    lease = await begun(registry, "p", ADA)
    await registry.request_cancel("p", cancel())

    record = await registry.complete(lease, Cancelled("stopped"))

    assert (record.status, record.outcome) == (ProcessStatus.CANCELLED, Cancelled("stopped"))


async def test_an_abandon_request_licenses_cancelled_too(registry: ProcessRegistry) -> None:
    """It reaches the holder as a cancel."""
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun(registry, "p", ADA)
    await registry.request_abandon("p", abandon())

    assert (await registry.complete(lease, Cancelled())).status is ProcessStatus.CANCELLED


async def test_held_and_not_started_is_not_cancelled_by_its_holder(registry: ProcessRegistry) -> None:
    """It is released, and the release cancels it."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)
    await registry.request_cancel("p", cancel())

    with pytest.raises(AuthorityRejected):
        await registry.complete(lease, Cancelled())


@EITHER
async def test_a_cancel_request_does_not_forbid_a_result(
    registry: ProcessRegistry, disposition: RecoveryDisposition
) -> None:
    """It was asked to stop, and returned all the same: completed."""
    await registry.register(work("p", disposition))
    lease = await begun(registry, "p", ADA)
    await registry.request_cancel("p", cancel())

    assert (await registry.complete(lease, Success(1))).status is ProcessStatus.COMPLETED


@EITHER
async def test_a_lapsed_lease_writes_nothing(
    registry: ProcessRegistry, server: ServerTime, disposition: RecoveryDisposition
) -> None:
    """Expiry is checked in the same step as the write."""
    await registry.register(work("p", disposition))
    lease = await begun_and_lapsed(registry, server, "p", ADA)

    with pytest.raises(LeaseLost) as refusal:
        await registry.complete(lease, Success())
    assert refusal.value.lease == lease
    record = await record_of(registry, "p")
    assert not record.is_terminal


async def test_a_superseded_lease_writes_nothing(registry: ProcessRegistry, server: ServerTime) -> None:
    """The successor is the single writer."""
    await registry.register(work())
    old = await begun_and_lapsed(registry, server, "p", ADA)
    new = await held(registry, "p", BOB)

    with pytest.raises(LeaseLost):
        await registry.complete(old, Success("old"))
    assert (await registry.complete(new, Success("new"))).outcome == Success("new")


async def test_a_write_under_the_old_fence_is_refused(registry: ProcessRegistry, server: ServerTime) -> None:
    """The starter that claimed again writes under its new fence, although the token is the same."""
    await registry.register(work("p", OWNER_BOUND))
    old = await begun_and_lapsed(registry, server, "p", ADA)
    new = await held(registry, "p", ADA)
    assert new.token == old.token

    with pytest.raises(LeaseLost):
        await registry.complete(old, Success())
    assert (await registry.complete(new, Success(1))).outcome == Success(1)


@pytest.mark.parametrize(
    "change", [{"token": "another"}, {"fencing_token": 1}, {"owner": BOB}], ids=["token", "fence", "owner"]
)
async def test_a_write_needs_owner_token_and_fence(registry: ProcessRegistry, change: dict[str, Any]) -> None:
    """Each of the three must be the lease's."""
    await registry.register(work())
    lease = await begun(registry, "p", ADA)

    with pytest.raises(LeaseLost):
        await registry.complete(msgspec.structs.replace(lease, **change), Success())
    assert await registry.lease("p") == lease


@pytest.mark.parametrize(("outcome", "status"), [*ENDINGS, (Success("x" * 500), ProcessStatus.COMPLETED)])
async def test_the_same_completion_again_answers_the_record(
    registry: ProcessRegistry, client: Any, namespace: str, outcome: Outcome, status: ProcessStatus
) -> None:
    """After a lost reply it finds its own effect and changes nothing."""
    await registry.register(work())
    lease = await begun(registry, "p", ADA)
    record = await registry.complete(lease, outcome)
    before = await keyspace(client, namespace)

    assert await registry.complete(lease, outcome) == record
    assert record.status is status
    assert await keyspace(client, namespace) == before


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": Success(2)},
        {"outcome": Success("x" * 500)},
        {"outcome": Failure("X")},
        {"token": "another"},
        {"fencing_token": 1},
        {"owner": BOB},
    ],
    ids=["value", "long value", "state", "token", "fence", "owner"],
)
async def test_any_other_write_to_a_terminal_process_is_refused(
    registry: ProcessRegistry, client: Any, namespace: str, change: dict[str, Any]
) -> None:
    """State, payload, writer and time never change; the error carries the record."""
    await registry.register(work())
    lease = await begun(registry, "p", ADA)
    record = await registry.complete(lease, Success(1))
    before = await keyspace(client, namespace)
    outcome: Outcome = change.get("outcome", Success(1))
    about = msgspec.structs.replace(lease, **{name: value for name, value in change.items() if name != "outcome"})

    with pytest.raises(AlreadyTerminal) as refusal:
        await registry.complete(about, outcome)
    assert refusal.value.record == record
    assert await keyspace(client, namespace) == before


async def test_a_dead_owner_that_reappears_is_refused(registry: ProcessRegistry) -> None:
    """Its work was abandoned on proof: its completion, and its claim, leave the record as it stands."""
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun(registry, "p", ADA)
    assert await settled(registry, "p", "fact", abandoned(AbandonWriter.SWEEP, ADA, "gone"), even_if_live=True)
    record = await registry.get("p")

    with pytest.raises(AlreadyTerminal):
        await registry.complete(lease, Success())
    with pytest.raises(AlreadyTerminal):
        await registry.claim("p", ADA, LONG_MS)
    assert await registry.get("p") == record


async def test_externally_owned_work_is_not_ended_under_a_lease(registry: ProcessRegistry) -> None:
    """There is none on it, and authority is looked at before."""
    await registry.register_many([work(), outside("x")])
    lease = await begun(registry, "p", ADA)

    with pytest.raises(AuthorityRejected):
        await registry.complete(msgspec.structs.replace(lease, process_id="x"), Success())


async def test_unknown_is_said_before_terminal_before_authority_before_lease(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """A call raises the first that fails."""
    await registry.register_many([work("done"), work("bound", OWNER_BOUND, task="other")])
    done = await begun(registry, "done", ADA)
    await registry.complete(done, Success())
    unstarted = await server.end(registry, await held(registry, "bound", ADA))
    forbidden = abandoned(AbandonWriter.SWEEP, ADA)

    with pytest.raises(UnknownProcess):
        await registry.complete(msgspec.structs.replace(done, process_id="nobody"), forbidden)
    with pytest.raises(AlreadyTerminal):
        await registry.complete(done, forbidden)
    with pytest.raises(AuthorityRejected):
        await registry.complete(unstarted, Success())


@pytest.mark.parametrize("bytes_", [63, 64, 65, 66])
async def test_no_length_of_result_is_lost_between_row_and_key(registry: ProcessRegistry, bytes_: int) -> None:
    """A result reads the same on both sides of the limit of 64 bytes."""
    outcome = Success("x" * (bytes_ - len(msgspec.msgpack.encode([""])) - 1))
    await registry.register(work())

    record = await registry.complete(await begun(registry, "p", ADA), outcome)

    assert record.outcome == outcome


async def test_a_batch_answers_a_status_for_each(registry: ProcessRegistry, server: ServerTime) -> None:
    """What one of them may not write keeps nothing from the others."""
    names = ("good", "bad", "late", "done", "free")
    await registry.register_many(
        [work(name, OWNER_BOUND if name == "free" else RERUNNABLE, task=name) for name in names]
    )
    late = await server.end(registry, await held(registry, "late", ADA))
    good, bad, done, free = [await held(registry, name, ADA) for name in ("good", "bad", "done", "free")]
    await registry.complete(done, Success())
    gone = msgspec.structs.replace(good, process_id="gone")
    written: list[tuple[ProcessLease, Outcome]] = [
        (good, Success(1)), (bad, Failure("X")), (late, Success()), (done, Failure("X")), (free, Success()),
        (gone, Success()),
    ]  # fmt: skip

    answers = await registry.terminalize_many([fact(registry, *each) for each in written])

    assert answers == ["DONE", "DONE", "LOST", "TERMINAL", "AUTHORITY", "UNKNOWN"]
    assert [row.status if row else None for row in await registry.rows([*names, "gone"])] == [
        ProcessStatus.COMPLETED, ProcessStatus.FAILED, ProcessStatus.RUNNING, ProcessStatus.COMPLETED,
        ProcessStatus.RUNNING, None,
    ]  # fmt: skip


async def test_two_facts_about_one_process_in_a_batch_are_refused(registry: ProcessRegistry) -> None:
    """There is one terminal fact under a lease."""
    await registry.register(work())
    lease = await begun(registry, "p", ADA)

    with pytest.raises(SettingsError, match="distinct"):
        await registry.terminalize_many([fact(registry, lease, Success(number)) for number in (1, 2)])
    assert await registry.lease("p") == lease


async def test_a_terminal_row_leaves_the_owners_indexes(registry: ProcessRegistry) -> None:
    """Nobody has anything unsettled any more, and it is counted once."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.complete(await begun(registry, "p", ADA), Success())

    terminal: dict[Any, int] = {}
    for partition in range(registry.partitions):
        assert await registry.holders(partition) == []
        terminal |= (await registry.counts(partition)).terminal
    assert terminal == {("work", "completed"): 1}


def test_the_dispositions_are_all_covered() -> None:
    """A fourth one would need rows in every table here."""
    assert {*RecoveryDisposition} == {RERUNNABLE, OWNER_BOUND, EXTERNALLY_OWNED}

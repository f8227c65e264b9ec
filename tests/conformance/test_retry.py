"""retry: a run that failed is made again later, under its lease; attempts, losses and releases are counted apart."""

from __future__ import annotations

import itertools

import pytest

from lash_redis.core.errors import NotItsTurn
from lash_redis.core.model import Phase, ProcessLease, ProcessStatus
from lash_redis.core.outcomes import Cancelled, Failure, Success
from lash_redis.core.retrying import Again
from lash_redis.registry.answers import RetriedRun
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    LONG_MS,
    OWNER_BOUND,
    batch_claim,
    begun,
    begun_and_lapsed,
    cancel,
    held,
    leases_of,
    settled,
    work,
)
from tests.conftest import ServerTime
from tests.look import record_of, row_of

SOON = Again(20, attempts=3)
FAILED = Failure("shop.Busy", "try again", "a traceback " * 20)


async def tried_again(
    registry: ProcessRegistry, lease: ProcessLease, again: Again = SOON, failure: Failure = FAILED
) -> str:
    """End a run that is to be made again; return the status word."""
    return (await registry.retry_many([RetriedRun(lease, again, failure)]))[0]


async def due(registry: ProcessRegistry, server: ServerTime, process_id: str = "p") -> None:
    """Let the time of a delayed process come."""
    record = await record_of(registry, process_id)
    await server.pass_until(record.due_at_ms or 0)


async def test_a_run_that_failed_waits_and_is_made_again(registry: ProcessRegistry, server: ServerTime) -> None:
    """Under the number that it has in its lane, and not before its time; the record says what happened."""
    await registry.register(work())
    sequence = (await row_of(registry, "p")).fields[b"sq"]
    lease = await begun(registry, "p", ADA)

    assert await tried_again(registry, lease) == "DONE"

    record = await record_of(registry, "p")
    assert (record.phase, record.attempts, record.losses, record.releases) == (Phase.DELAYED, 1, 0, 0)
    assert record.last_failure == FAILED
    assert record.due_at_ms is not None
    assert record.due_at_ms - await server.now_ms() <= SOON.wait_ms
    with pytest.raises(NotItsTurn, match="delayed, due at"):
        await registry.claim("p", BOB, LONG_MS)
    await due(registry, server)
    batch = await registry.claim_next(batch_claim(registry, BOB, partition=registry.partition_of("p")))
    assert [(row.process_id, row.retries) for row in batch.rows] == [("p", 1)]
    assert (await row_of(registry, "p")).fields[b"sq"] == sequence
    assert (await record_of(registry, "p")).attempts == 2


async def test_the_last_run_of_all_ends_it_with_its_failure(registry: ProcessRegistry, server: ServerTime) -> None:
    """The record says how often it was tried."""
    await registry.register(work())
    words = []
    for number in range(3):
        lease = await begun(registry, "p", ADA)
        words.append(await tried_again(registry, lease, failure=Failure("E", str(number))))
        if number < 2:
            await due(registry, server)

    record = await record_of(registry, "p")
    assert words == ["DONE", "DONE", "FAILED"]
    assert (record.status, record.outcome, record.attempts) == (ProcessStatus.FAILED, Failure("E", "2"), 3)
    assert record.last_failure == Failure("E", "1")


async def test_a_snooze_counts_no_attempt_and_keeps_the_last_failure(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """However often it is not now."""
    await registry.register(work())
    await tried_again(registry, await begun(registry, "p", ADA), failure=Failure("E", "first"))
    for _ in range(4):
        await due(registry, server)
        assert await tried_again(registry, await begun(registry, "p", ADA), Again(5, counts=False)) == "DONE"

    record = await record_of(registry, "p")
    assert (record.phase, record.attempts, record.last_failure) == (Phase.DELAYED, 1, Failure("E", "first"))


async def test_without_a_limit_it_is_tried_for_ever(registry: ProcessRegistry, server: ServerTime) -> None:
    """What its code asks for by hand."""
    await registry.register(work())
    for _ in range(8):
        assert await tried_again(registry, await begun(registry, "p", ADA), Again(1, attempts=None)) == "DONE"
        await due(registry, server)

    assert (await record_of(registry, "p")).attempts == 8


async def test_a_long_failure_gives_way_to_a_short_one(registry: ProcessRegistry, server: ServerTime) -> None:
    """The soundness check finds what would stay beside the row; a prune takes all of it."""
    await registry.register(work())
    for failure in (FAILED, Failure("E"), FAILED):
        await tried_again(registry, await begun(registry, "p", ADA), Again(1, attempts=None), failure)
        assert (await record_of(registry, "p")).last_failure == failure
        await due(registry, server)
    ended = await registry.complete(await begun(registry, "p", ADA), Success("done"))

    assert (ended.attempts, ended.last_failure) == (4, FAILED)
    await registry.prune(before_ms=(ended.ended_at_ms or 0) + 1)
    assert await registry.get("p") is None


async def test_a_cancel_request_ends_what_would_be_tried_again(registry: ProcessRegistry) -> None:
    """Nobody waits for a run that nobody wants."""
    await registry.register(work())
    lease = await begun(registry, "p", ADA)
    await registry.request_cancel("p", cancel(reason="enough"))

    assert await tried_again(registry, lease) == "CANCELLED"
    assert (await record_of(registry, "p")).outcome == Cancelled("enough")
    assert await tried_again(registry, lease) == "CANCELLED"


async def test_sent_again_it_is_answered_as_done_whatever_came_since(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """The row keeps the token of its last retry."""
    await registry.register(work())
    lease = await begun(registry, "p", ADA)
    await tried_again(registry, lease)
    before = (await row_of(registry, "p")).fields

    assert await tried_again(registry, lease, Again(60_000, attempts=1)) == "DONE"
    assert (await row_of(registry, "p")).fields == before
    await due(registry, server)
    second = await begun(registry, "p", BOB)
    before = (await row_of(registry, "p")).fields
    assert await tried_again(registry, lease) == "DONE"
    assert (await row_of(registry, "p")).fields == before
    await registry.complete(second, Success())
    assert await tried_again(registry, lease) == "DONE"


async def test_a_lease_that_is_not_live_any_more_delays_nothing(registry: ProcessRegistry, server: ServerTime) -> None:
    """Lapsed it may be claimed again by the same owner; replaced it is stale, and the row is another's."""
    await registry.register(work())
    lapsed = await begun_and_lapsed(registry, server, "p", ADA)
    assert await tried_again(registry, lapsed) == "LOST"
    again = await held(registry, "p", ADA)
    assert await tried_again(registry, lapsed) == "LOST", "it may not know that it has claimed it again"
    await registry.start(again)
    assert await tried_again(registry, lapsed) == "STALE", "that is another run"
    assert await tried_again(registry, again) == "DONE"
    await due(registry, server)
    third = await begun_and_lapsed(registry, server, "p", ADA)
    assert await settled(registry, "p", "queue")
    assert await tried_again(registry, third) == "STALE"

    record = await record_of(registry, "p")
    assert (record.phase, record.attempts, record.losses, record.releases) == (Phase.QUEUED, 1, 1, 0)


async def test_a_retry_of_an_older_run_changes_nothing(registry: ProcessRegistry, server: ServerTime) -> None:
    """It comes after the retry of a later run, whose token stands on the row."""
    await registry.register(work())
    first = await begun(registry, "p", ADA)
    await tried_again(registry, first)
    await due(registry, server)
    await tried_again(registry, await begun(registry, "p", BOB))
    before = (await row_of(registry, "p")).fields

    assert await tried_again(registry, first) == "STALE"
    assert (await row_of(registry, "p")).fields == before


async def test_owner_bound_work_is_never_tried_again(registry: ProcessRegistry) -> None:
    """Whoever asks for it."""
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun(registry, "p", ADA)

    assert await tried_again(registry, lease) == "AUTHORITY"
    assert (await record_of(registry, "p")).phase is Phase.STARTED


async def test_a_run_that_its_worker_stopped_is_a_release_and_no_attempt(registry: ProcessRegistry) -> None:
    """A drain takes no attempt away; what never began is no release of a run."""
    await registry.register(work())
    for _ in range(2):
        await registry.release(await begun(registry, "p", ADA))
    await registry.release(await held(registry, "p", ADA))
    await registry.unstart_many([await begun(registry, "p", ADA)])

    record = await record_of(registry, "p")
    assert (record.attempts, record.losses, record.releases) == (0, 0, 2)


async def test_what_is_missing_or_ended_is_said(registry: ProcessRegistry) -> None:
    """One word each, in a batch too."""
    await registry.register(work("ended::p"))
    ended = await begun(registry, "ended::p", ADA)
    await registry.complete(ended, Success())
    never = ProcessLease("ended::never", ADA, "token", 1, 1, 1)

    runs = [RetriedRun(lease, SOON, FAILED) for lease in (ended, never)]
    assert await registry.retry_many(runs) == ["TERMINAL", "UNKNOWN"]


async def test_a_batch_delays_each_for_its_own_time(registry: ProcessRegistry) -> None:
    """A worker sends what failed together in one call."""
    names = [f"one::{number}" for number in range(5)]
    await registry.register_many([work(name) for name in names])
    partition = registry.partition_of("one::0")
    batch = await registry.claim_next(batch_claim(registry, ADA, count=5, partition=partition))

    runs = [RetriedRun(lease, Again(1000 * number), FAILED) for number, lease in enumerate(leases_of(batch, ADA), 1)]
    assert await registry.retry_many(runs) == ["DONE"] * 5
    moments = [(await record_of(registry, name)).due_at_ms or 0 for name in names]
    assert [later - earlier for earlier, later in itertools.pairwise(moments)] == [1000] * 4

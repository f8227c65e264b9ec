"""What a sweep does with each disposition, and above all what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import AlreadyTerminal, LeaseLost, NamespaceMismatch
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Phase, ProcessStarted, ProcessStatus
from lash_redis.core.outcomes import Abandoned, AbandonWriter, Cancelled, Success
from lash_redis.recovery.sweep import Sweep, SweepReport
from lash_redis.registry.answers import Death
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    batch_claim,
    begun,
    begun_and_lapsed,
    cancel,
    dead_owner,
    held,
    ids_of,
    local_owner,
    outside,
    work,
)
from tests.conftest import ServerTime
from tests.look import evidence, record_of
from tests.services.faults import Faults

NOTHING = SweepReport()


@pytest.fixture
def sweep(registry: ProcessRegistry) -> Sweep:
    """Return recovery in this OS process, by an owner that can prove deaths."""
    return Sweep(registry, local_owner("sweeper"))


async def test_a_sweep_never_claims_an_externally_owned_process(registry: ProcessRegistry, sweep: Sweep) -> None:
    """It stays non-terminal and has no lease, however often one looks."""
    await registry.register(outside())

    assert [await sweep.run_once() for _ in range(3)] == [NOTHING] * 3
    record = await record_of(registry, "p")
    assert (record.status, record.phase) == (ProcessStatus.RUNNING, Phase.OUTSIDE)
    assert await registry.lease("p") is None


async def test_a_cancel_request_on_externally_owned_work_is_only_shown(registry: ProcessRegistry, sweep: Sweep) -> None:
    """Line 3: the outside actor sees it; the pool does nothing."""
    await registry.register(outside())
    await registry.request_cancel("p", cancel())

    assert await sweep.run_once() == NOTHING
    record = await record_of(registry, "p")
    assert (record.phase, record.cancel_request) == (Phase.OUTSIDE, cancel())


async def test_a_sweep_reconciles_an_abandon_request_on_externally_owned_work(
    registry: ProcessRegistry, sweep: Sweep
) -> None:
    """Line 2: abandoned, writer reconciled_request, and no owner is named, for there was none."""
    await registry.register(outside())
    await registry.request_abandon("p", abandon())

    assert await sweep.run_once() == SweepReport(abandoned=1)
    found = evidence(await record_of(registry, "p"))
    assert (found.writer, found.owner, found.proof) == (AbandonWriter.RECONCILED_REQUEST, None, "requested")
    assert found.detail == "by ops: the host burnt"


@pytest.mark.parametrize("has_lapsed", [False, True])
async def test_started_owner_bound_work_of_a_dead_starter_is_abandoned(
    registry: ProcessRegistry, sweep: Sweep, server: ServerTime, has_lapsed: bool
) -> None:
    """Line 6: same host and boot, a pid that now has another start: writer sweep, naming that owner.

    Its lease need not lapse for that. When the dead owner reappears, its completion is refused.
    """
    dead = dead_owner()
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun(registry, "p", dead)
    if has_lapsed:
        await server.end(registry, lease)

    assert await sweep.run_once() == SweepReport(abandoned=1)
    record = await record_of(registry, "p")
    found = evidence(record)
    assert (found.writer, found.owner, found.proof) == (AbandonWriter.SWEEP, dead, "replaced")
    assert await registry.lease("p") is None

    with pytest.raises(AlreadyTerminal):
        await registry.complete(lease, Success("I was alive after all"))
    assert await record_of(registry, "p") == record


async def test_started_owner_bound_work_of_a_silent_holder_stays(
    registry: ProcessRegistry, sweep: Sweep, server: ServerTime
) -> None:
    """Line 9: sweep after sweep, before and after its lease lapses, elapsed time alone terminalizes nothing."""
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun(registry, "p", ADA)

    assert [await sweep.run_once() for _ in range(3)] == [NOTHING] * 3
    assert await registry.lease("p") == lease

    await server.end(registry, lease)
    assert [await sweep.run_once() for _ in range(3)] == [SweepReport(uncertain=1), NOTHING, NOTHING]
    record = await record_of(registry, "p")
    assert (record.status, record.phase) == (ProcessStatus.RUNNING, Phase.UNCERTAIN)
    assert record.first_started is not None
    assert record.first_started.owner == ADA


async def test_a_cancel_request_never_settles_uncertain_work(
    registry: ProcessRegistry, sweep: Sweep, server: ServerTime
) -> None:
    """A wish to stop is no permission to accept uncertainty."""
    await registry.register(work("p", OWNER_BOUND))
    await begun_and_lapsed(registry, server, "p", ADA)
    await registry.request_cancel("p", cancel())

    assert [await sweep.run_once() for _ in range(2)] == [SweepReport(uncertain=1), NOTHING]
    assert (await record_of(registry, "p")).phase is Phase.UNCERTAIN


async def test_a_dead_holder_that_is_not_the_starter_proves_nothing_about_the_work(
    registry: ProcessRegistry, sweep: Sweep, server: ServerTime
) -> None:
    """Work that ADA started elsewhere and a dead owner held last may still be running: never abandoned on that."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.record_first_started("p", ProcessStarted(ADA, 1))
    lease = await held(registry, "p", dead_owner())

    assert [await sweep.run_once() for _ in range(2)] == [NOTHING] * 2
    await server.end(registry, lease)
    assert [await sweep.run_once() for _ in range(2)] == [SweepReport(uncertain=1), NOTHING]
    assert (await record_of(registry, "p")).phase is Phase.UNCERTAIN


async def test_an_abandon_request_settles_lapsed_started_owner_bound_work(
    registry: ProcessRegistry, sweep: Sweep, server: ServerTime
) -> None:
    """Line 8: abandoned, writer reconciled_request, naming who first started it."""
    await registry.register(work("p", OWNER_BOUND))
    await begun_and_lapsed(registry, server, "p", ADA)
    await registry.request_abandon("p", abandon())

    assert await sweep.run_once() == SweepReport(abandoned=1)
    found = evidence(await record_of(registry, "p"))
    assert (found.writer, found.owner) == (AbandonWriter.RECONCILED_REQUEST, ADA)


async def test_an_abandon_request_waits_for_a_live_lease(
    registry: ProcessRegistry, sweep: Sweep, server: ServerTime
) -> None:
    """Line 4: while the holder lives it is a wish; once the lease has lapsed it decides."""
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun(registry, "p", ADA)
    await registry.request_abandon("p", abandon())

    assert await sweep.run_once() == NOTHING
    await server.end(registry, lease)
    assert await sweep.run_once() == SweepReport(abandoned=1)


async def test_proof_of_death_is_worth_more_than_a_request(registry: ProcessRegistry, sweep: Sweep) -> None:
    """Line 6 stands before line 8: the evidence is the death."""
    await registry.register(work("p", OWNER_BOUND))
    await begun(registry, "p", dead_owner())
    await registry.request_abandon("p", abandon())

    assert await sweep.run_once() == SweepReport(abandoned=1)
    assert evidence(await record_of(registry, "p")).writer is AbandonWriter.SWEEP


@pytest.mark.parametrize("disposition", [RERUNNABLE, OWNER_BOUND])
async def test_what_a_dead_owner_held_and_had_not_started_runs_elsewhere(
    registry: ProcessRegistry, sweep: Sweep, disposition: Any
) -> None:
    """Nothing ran, so a first execution is no re-execution: back into its lane, and no loss."""
    await registry.register(work("p", disposition))
    await held(registry, "p", dead_owner())

    assert await sweep.run_once() == SweepReport(requeued=1)
    record = await record_of(registry, "p")
    assert (record.phase, record.losses) == (Phase.QUEUED, 0)


async def test_rerunnable_work_of_a_dead_owner_goes_back_as_a_loss(registry: ProcessRegistry, sweep: Sweep) -> None:
    """Line 14: it runs through the ordinary claim, and the loss is counted once."""
    await registry.register(work())
    await begun(registry, "p", dead_owner())

    assert [await sweep.run_once() for _ in range(2)] == [SweepReport(requeued=1), NOTHING]
    record = await record_of(registry, "p")
    assert (record.phase, record.losses) == (Phase.QUEUED, 1)
    await begun(registry, "p", BOB)


async def test_rerunnable_work_is_abandoned_at_its_loss_limit(registry: ProcessRegistry, sweep: Sweep) -> None:
    """Line 11: writer loss_limit, owner the last holder; poison does not take one owner after another for ever."""
    await registry.register(work("p", loss_limit=2))
    await begun(registry, "p", dead_owner("one"))
    assert await sweep.run_once() == SweepReport(requeued=1)
    await begun(registry, "p", dead_owner("two"))

    assert await sweep.run_once() == SweepReport(abandoned=1)
    found = evidence(await record_of(registry, "p"))
    assert (found.writer, found.owner, found.proof) == (AbandonWriter.LOSS_LIMIT, dead_owner("two"), "loss_limit")
    assert found.detail == "2 of 2 losses"


async def test_lapsed_rerunnable_work_with_a_cancel_request_is_cancelled(
    registry: ProcessRegistry, sweep: Sweep, server: ServerTime
) -> None:
    """Line 10: someone asked for a stop, and nobody runs it any more."""
    await registry.register(work())
    lease = await begun(registry, "p", ADA)
    await registry.request_cancel("p", cancel())
    assert await sweep.run_once() == NOTHING
    await server.end(registry, lease)

    assert await sweep.run_once() == SweepReport(cancelled=1)
    assert (await record_of(registry, "p")).outcome == Cancelled("enough")


async def test_a_recorded_death_is_proof_for_any_host(registry: ProcessRegistry) -> None:
    """Who cannot look itself, for it runs elsewhere, relies on the word of the one who reaped."""
    await registry.register_many([work("bound", OWNER_BOUND), work("again", RERUNNABLE)])
    await begun(registry, "bound", ADA)
    await begun(registry, "again", ADA)
    far_away = Sweep(registry, LeaseOwner.opaque("far", "far-1"))
    assert await far_away.run_once() == NOTHING

    await registry.record_death(ADA, Death("killed by signal 9", "the supervisor"))

    assert await far_away.run_once() == SweepReport(abandoned=1, requeued=1)
    found = evidence(await record_of(registry, "bound"))
    assert (found.writer, found.owner, found.proof) == (AbandonWriter.SWEEP, ADA, "reaped")
    assert found.detail == "killed by signal 9, reaped by the supervisor"


async def test_a_sweep_of_many_rows_of_one_dead_owner_leaves_none(registry: ProcessRegistry) -> None:
    """The supervisor settles all that a worker process held before it starts the next: more than one page too."""
    ids = [f"p{number}" for number in range(1200)]
    await registry.register_many([work(each, OWNER_BOUND) for each in ids])
    for partition in range(registry.partitions):
        for number in range(1, 7):
            await registry.claim_next(batch_claim(registry, ADA, number=number, count=150, partition=partition))
    death = Death("killed by signal 9", "the supervisor")
    await registry.record_death(ADA, death)

    report = await Sweep(registry, BOB).settle_dead(ADA, death)

    assert report == SweepReport(abandoned=1200)


async def test_a_partition_that_lost_its_header_stops_no_recovery_in_the_others(
    registry: ProcessRegistry, sweep: Sweep, client: Any
) -> None:
    """It is refused and left as it is; what the others need is done all the same."""
    dead = dead_owner()
    first, last = (ids_of(1, partition, registry.partitions)[0] for partition in (0, registry.partitions - 1))
    await registry.register_many([work(first), work(last)])
    await begun(registry, first, dead)
    await begun(registry, last, dead)
    key = registry.target.namespace.header_key(0)
    header = await client.hgetall(key)
    await client.delete(key)

    with pytest.raises(NamespaceMismatch):
        await sweep.run_once()

    await client.hset(key, mapping=header)
    assert (await record_of(registry, last)).phase is Phase.QUEUED
    assert (await record_of(registry, first)).phase is Phase.STARTED


async def test_a_revenant_finds_its_rerunnable_work_taken(registry: ProcessRegistry, sweep: Sweep) -> None:
    """Fenced out, it may write nothing; the work is the next owner's."""
    await registry.register(work())
    old = await begun(registry, "p", dead_owner())
    await sweep.run_once()
    new = await begun(registry, "p", BOB)

    with pytest.raises(LeaseLost):
        await registry.complete(old, Success("too late"))
    await registry.release(old)
    assert await registry.lease("p") == new
    assert not isinstance((await record_of(registry, "p")).outcome, Abandoned)


async def test_a_sweep_reads_and_settles_and_holds_nothing(
    registry: ProcessRegistry, sweep: Sweep, server: ServerTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes no lease and no lock: what it sends are reads, and the settling of what it found."""
    await registry.register_many([work("a"), work("b", OWNER_BOUND), work("c", OWNER_BOUND), outside("d")])
    await begun_and_lapsed(registry, server, "a", ADA)
    await begun(registry, "b", dead_owner())
    await begun(registry, "c", ADA)
    faults = Faults(registry, monkeypatch)

    assert await sweep.run_once() == SweepReport(requeued=1, abandoned=1)

    assert faults.sent.keys() == {"glance", "holders", "page", "settle", "forget_owners"}

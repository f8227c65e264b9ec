"""Whole stories that need no worker: what recovery may do with each disposition, on the registry alone."""

from __future__ import annotations

import pytest

from lash_redis.core.errors import AlreadyStarted, AlreadyTerminal, AuthorityRejected, LeaseLost
from lash_redis.core.model import Busy, Phase, ProcessStatus
from lash_redis.core.outcomes import Abandoned, AbandonWriter, Success
from lash_redis.registry.keys import owned_index, owner_digest
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    CYD,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    abandoned,
    batch_claim,
    begun,
    begun_and_lapsed,
    dead_owner,
    held,
    local_owner,
    outside,
    settled,
    work,
)
from tests.conftest import ServerTime
from tests.look import record_of


async def test_an_externally_owned_process_is_never_claimed(registry: ProcessRegistry) -> None:
    """In no way: it stays non-terminal and has no lease."""
    await registry.register(outside())
    partition = registry.partition_of("p")

    with pytest.raises(AuthorityRejected):
        await registry.claim("p", ADA, LONG_MS)
    assert (await registry.claim_next(batch_claim(registry, ADA, count=9, partition=partition))).rows == []

    record = await record_of(registry, "p")
    assert (record.phase, record.is_terminal, await registry.lease("p")) == (Phase.OUTSIDE, False, None)


async def test_a_dead_starters_work_is_abandoned_and_its_return_is_refused(registry: ProcessRegistry) -> None:
    """Writer ``sweep``, naming that owner; when it reappears the record stays as it is."""
    dead = dead_owner()
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun(registry, "p", dead)
    assert dead.is_definitely_dead_for(local_owner())

    assert await settled(registry, "p", "fact", abandoned(AbandonWriter.SWEEP, dead, "replaced"), even_if_live=True)

    record = await record_of(registry, "p")
    for attempt in (lambda: registry.complete(lease, Success()), lambda: registry.claim("p", dead, LONG_MS)):
        with pytest.raises(AlreadyTerminal):
            await attempt()
    await registry.release(lease)
    assert record == await registry.get("p")
    assert isinstance(record.outcome, Abandoned)
    assert (record.outcome.evidence.writer, record.outcome.evidence.owner) == (AbandonWriter.SWEEP, dead)


async def test_a_silent_starters_work_stays_and_waits_for_a_word(registry: ProcessRegistry, server: ServerTime) -> None:
    """Before and after its lease lapses it is not terminal; an abandon request then names who first started it."""
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun(registry, "p", ADA, 1_000 if server.is_fake else 300)
    assert not await settled(registry, "p", "uncertain")
    await server.end(registry, lease)
    assert await settled(registry, "p", "uncertain")
    assert await settled(registry, "p", "uncertain")
    await registry.request_abandon("p", abandon())

    assert await settled(registry, "p", "fact", abandoned(AbandonWriter.RECONCILED_REQUEST, ADA))

    record = await record_of(registry, "p")
    assert record.status is ProcessStatus.ABANDONED
    assert isinstance(record.outcome, Abandoned)
    assert record.outcome.evidence.owner == ADA


async def test_the_starter_claims_again_and_nobody_else(registry: ProcessRegistry, server: ServerTime) -> None:
    """Under the same token and a new fence; a write under the old fence is refused."""
    await registry.register(work("p", OWNER_BOUND))
    old = await begun_and_lapsed(registry, server, "p", ADA)
    for other in (BOB, CYD):
        with pytest.raises(AlreadyStarted):
            await registry.claim("p", other, LONG_MS)

    new = await held(registry, "p", ADA)

    assert (new.token, new.fencing_token > old.fencing_token) == (old.token, True)
    assert await registry.claim("p", BOB, LONG_MS) == Busy(new)
    with pytest.raises(LeaseLost):
        await registry.complete(old, Success("old"))
    assert (await registry.complete(new, Success("new"))).outcome == Success("new")


async def test_rerunnable_work_outlives_as_many_owners_as_its_limit_allows(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """Each lapse is a loss, counted once; the one that reaches the limit abandons it, naming the last holder."""
    await registry.register(work("p", RERUNNABLE, loss_limit=3))
    for losses, owner in ((1, ADA), (2, BOB)):
        await begun_and_lapsed(registry, server, "p", owner)
        assert await settled(registry, "p", "queue")
        record = await record_of(registry, "p")
        assert (record.losses, record.phase) == (losses, Phase.QUEUED)
    last = await begun_and_lapsed(registry, server, "p", CYD)
    assert await registry.claim("p", ADA, LONG_MS) == Busy(last)

    assert await settled(registry, "p", "fact", abandoned(AbandonWriter.LOSS_LIMIT, CYD, "loss_limit"))

    record = await record_of(registry, "p")
    assert record.status is ProcessStatus.ABANDONED


async def test_an_owner_finds_all_that_it_must_answer_for(registry: ProcessRegistry, server: ServerTime) -> None:
    """What it holds, and the owner-bound work that it started and that is not settled, leased or not."""
    names = ("holds", "begun", "given", "lapsed", "done", "unstarted", "foreign")
    await registry.register_many([work(f"o::{name}", OWNER_BOUND, task=name) for name in names])
    partition = registry.partition_of("o::")
    await server.end(registry, await held(registry, "o::lapsed", ADA))
    await held(registry, "o::holds", ADA)
    await registry.start(await held(registry, "o::begun", ADA))
    for name in ("given", "done"):
        lease = await held(registry, f"o::{name}", ADA)
        await registry.start(lease)
        if name == "given":
            await registry.release(lease)
        else:
            await registry.complete(lease, Success())
    await registry.release(await held(registry, "o::unstarted", ADA))
    await registry.start(await held(registry, "o::foreign", BOB))

    page = await registry.page(partition, owned_index(owner_digest(ADA)))

    assert {row.process_id for row in page.rows} == {"o::holds", "o::begun", "o::given", "o::lapsed"}

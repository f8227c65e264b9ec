"""claim: one owner becomes the single writer of one process."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lash_redis.core.errors import AlreadyStarted, AlreadyTerminal, AuthorityRejected, LeaseLost, UnknownProcess
from lash_redis.core.liveness import LeaseOwner, LocalProcess
from lash_redis.core.model import Acquired, Busy, Phase, ProcessStarted
from lash_redis.core.options import ProcessOptions
from lash_redis.core.outcomes import Success
from lash_redis.registry.keys import owner_digest, partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    CYD,
    LONG_MS,
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
from tests.look import record_of
from tests.soundness import keyspace


async def test_a_free_process_is_granted(registry: ProcessRegistry, server: ServerTime) -> None:
    """The lease names owner, token, fence and the server's times; nothing has begun."""
    await registry.register(work())
    before = await server.now_ms()

    lease = await held(registry, "p", ADA)

    assert (lease.process_id, lease.owner) == ("p", ADA)
    assert lease.token
    assert before <= lease.claimed_at_ms <= await server.now_ms()
    assert lease.expires_at_ms == lease.claimed_at_ms + LONG_MS
    assert lease.fencing_token >= before
    assert await registry.lease("p") == lease
    record = await record_of(registry, "p")
    assert (record.phase, record.first_started) == (Phase.HELD, None)


async def test_a_held_process_answers_busy_with_its_holder(registry: ProcessRegistry) -> None:
    """A live lease of another owner is left alone, and shown."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)

    assert await registry.claim("p", BOB, LONG_MS) == Busy(lease)
    assert await registry.lease("p") == lease


async def test_another_incarnation_of_the_same_name_is_another_owner(registry: ProcessRegistry) -> None:
    """Owner ids are reused and prove nothing."""
    await registry.register(work())
    lease = await held(registry, "p", LeaseOwner.opaque("pod-0", "life-1"))

    assert await registry.claim("p", LeaseOwner.opaque("pod-0", "life-2"), LONG_MS) == Busy(lease)


async def test_re_entry_extends_and_keeps_token_and_fence(registry: ProcessRegistry) -> None:
    """The same owner that claims again goes on under the lease that it has."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)

    again = await held(registry, "p", ADA, 2 * LONG_MS)

    assert again == msgspec.structs.replace(lease, expires_at_ms=again.expires_at_ms)
    assert again.expires_at_ms > lease.expires_at_ms
    assert await registry.lease("p") == again


async def test_re_entry_never_shortens(registry: ProcessRegistry) -> None:
    """A shorter TTL does not bring the end of a live lease nearer."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)

    assert await held(registry, "p", ADA, 1) == lease


async def test_re_entry_by_another_liveness_leaves_the_first(registry: ProcessRegistry) -> None:
    """The same owner is owner id and incarnation; of its livenesses the first stands."""
    await registry.register(work())
    await held(registry, "p", ADA)

    again = await held(registry, "p", msgspec.structs.replace(ADA, liveness=LocalProcess("h", "b", 1, "1")))

    assert again.owner == ADA


async def test_of_an_owners_livenesses_the_first_stands(registry: ProcessRegistry) -> None:
    """Also at its next claim: what a proof would rest on is not said over."""
    other = msgspec.structs.replace(ADA, liveness=LocalProcess("h", "b", 1, "1"))
    await registry.register(work())
    await registry.release(await held(registry, "p", ADA))

    assert (await held(registry, "p", other)).owner == ADA


async def test_a_lapsed_lease_is_granted_with_a_higher_fence(registry: ProcessRegistry, server: ServerTime) -> None:
    """The next holder has a token and a fence of its own."""
    await registry.register(work())
    old = await server.end(registry, await held(registry, "p", ADA))

    new = await held(registry, "p", BOB)

    assert new.token != old.token
    assert new.fencing_token > old.fencing_token
    assert await registry.lease("p") == new


async def test_the_own_lapsed_lease_is_a_new_grant(registry: ProcessRegistry, server: ServerTime) -> None:
    """Once lapsed there is nothing to re-enter: rerunnable work gets a new token and a higher fence."""
    await registry.register(work())
    old = await begun_and_lapsed(registry, server, "p", ADA)

    new = await held(registry, "p", ADA)

    assert new.token != old.token
    assert new.fencing_token > old.fencing_token


async def test_the_fence_grows_over_release_and_lapse(registry: ProcessRegistry, server: ServerTime) -> None:
    """Each grant on a row raises the fence above all before it, and at least to the server's time."""
    await registry.register(work())
    fences = []
    for owner in (ADA, BOB, CYD):
        lease = await held(registry, "p", owner)
        assert lease.fencing_token >= lease.claimed_at_ms
        fences.append(lease.fencing_token)
        await registry.release(lease)
    last = await server.end(registry, await held(registry, "p", ADA))
    fences += [last.fencing_token, (await held(registry, "p", BOB)).fencing_token]

    assert fences == sorted(set(fences))


async def test_the_fence_grows_by_one_when_the_clock_stands(registry: ProcessRegistry, backend: Any) -> None:
    """It is max(previous + 1, now): it never depends on the clock alone."""
    if not backend.is_fake:
        pytest.skip("only a fake server's clock can be stopped")
    await registry.register(work())
    first = await held(registry, "p", ADA)
    await registry.release(first)
    backend.clock.advance(-10_000)

    assert (await held(registry, "p", ADA)).fencing_token == first.fencing_token + 1
    assert first.fencing_token == first.claimed_at_ms


@pytest.mark.parametrize(("after_ms", "is_live"), [(-1, True), (0, False), (1, False)])
async def test_a_lease_lives_until_its_expiry_and_not_at_it(
    registry: ProcessRegistry, backend: Any, after_ms: int, is_live: bool
) -> None:
    """Live means: the key is there *and* now < expires_at, one rule for every script and read."""
    if not backend.is_fake:
        pytest.skip("only a fake server's clock can be moved to a millisecond")
    await registry.register(work())
    lease = await held(registry, "p", ADA, 1_000)
    backend.clock.move_to(lease.expires_at_ms + after_ms)

    assert (await registry.lease("p") == lease) == is_live
    record = await record_of(registry, "p")
    assert record.lease_lapsed == (not is_live)
    assert isinstance(await registry.claim("p", BOB, 1_000), Busy if is_live else Acquired)


async def test_a_row_whose_lease_key_was_evicted_is_not_live(registry: ProcessRegistry, client: Any) -> None:
    """The row alone makes nobody a holder."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)
    async for key in client.scan_iter(match=f"{{lash:{registry.namespace}:*}}:l:p"):
        await client.delete(key)

    assert await registry.lease("p") is None
    assert (await held(registry, "p", BOB)).fencing_token > lease.fencing_token


async def test_a_lease_key_that_outlives_its_row_is_not_live(
    registry: ProcessRegistry, server: ServerTime, client: Any
) -> None:
    """The key alone makes nobody a holder either: to the millisecond, the row's expiry ends it for every script."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)
    partition = registry.partition_of("p")
    await client.hset(f"{{lash:{registry.namespace}:{partition}}}:p:p", "ex", await server.now_ms())

    assert await registry.lease("p") is None
    assert await registry.renew_owned(partition, [owner_digest(ADA)], LONG_MS) == []
    with pytest.raises(LeaseLost):
        await registry.renew(lease, LONG_MS)
    with pytest.raises(LeaseLost):
        await registry.start(lease)
    assert (await held(registry, "p", BOB)).fencing_token > lease.fencing_token


async def test_started_owner_bound_work_is_granted_to_its_starter_alone(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """Lapsed, it continues the attempt: the token of the first start, a new fence; anyone else learns who it was."""
    await registry.register(work("p", OWNER_BOUND))
    first = await begun_and_lapsed(registry, server, "p", ADA)

    with pytest.raises(AlreadyStarted) as refusal:
        await registry.claim("p", BOB, LONG_MS)
    assert refusal.value.starter == ADA
    again = await held(registry, "p", ADA)

    assert again.token == first.token
    assert again.fencing_token > first.fencing_token
    record = await record_of(registry, "p")
    assert (record.phase, record.losses) == (Phase.STARTED, 0)


async def test_started_owner_bound_work_is_busy_while_its_lease_lives(registry: ProcessRegistry) -> None:
    """Who holds it is said before who started it."""
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun(registry, "p", ADA)

    assert await registry.claim("p", BOB, LONG_MS) == Busy(lease)


async def test_uncertain_work_is_granted_to_its_starter(registry: ProcessRegistry) -> None:
    """Given back after the start, only the starter may take it up again, under its first token."""
    await registry.register(work("p", OWNER_BOUND))
    first = await begun(registry, "p", ADA)
    await registry.release(first)

    with pytest.raises(AlreadyStarted):
        await registry.claim("p", BOB, LONG_MS)
    again = await held(registry, "p", ADA)

    assert again.token == first.token
    assert again.fencing_token > first.fencing_token


async def test_work_recorded_unleased_may_be_held_by_anyone(registry: ProcessRegistry) -> None:
    """It has no start token; holding it lets nobody run it."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.record_first_started("p", ProcessStarted(ADA, 1))

    lease = await held(registry, "p", BOB)

    with pytest.raises(AlreadyStarted) as refusal:
        await registry.start(lease)
    assert refusal.value.starter == ADA
    record = await record_of(registry, "p")
    assert record.phase is Phase.HELD


async def test_unstarted_owner_bound_work_passes_from_a_silent_holder(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """It binds at the first start and not at a claim."""
    await registry.register(work("p", OWNER_BOUND))
    await server.end(registry, await held(registry, "p", ADA))

    assert (await held(registry, "p", BOB)).owner == BOB


async def test_a_lapse_of_begun_work_is_a_loss(registry: ProcessRegistry, server: ServerTime) -> None:
    """Code had begun under the lease, and it ended without its holder."""
    await registry.register(work())
    await begun_and_lapsed(registry, server, "p", ADA)

    await held(registry, "p", BOB)

    record = await record_of(registry, "p")
    assert (record.losses, record.phase) == (1, Phase.HELD)


async def test_a_lapse_of_held_work_is_no_loss(registry: ProcessRegistry, server: ServerTime) -> None:
    """Nothing had begun under it."""
    await registry.register(work())
    await server.end(registry, await held(registry, "p", ADA))

    await held(registry, "p", BOB)

    record = await record_of(registry, "p")
    assert record.losses == 0


async def test_the_return_of_the_last_holder_is_no_loss(registry: ProcessRegistry, server: ServerTime) -> None:
    """A lease replaced by its own last holder lost nobody."""
    await registry.register(work())
    await begun_and_lapsed(registry, server, "p", ADA)

    await held(registry, "p", ADA)

    record = await record_of(registry, "p")
    assert record.losses == 0


async def test_a_claim_at_the_loss_limit_answers_busy_with_the_lapsed_holder(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """The loss that would reach the limit is not taken by a claim: a sweep settles the row."""
    await registry.register(work("p", RERUNNABLE, loss_limit=1))
    lease = await begun_and_lapsed(registry, server, "p", ADA)

    assert await registry.claim("p", BOB, LONG_MS) == Busy(lease)
    assert await registry.claim("p", BOB, LONG_MS) == Busy(lease)
    record = await record_of(registry, "p")
    assert (record.losses, record.lease_lapsed, record.is_terminal) == (0, True, False)


async def test_losses_below_the_limit_let_it_run_again(registry: ProcessRegistry, server: ServerTime) -> None:
    """A limit of two allows one loss."""
    await registry.register(work("p", RERUNNABLE, loss_limit=2))
    await begun_and_lapsed(registry, server, "p", ADA)
    second = await held(registry, "p", BOB)
    await registry.release(second)
    third = await begun_and_lapsed(registry, server, "p", CYD)

    assert await registry.claim("p", BOB, LONG_MS) == Busy(third)


async def test_a_row_without_a_limit_of_its_own_has_the_default(
    registry: ProcessRegistry, server: ServerTime, client: Any
) -> None:
    """The claim brings it: four losses let the work run again, the fifth would reach the limit."""
    await registry.register(work("p", RERUNNABLE))
    lease = await begun_and_lapsed(registry, server, "p", ADA)
    for loss in range(1, ProcessOptions().loss_limit):
        lease = await held(registry, "p", (ADA, BOB)[loss % 2])
        await registry.start(lease)
        # The lease's key goes, as it does once its time is up; a short lease might end before the start.
        await client.delete(f"{partition_prefix(registry.namespace, registry.partition_of('p'))}:l:p")

    assert await registry.claim("p", CYD, LONG_MS) == Busy(lease)
    assert await registry.reclaim("p", CYD, lease, LONG_MS) == Busy(lease)
    record = await record_of(registry, "p")
    assert record.losses == ProcessOptions().loss_limit - 1


async def test_a_claim_of_externally_owned_work_is_refused(registry: ProcessRegistry) -> None:
    """The pool never claims it: it stays outside, without a lease."""
    registered = await registry.register(outside())

    with pytest.raises(AuthorityRejected, match="'p': it is externally owned, so that no worker may hold it"):
        await registry.claim("p", ADA, LONG_MS)
    assert await registry.lease("p") is None
    assert await registry.get("p") == registered


async def test_an_unknown_id_is_refused_and_creates_nothing(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """A claim of what was never registered leaves the keyspace as it is."""
    await registry.open()
    before = await keyspace(client, namespace)

    with pytest.raises(UnknownProcess, match="'p'"):
        await registry.claim("p", ADA, LONG_MS)
    assert await keyspace(client, namespace) == before


async def test_a_terminal_process_is_refused(registry: ProcessRegistry) -> None:
    """There is nothing to hold, not even for the one that ended it."""
    await registry.register(work())
    await registry.complete(await begun(registry, "p", ADA), Success())

    with pytest.raises(AlreadyTerminal) as refusal:
        await registry.claim("p", ADA, LONG_MS)
    assert refusal.value.status == "completed"


async def test_a_claim_sees_a_waiting_cancel_request_settled(registry: ProcessRegistry) -> None:
    """What was cancelled while nobody held it is terminal, and no claim brings it back."""
    await registry.register(work())
    await registry.request_cancel("p", cancel())

    with pytest.raises(AlreadyTerminal):
        await registry.claim("p", ADA, LONG_MS)


async def test_of_many_claims_one_wins(registry: ProcessRegistry) -> None:
    """Racing owners get one lease, and the others its holder."""
    await registry.register(work())
    owners = [LeaseOwner.opaque(f"o{number}", "1") for number in range(8)]

    answers = [await registry.claim("p", owner, LONG_MS) for owner in owners]

    won = [answer for answer in answers if isinstance(answer, Acquired)]
    assert len(won) == 1
    assert all(answer.holder == won[0].lease for answer in answers if isinstance(answer, Busy))

"""reclaim: take a live lease from the observed holder that is provably dead."""

from __future__ import annotations

import msgspec
import pytest

from lash_redis.core.errors import AlreadyStarted, AlreadyTerminal, AuthorityRejected, LeaseLost, UnknownProcess
from lash_redis.core.liveness import LeaseOwner, LocalProcess
from lash_redis.core.model import Acquired, Busy, Phase, ProcessLease
from lash_redis.core.outcomes import Success
from lash_redis.registry.answers import Death
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    begun,
    dead_owner,
    held,
    local_owner,
    outside,
    work,
)
from tests.conftest import ServerTime
from tests.look import record_of


async def reclaimed(registry: ProcessRegistry, owner: LeaseOwner, observed: ProcessLease) -> ProcessLease:
    """Reclaim a process and return the lease."""
    answer = await registry.reclaim("p", owner, observed, LONG_MS)
    assert isinstance(answer, Acquired)
    return answer.lease


async def test_a_live_lease_is_taken_from_a_dead_holder(registry: ProcessRegistry) -> None:
    """Proof of death is enough; the fence grows, and the dead one's writes are refused."""
    me, dead = local_owner(), dead_owner()
    await registry.register(work())
    old = await held(registry, "p", dead)
    assert await registry.claim("p", me, LONG_MS) == Busy(old)

    new = await reclaimed(registry, me, old)

    assert (new.owner, await registry.lease("p")) == (me, new)
    assert new.fencing_token > old.fencing_token
    with pytest.raises(LeaseLost):
        await registry.complete(old, Success())


@pytest.mark.parametrize("change", ["token", "fence", "owner", "liveness"])
async def test_a_stale_observation_loses(registry: ProcessRegistry, change: str) -> None:
    """It is a compare-and-set on owner with stored liveness, token and fence."""
    me, dead = local_owner(), dead_owner()
    await registry.register(work())
    lease = await held(registry, "p", dead)
    assert isinstance(dead.liveness, LocalProcess)
    observed = {
        "token": msgspec.structs.replace(lease, token="another"),
        "fence": msgspec.structs.replace(lease, fencing_token=lease.fencing_token - 1),
        "owner": msgspec.structs.replace(lease, owner=dead_owner("other")),
        "liveness": msgspec.structs.replace(
            lease,
            owner=msgspec.structs.replace(dead, liveness=msgspec.structs.replace(dead.liveness, process_start="2")),
        ),
    }[change]

    assert await registry.reclaim("p", me, observed, LONG_MS) == Busy(lease)
    assert await registry.lease("p") == lease


async def test_of_two_racers_one_wins(registry: ProcessRegistry) -> None:
    """The second's observation is stale: it meets the first."""
    dead = dead_owner()
    await registry.register(work())
    observed = await held(registry, "p", dead)
    first = await reclaimed(registry, local_owner("one"), observed)

    assert await registry.reclaim("p", local_owner("two"), observed, LONG_MS) == Busy(first)


async def test_a_silent_holder_keeps_its_lease(registry: ProcessRegistry) -> None:
    """An opaque owner is never provably dead."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)

    assert await registry.reclaim("p", local_owner(), lease, LONG_MS) == Busy(lease)


@pytest.mark.parametrize("differing", ["host_id", "boot_id"])
async def test_a_holder_on_another_host_keeps_its_lease(registry: ProcessRegistry, differing: str) -> None:
    """What lives on another machine or in another boot proves nothing here."""
    dead = dead_owner()
    assert isinstance(dead.liveness, LocalProcess)
    elsewhere = msgspec.structs.replace(dead, liveness=msgspec.structs.replace(dead.liveness, **{differing: "other"}))
    await registry.register(work())
    lease = await held(registry, "p", elsewhere)

    assert await registry.reclaim("p", local_owner(), lease, LONG_MS) == Busy(lease)


async def test_an_opaque_claimant_proves_nothing(registry: ProcessRegistry) -> None:
    """Only a local process on the same host and boot can."""
    await registry.register(work())
    lease = await held(registry, "p", dead_owner())

    assert await registry.reclaim("p", ADA, lease, LONG_MS) == Busy(lease)


async def test_a_recorded_death_is_proof_for_anyone(registry: ProcessRegistry) -> None:
    """Who reaped it wrote it down, and a peer on any host may rely on it."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)
    await registry.record_death(ADA, Death("exit 9", "supervisor"))

    assert (await reclaimed(registry, BOB, lease)).owner == BOB


async def test_on_a_lapsed_lease_it_is_a_claim(registry: ProcessRegistry, server: ServerTime) -> None:
    """No proof is needed once time has run out."""
    await registry.register(work())
    lease = await server.end(registry, await held(registry, "p", ADA))

    assert (await reclaimed(registry, BOB, lease)).owner == BOB


async def test_on_a_free_process_it_is_a_claim(registry: ProcessRegistry) -> None:
    """However old the observation."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)
    await registry.release(lease)

    assert (await reclaimed(registry, BOB, lease)).fencing_token > lease.fencing_token


async def test_the_own_live_lease_is_extended(registry: ProcessRegistry) -> None:
    """As a claim would."""
    await registry.register(work())
    lease = await held(registry, "p", ADA, LONG_MS // 2)

    again = await reclaimed(registry, ADA, lease)

    assert (again.token, again.fencing_token) == (lease.token, lease.fencing_token)
    assert again.expires_at_ms > lease.expires_at_ms


async def test_a_reclaim_of_begun_work_is_a_loss(registry: ProcessRegistry) -> None:
    """The lease ended without its holder, and code had begun under it."""
    await registry.register(work())
    lease = await begun(registry, "p", dead_owner())

    await reclaimed(registry, local_owner(), lease)

    record = await record_of(registry, "p")
    assert (record.losses, record.phase) == (1, Phase.HELD)


async def test_a_reclaim_at_the_loss_limit_answers_busy(registry: ProcessRegistry) -> None:
    """The sweep settles what has lost as many owners as its limit allows."""
    await registry.register(work("p", RERUNNABLE, loss_limit=1))
    lease = await begun(registry, "p", dead_owner())

    assert await registry.reclaim("p", local_owner(), lease, LONG_MS) == Busy(lease)


async def test_a_lease_is_no_right_to_run_what_another_started(registry: ProcessRegistry) -> None:
    """Started owner-bound work is given to nobody but its starter, dead or not."""
    dead = dead_owner()
    await registry.register(work("p", OWNER_BOUND))
    lease = await begun(registry, "p", dead)

    with pytest.raises(AlreadyStarted) as refusal:
        await registry.reclaim("p", local_owner(), lease, LONG_MS)
    assert refusal.value.starter == dead
    assert await registry.lease("p") == lease


async def test_refusals_are_those_of_a_claim(registry: ProcessRegistry) -> None:
    """Unknown, terminal, authority, in that order."""
    await registry.register_many([work(), outside("x")])
    lease = await begun(registry, "p", ADA)
    await registry.complete(lease, Success())

    with pytest.raises(UnknownProcess):
        await registry.reclaim("nobody", BOB, lease, LONG_MS)
    with pytest.raises(AlreadyTerminal):
        await registry.reclaim("p", BOB, lease, LONG_MS)
    with pytest.raises(AuthorityRejected):
        await registry.reclaim("x", BOB, lease, LONG_MS)

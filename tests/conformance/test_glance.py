"""glance: for what a partition's indexes have anything. Each place that a sweep or a slow poll reads shows in it."""

from __future__ import annotations

from lash_redis.core.model import ProcessStarted
from lash_redis.core.outcomes import Success
from lash_redis.registry.calls.glancing import Glance
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    begun,
    begun_and_lapsed,
    held,
    ids_of,
    outside,
    work,
)
from tests.conftest import ServerTime


def seen(*names: str) -> Glance:
    """Return what is seen where only these have something."""
    return Glance(**{each: each in names for each in Glance.__struct_fields__})


async def test_where_nothing_is_nothing_is_seen(registry: ProcessRegistry, server: ServerTime, partitions: int) -> None:
    """Neither is of what has ended, or waits for its time, or for somebody outside."""
    done, later, other = ids_of(3, 0, partitions)
    await registry.register_many([work(done), work(later, RERUNNABLE, delay_ms=LONG_MS), outside(other)])
    assert await registry.glance(0) == seen("work")
    lease = await begun(registry, done, ADA)
    assert await registry.glance(0) == seen("holders")
    await registry.complete(lease, Success())

    assert [await registry.glance(each) for each in range(partitions)] == [seen()] * partitions


async def test_what_waits_for_a_worker_is_seen(registry: ProcessRegistry, server: ServerTime, partitions: int) -> None:
    """Also what has become due and nobody has brought."""
    (later,) = ids_of(1, 0, partitions)
    await registry.register(work(later, RERUNNABLE, delay_ms=50))
    await server.pass_until(await server.now_ms() + 60)

    assert await registry.glance(0) == seen("work")
    await registry.bring_due(0)
    assert await registry.glance(0) == seen("work")


async def test_what_a_sweep_may_settle_is_seen(registry: ProcessRegistry, server: ServerTime, partitions: int) -> None:
    """A lease that has ended, an abandon request, what somebody started or holds."""
    lapsed, asked, started = ids_of(3, 0, partitions)
    await registry.register_many([outside(asked), work(started, OWNER_BOUND)])
    await registry.request_abandon(asked, abandon())
    assert await registry.glance(0) == seen("work", "asked")
    await registry.record_first_started(started, ProcessStarted(ADA, 1))
    assert await registry.glance(0) == seen("holders", "asked")
    await registry.register(work(lapsed))
    await begun_and_lapsed(registry, server, lapsed, ADA)
    assert await registry.glance(0) == seen("holders", "asked", "lapsed")


async def test_a_live_lease_has_not_ended(registry: ProcessRegistry, partitions: int) -> None:
    """It is only held."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.register(work(id_))
    await held(registry, id_, ADA)

    assert await registry.glance(0) == seen("holders")

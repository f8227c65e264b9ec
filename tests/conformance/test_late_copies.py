"""A late copy of a call, after others have acted, never disturbs a newer holder or a terminal row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from lash_redis.core.errors import RegistryError
from lash_redis.core.model import ProcessLease, ProcessStarted
from lash_redis.core.outcomes import AbandonWriter, Success
from lash_redis.registry.answers import Settlement, TerminalFact
from lash_redis.registry.calls import leases, registration, settle, starts, terminal_facts
from lash_redis.registry.calls.call import Call
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    LONG_MS,
    OWNER_BOUND,
    abandoned,
    batch_claim,
    begun,
    call_of,
    held,
    settled,
    work,
)
from tests.conftest import ServerTime
from tests.look import lease_of, row_of
from tests.soundness import keyspace

Make = Callable[[ProcessRegistry, ProcessLease], Awaitable[Call[Any]]]


async def _renew(registry: ProcessRegistry, lease: ProcessLease) -> Call[Any]:
    return call_of(registry, leases.renew, lease, LONG_MS)


async def _release(registry: ProcessRegistry, lease: ProcessLease) -> Call[Any]:
    return call_of(registry, leases.release, lease)


async def _unstart(registry: ProcessRegistry, lease: ProcessLease) -> Call[Any]:
    return call_of(registry, starts.unstart_many, [lease])


async def _start(registry: ProcessRegistry, lease: ProcessLease) -> Call[Any]:
    return call_of(registry, starts.start, lease)


async def _complete(registry: ProcessRegistry, lease: ProcessLease) -> Call[Any]:
    return call_of(registry, terminal_facts.complete, lease, Success("old"))


async def _terminalize(registry: ProcessRegistry, lease: ProcessLease) -> Call[Any]:
    facts = [TerminalFact(lease, *registry.encoded(Success("old")))]
    return call_of(registry, terminal_facts.terminalize_many, facts)


async def _settle(registry: ProcessRegistry, lease: ProcessLease) -> Call[Any]:
    row = await row_of(registry, "p")
    settlement = Settlement(row, "fact", abandoned(AbandonWriter.LOSS_LIMIT, ADA), even_if_live=True)
    return call_of(registry, settle.settle_many, [settlement])


async def _put_back(registry: ProcessRegistry, lease: ProcessLease) -> Call[Any]:
    row = await row_of(registry, "p")
    return call_of(registry, settle.settle_many, [Settlement(row, "queue", even_if_live=True)])


async def _reclaim(registry: ProcessRegistry, lease: ProcessLease) -> Call[Any]:
    return call_of(registry, leases.reclaim, "p", ADA, lease, LONG_MS)


async def _claim(registry: ProcessRegistry, lease: ProcessLease) -> Call[Any]:
    return call_of(registry, leases.claim, "p", ADA, LONG_MS)


MUTATIONS: list[Make] = [
    _renew, _release, _unstart, _start, _complete, _terminalize, _settle, _put_back, _reclaim, _claim,
]  # fmt: skip


@pytest.mark.parametrize("make", MUTATIONS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("ended", [False, True], ids=["newer holder", "terminal"])
async def test_a_late_copy_disturbs_nobody(
    registry: ProcessRegistry,
    server: ServerTime,
    client: Any,
    make: Make,
    ended: bool,
) -> None:
    """Sent under a lease that has lapsed, after another took the work, or even ended it."""
    await registry.register(work())
    old = await server.end(registry, await held(registry, "p", ADA))
    late = await make(registry, old)
    new = await begun(registry, "p", BOB) if await settled(registry, "p", "queue") else old
    record = await registry.complete(new, Success("new")) if ended else None
    before = await keyspace(client, registry.namespace)

    with suppress(RegistryError):
        await registry.sender.send(late)

    assert await keyspace(client, registry.namespace) == before
    if ended:
        assert await registry.get("p") == record
    else:
        assert await registry.lease("p") == new
        assert (await registry.complete(new, Success("new"))).outcome == Success("new")


async def test_a_late_copy_of_a_claim_leases_only_what_is_free(registry: ProcessRegistry) -> None:
    """After a release it is a claim like any: it grants a higher fence, and the sweep finds its lapse."""
    await registry.register(work())
    call = call_of(registry, leases.claim, "p", ADA, LONG_MS)
    first = (await registry.sender.send(call)).lease
    await registry.release(first)

    again = (await registry.sender.send(call)).lease

    assert again.fencing_token > first.fencing_token
    assert (await registry.rows(["p"]))[0].has_begun is False  # type: ignore[union-attr]


async def test_a_late_copy_of_a_batch_claim_is_stale_after_an_empty_one(registry: ProcessRegistry) -> None:
    """A drain's last claim makes every earlier number stale, whatever has been put back since."""
    await registry.register(work("p", OWNER_BOUND))
    partition = registry.partition_of("p")
    late = batch_claim(registry, ADA, number=1, partition=partition)
    await registry.claim_next(late)
    lease = await lease_of(registry, "p")
    await registry.claim_next(batch_claim(registry, ADA, number=2, count=0, partition=partition))
    await registry.release(lease)

    assert (await registry.claim_next(late)).stale
    assert await registry.lease("p") is None


async def test_a_late_copy_of_a_registration_creates_nothing_twice(registry: ProcessRegistry) -> None:
    """The row that ended stands; it is not queued again."""
    call = call_of(registry, registration.register, work())
    await registry.sender.send(call)
    ended = await registry.complete(await begun(registry, "p", ADA), Success(1))

    assert await registry.sender.send(call) == [False]
    assert await registry.get("p") == ended


async def test_a_late_copy_of_a_first_start_does_not_bind_what_another_began(registry: ProcessRegistry) -> None:
    """The second writer gets the record as it stands."""
    await registry.register(work("p", OWNER_BOUND))
    late = call_of(registry, starts.record_first_started, "p", ProcessStarted(ADA, 1))
    lease = await begun(registry, "p", BOB)
    await registry.release(lease)

    record = await registry.sender.send(late)

    assert record.first_started is not None
    assert record.first_started.owner == BOB
    assert (await held(registry, "p", BOB)).token == lease.token

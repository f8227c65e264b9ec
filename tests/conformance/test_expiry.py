"""Expiry: what nobody started in time is cancelled, and what was started never is for that reason."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import NotItsTurn, SettingsError
from lash_redis.core.model import Phase, ProcessStatus, RecoveryDisposition
from lash_redis.core.outcomes import Cancelled, Failure, Success
from lash_redis.core.retrying import Again
from lash_redis.recovery.sweep import Sweep
from lash_redis.registry.answers import RetriedRun
from lash_redis.registry.codec import encode_outcome
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    batch_claim,
    begun,
    cancel,
    held,
    make_expired,
    outside,
    work,
)
from tests.conftest import ServerTime
from tests.look import record_of
from tests.soundness import assert_sound, keyspace

EXPIRED = Cancelled("expired")
SOON_MS = 150


async def expire(registry: ProcessRegistry, server: ServerTime, process_id: str = "p") -> None:
    """Let the expiry of a process pass."""
    await server.pass_until((await record_of(registry, process_id)).expires_at_ms or 0)


async def claimed(registry: ProcessRegistry, process_id: str = "p") -> list[str]:
    """Claim in the partition of a process; return the ids."""
    batch = await registry.claim_next(batch_claim(registry, BOB, count=9, partition=registry.partition_of(process_id)))
    return [row.process_id for row in batch.rows]


@pytest.mark.parametrize("disposition", [RERUNNABLE, OWNER_BOUND])
async def test_what_nobody_started_in_time_is_cancelled(
    registry: ProcessRegistry, server: ServerTime, disposition: RecoveryDisposition
) -> None:
    """By its alarm, which a claim of anything rings, and which a worker is told of; it is never handed out."""
    await registry.register(work("p", disposition, expires_in_ms=SOON_MS))
    before = await record_of(registry, "p")
    assert before.expires_at_ms == before.registered_at_ms + SOON_MS
    assert before.expires_in_ms == SOON_MS
    await expire(registry, server)

    assert await claimed(registry) == []
    record = await record_of(registry, "p")
    assert (record.status, record.outcome) == (ProcessStatus.CANCELLED, EXPIRED)


async def test_before_its_time_it_runs_as_any_other(registry: ProcessRegistry, client: Any) -> None:
    """Whatever has started or ended leaves no alarm behind."""
    await registry.register_many([work(name, expires_in_ms=LONG_MS) for name in ("one::p", "one::q")])
    await begun(registry, "one::p", ADA)
    partition = registry.partition_of("one::p")
    alarms = (await keyspace(client, registry.namespace))[partition]["alarms"].value
    assert set(alarms) == {"expire one::q"}
    await registry.claim_next(batch_claim(registry, ADA, partition=partition))
    assert "alarms" not in (await keyspace(client, registry.namespace))[partition]


async def test_a_claim_by_id_hands_out_nothing_that_has_expired(registry: ProcessRegistry, server: ServerTime) -> None:
    """It is refused, whoever ends the process."""
    await registry.register(work("p", expires_in_ms=SOON_MS))
    await expire(registry, server)

    with pytest.raises(NotItsTurn, match="before it expired"):
        await registry.claim("p", ADA, LONG_MS)
    await registry.bring_due(registry.partition_of("p"))
    assert (await record_of(registry, "p")).outcome == EXPIRED


async def test_it_counts_from_the_registration_also_while_it_is_delayed(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """One that expires before its delay is over never runs; one whose delay ends at the same moment neither."""
    await registry.register(work("one::late", delay_ms=60_000, expires_in_ms=SOON_MS))
    await registry.register(work("one::same", delay_ms=SOON_MS, expires_in_ms=SOON_MS))
    await registry.register(work("one::early", delay_ms=1, expires_in_ms=LONG_MS))
    await expire(registry, server, "one::same")

    assert await claimed(registry, "one::late") == ["one::early"]
    assert (await record_of(registry, "one::late")).outcome == EXPIRED
    assert (await record_of(registry, "one::same")).outcome == EXPIRED


async def test_what_was_started_does_not_expire(registry: ProcessRegistry, server: ServerTime) -> None:
    """Neither while it runs nor when it is lost, released or tried again."""
    await registry.register(work("p", expires_in_ms=LONG_MS))
    lease = await begun(registry, "p", ADA)
    await make_expired(registry, "p")
    await registry.release(lease)
    lease = await begun(registry, "p", ADA)
    assert await registry.retry_many([RetriedRun(lease, Again(1), Failure("E"))]) == ["DONE"]
    await server.pass_until((await record_of(registry, "p")).due_at_ms or 0)
    lease = await begun(registry, "p", ADA)

    assert (await registry.complete(lease, Success(1))).outcome == Success(1)


async def test_what_is_held_is_its_holders_until_the_lease_ends(registry: ProcessRegistry, server: ServerTime) -> None:
    """The alarm comes again then; a start under the live lease is in time."""
    await registry.register_many([work(name, expires_in_ms=LONG_MS) for name in ("one::starts", "one::waits")])
    starts = await held(registry, "one::starts", ADA)
    waits = await held(registry, "one::waits", ADA, 5 * SOON_MS)
    partition = registry.partition_of("one::waits")
    for name in ("one::starts", "one::waits"):
        await make_expired(registry, name)
    await registry.bring_due(partition)
    assert (await record_of(registry, "one::waits")).phase is Phase.HELD
    await registry.start(starts)
    await server.pass_until(waits.expires_at_ms)
    await registry.bring_due(partition)

    assert (await record_of(registry, "one::waits")).outcome == EXPIRED
    assert (await record_of(registry, "one::starts")).phase is Phase.STARTED


async def test_what_is_given_back_after_its_expiry_ends_at_once(registry: ProcessRegistry) -> None:
    """Its alarm had been put off to the end of a long lease."""
    await registry.register(work("p", expires_in_ms=LONG_MS))
    lease = await held(registry, "p", ADA)
    await make_expired(registry, "p")
    await registry.bring_due(registry.partition_of("p"))
    assert (await record_of(registry, "p")).phase is Phase.HELD

    await registry.release(lease)
    await registry.bring_due(registry.partition_of("p"))

    assert (await record_of(registry, "p")).outcome == EXPIRED


async def test_a_start_that_is_taken_back_may_expire_again(registry: ProcessRegistry) -> None:
    """Nobody has started it then, and a claim finds that its time has passed."""
    await registry.register(work("p", expires_in_ms=LONG_MS))
    lease = await begun(registry, "p", ADA)
    await make_expired(registry, "p")
    await registry.unstart_many([lease])

    assert await claimed(registry) == []
    assert (await record_of(registry, "p")).outcome == EXPIRED


async def test_a_start_that_is_taken_back_and_was_to_be_cancelled_leaves_no_alarm(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """The row may expire again, and ends in the same step."""
    await registry.register(work("p", expires_in_ms=LONG_MS))
    lease = await begun(registry, "p", ADA)
    await registry.request_cancel("p", cancel())
    await registry.unstart_many([lease])

    assert (await record_of(registry, "p")).status is ProcessStatus.CANCELLED
    await assert_sound(client, namespace)


async def test_a_sweep_ends_what_was_held_and_has_expired(registry: ProcessRegistry, server: ServerTime) -> None:
    """Line 12 of the verdict, for a lease that lapsed before anything began."""
    await registry.register(work("p", expires_in_ms=LONG_MS))
    lease = await held(registry, "p", ADA, SOON_MS)
    await make_expired(registry, "p")
    await server.pass_until(lease.expires_at_ms)

    report = await Sweep(registry, BOB).run_once()

    assert report.cancelled == 1
    assert (await record_of(registry, "p")).outcome == EXPIRED


def test_the_scripts_write_the_outcome_that_python_writes() -> None:
    """The Lua has the bytes of it."""
    assert encode_outcome(EXPIRED)[1] == b"\x91\xa7expired"


def test_what_happens_outside_does_not_expire() -> None:
    """It is refused where it is registered."""
    with pytest.raises(SettingsError, match="expected expires_in_ms to be left out, got 5"):
        outside("p", expires_in_ms=5)

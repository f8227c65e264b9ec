"""Delays: a process enters its lane at its time by the server's clock, and costs nothing until then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lash_redis.core.durations import MAX_MS
from lash_redis.core.errors import NotItsTurn
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Phase, ProcessStatus
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, BOB, LONG_MS, OWNER_BOUND, RERUNNABLE, batch_claim, cancel, work
from tests.conftest import Backend, ServerTime
from tests.look import record_of


async def claimed(registry: ProcessRegistry, process_id: str, count: int = 9) -> tuple[list[str], int]:
    """Claim in the partition of a process; return the ids in their order, and the server's time of the claim."""
    claim = batch_claim(registry, BOB, count=count, partition=registry.partition_of(process_id))
    batch = await registry.claim_next(claim)
    return [row.process_id for row in batch.rows], batch.claimed_at_ms


async def test_it_is_not_handed_out_a_millisecond_early(registry: ProcessRegistry, server: ServerTime) -> None:
    """And it is at its time."""
    await registry.register(work(delay_ms=70))
    record = await record_of(registry, "p")
    assert (record.phase, record.due_at_ms) == (Phase.DELAYED, record.registered_at_ms + 70)
    while True:
        found, now_ms = await claimed(registry, "p")
        assert bool(found) == (now_ms >= (record.due_at_ms or 0))
        if found:
            return
        await server.pass_until(now_ms + 1)


async def test_it_is_claimed_by_its_id_no_earlier_either(registry: ProcessRegistry) -> None:
    """The refusal says until when."""
    await registry.register(work(delay_ms=LONG_MS))
    due_at_ms = (await record_of(registry, "p")).due_at_ms or 0
    due_at = datetime.fromtimestamp(due_at_ms // 1000, UTC)

    with pytest.raises(
        NotItsTurn, match=rf"delayed, due at {due_at:%F %T} UTC, in (1 min|\d+ s), by the server's clock"
    ):
        await registry.claim("p", ADA, LONG_MS)


@pytest.mark.parametrize("backend", ["fakeredis"], indirect=True)
async def test_a_clock_that_steps_makes_nothing_early(registry: ProcessRegistry, backend: Backend) -> None:
    """Back and forth: what counts is the server's clock at the claim."""
    assert backend.clock is not None
    await registry.register(work(delay_ms=1000))
    due_at_ms = (await record_of(registry, "p")).due_at_ms or 0
    for step_ms in (999, -50_000, 49_000, 999):
        backend.clock.advance(step_ms)
        assert backend.clock.now_ms < due_at_ms
        assert (await claimed(registry, "p"))[0] == []
    backend.clock.move_to(due_at_ms)

    assert (await claimed(registry, "p"))[0] == ["p"]


async def test_what_is_due_runs_in_the_order_of_its_times(registry: ProcessRegistry, server: ServerTime) -> None:
    """It gets its number when it enters its lane, so that what was queued by then goes first."""
    delays = {"one::c": 30, "one::a": 10, "one::b": 20}
    await registry.register_many([work(name, delay_ms=delay_ms) for name, delay_ms in delays.items()])
    await registry.register(work("one::now"))
    await server.pass_until((await record_of(registry, "one::c")).due_at_ms or 0)

    assert (await claimed(registry, "one::now"))[0] == ["one::now", "one::a", "one::b", "one::c"]


async def test_a_moment_that_has_passed_means_now(registry: ProcessRegistry, server: ServerTime) -> None:
    """And one that has not is kept as it is."""
    now_ms = await server.now_ms()
    await registry.register_many([work("one::past", at_ms=now_ms - 1000), work("one::next", at_ms=now_ms + LONG_MS)])

    assert (await record_of(registry, "one::past")).phase is Phase.QUEUED
    assert (await record_of(registry, "one::next")).due_at_ms == now_ms + LONG_MS


async def test_a_century_is_kept_to_the_millisecond(registry: ProcessRegistry) -> None:
    """No number is rounded on its way."""
    await registry.register(work(delay_ms=MAX_MS - 1))

    record = await record_of(registry, "p")
    assert (record.due_at_ms or 0) - record.registered_at_ms == MAX_MS - 1


async def test_a_delayed_process_is_cancelled_at_once(registry: ProcessRegistry) -> None:
    """Nobody has started it, whatever its disposition."""
    await registry.register(work("p", OWNER_BOUND, delay_ms=LONG_MS))

    assert (await registry.request_cancel("p", cancel())).status is ProcessStatus.CANCELLED


@pytest.mark.parametrize("partitions", [1])
@pytest.mark.parametrize("backend", ["valkey"], indirect=True)
async def test_a_claim_pays_nothing_for_what_is_delayed(registry: ProcessRegistry, client: Any) -> None:
    """As many commands with 20,000 delayed rows as with none, of which some become due in an hour and some in years."""
    calls = []
    for number in (0, 20_000):
        await registry.register_many([work(str(each), delay_ms=3_600_000 + 10_000 * each) for each in range(number)])
        await registry.register(work(f"now-{number}"))
        await claimed(registry, "p", 1)  # names the lanes, and says when to come again
        await client.config_resetstat()
        await claimed(registry, "p", 1)
        stats = await client.info("commandstats")
        calls.append({name: held["calls"] for name, held in stats.items() if name != "cmdstat_config|resetstat"})

    assert calls[0] == calls[1]


async def test_those_that_do_not_watch_come_one_after_the_other(registry: ProcessRegistry) -> None:
    """One is told the very time. The others hear of times 0.4 to 0.8 s later, of which hardly two are the same."""
    await registry.register(work("p", RERUNNABLE, delay_ms=LONG_MS))
    due_at_ms = (await record_of(registry, "p")).due_at_ms or 0
    partition = registry.partition_of("p")
    told = []
    for number in range(21):
        claim = batch_claim(registry, LeaseOwner.opaque(f"worker{number}", "1"), partition=partition)
        told.append(((await registry.claim_next(claim)).due_at_ms or 0) - due_at_ms)

    assert told[0] == 0
    assert all(400 <= each < 800 for each in told[1:])
    assert len(set(told)) > 15

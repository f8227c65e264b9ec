"""Batch claims: one number until it is answered, partitions in turn."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from lash_redis.core.errors import LashError, NamespaceMismatch, RegistryUnavailable
from lash_redis.core.timing import boottime_ms
from lash_redis.registry.answers import BatchClaim, ClaimedBatch
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.served_lanes import ServedLanes
from lash_redis.worker.claimer import Claimer
from lash_redis.worker.identity import Identity
from lash_redis.worker.neighbours import Neighbours
from lash_redis.worker.scheduling import Scheduling
from tests.conformance.actors import ADA, LANE, LONG_MS, OWNER_BOUND, RERUNNABLE, batch_claim, ids_of, work
from tests.look import ended, lease_of
from tests.proxy import Proxy
from tests.services.benches import Bench
from tests.services.conftest import Crew
from tests.services.faults import Faults
from tests.support import wait_until

SERVED = ServedLanes([("default", [LANE])])


@pytest.fixture
async def claimer(registry: ProcessRegistry) -> Claimer:
    """Return ADA's claims, and eight rows in each partition."""
    for partition in range(registry.partitions):
        await registry.register_many(
            [work(each, RERUNNABLE, each) for each in ids_of(8, partition, registry.partitions)]
        )
    return Claimer(
        registry, Identity(ADA), lambda: SERVED, LONG_MS, Neighbours(list), scheduling=Scheduling(registry, (), ())
    )


async def test_the_same_number_is_sent_until_it_is_answered(
    registry: ProcessRegistry, claimer: Claimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hands out the same rows as the first time, however many are asked for by then; nothing is handed out twice."""
    faults = Faults(registry, monkeypatch)
    faults.lose_replies("claim_next", 2)
    for _ in range(2):
        with pytest.raises(RegistryUnavailable):
            await claimer.claim(0, 3)
        assert claimer.unanswered == [0]
        assert claimer.may_bring == 3
        faults.lose_requests("claim_next")  # that one was not applied, and proves nothing about the one before
        with pytest.raises(RegistryUnavailable):
            await claimer.claim(0, 3)
    first = await claimer.claim(0, 1)
    assert claimer.unanswered == []
    second = await claimer.claim(0, 3)
    ids = [row.process_id for row in first.rows + second.rows]
    assert ids == ids_of(6, 0, registry.partitions)
    assert len({row.token for row in first.rows + second.rows}) == 6


async def test_a_claim_that_was_never_applied_is_not_waited_for(
    registry: ProcessRegistry, claimer: Claimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It handed out nothing, so it takes no slot, and the partition is asked again for what there is room for then."""
    Faults(registry, monkeypatch).lose_requests("claim_next", 1)
    with pytest.raises(RegistryUnavailable):
        await claimer.claim(0, 3)
    assert (claimer.unanswered, claimer.may_bring, claimer.may_have_more) == ([], 0, {0})
    assert len((await claimer.claim(0, 1)).rows) == 1


@pytest.mark.parametrize(("slots", "asked_for"), [(1, 1), (8, 8), (40, 32), (64, 32), (256, 128)])
async def test_a_claim_asks_for_half_of_many_slots(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, slots: int, asked_for: int
) -> None:
    """While the server hands out the other half, those that came run: neither waits for the other."""
    counts: list[int] = []
    bench = Bench(is_open=True)
    worker = crew.worker(bench.task(), concurrency=slots)
    claim_next = worker.registry.claim_next

    def claimed(claim: BatchClaim) -> Any:
        counts.append(claim.count)
        return claim_next(claim)

    monkeypatch.setattr(worker.registry, "claim_next", claimed)
    await worker.registry.register(work("p", RERUNNABLE, "p"))
    async with crew.running(worker):
        await ended(worker.registry, "p")
    assert counts[0] == max(counts) == asked_for


async def test_work_that_is_driven_once_takes_all_slots_at_once(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing claims again after it."""
    bench = Bench(is_open=True)
    await registry.register_many([work(each, RERUNNABLE, each) for each in ids_of(40, 0, registry.partitions)])
    await crew.worker(bench.task(), registry=registry, concurrency=64).drive_pending()
    assert len(bench.begun) == 40


async def test_what_runs_alone_comes_by_one_claim_at_a_time(
    registry: ProcessRegistry, claimer: Claimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim without an answer may bring it, so that another brings neither a second one nor owner-bound work."""
    sent: list[BatchClaim] = []
    claim_next = registry.claim_next

    async def noted(claim: BatchClaim) -> ClaimedBatch:
        sent.append(claim)
        return await claim_next(claim)

    monkeypatch.setattr(registry, "claim_next", noted)
    Faults(registry, monkeypatch).lose_replies("claim_next")
    with pytest.raises(RegistryUnavailable):
        await claimer.claim(0, 1)
    await claimer.claim(1, 1)
    await claimer.claim(0, 1)
    await claimer.claim(1, 1)
    assert [(each.partition, each.alone, each.bound) for each in sent] == [
        (0, True, True), (1, False, False), (0, True, True), (1, True, True),
    ]  # fmt: skip


async def test_a_claim_asks_to_be_remembered_now_and_then(
    registry: ProcessRegistry, claimer: Claimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first in a partition, one every 2 s, and the first after an error, after a close and for other lanes."""
    sent, now = list[BatchClaim](), boottime_ms()
    claim_next = registry.claim_next

    async def noted(claim: BatchClaim) -> ClaimedBatch:
        sent.append(claim)
        return await claim_next(claim)

    async def remembers(partition: int = 0) -> bool:
        with suppress(RegistryUnavailable):
            await claimer.claim(partition, 0)
        return sent[-1].remembers

    monkeypatch.setattr(registry, "claim_next", noted)
    monkeypatch.setattr("lash_redis.worker.claimer.boottime_ms", lambda: now)
    assert [await remembers(), await remembers(), await remembers(1), await remembers(1)] == [True, False, True, False]
    now += 1_999
    assert not await remembers()
    now += 1
    assert [await remembers(), await remembers()] == [True, False]
    Faults(registry, monkeypatch).lose_requests("claim_next")
    assert [await remembers(), await remembers(), await remembers()] == [False, True, False]
    await claimer.close(0)
    assert [await remembers(), await remembers()] == [True, False]
    monkeypatch.setattr(claimer, "_served", lambda: ServedLanes([("other", [])]))
    assert [await remembers(), await remembers()] == [True, False]


async def test_a_claim_that_fails_again_and_again_is_let_go(
    registry: ProcessRegistry, claimer: Claimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is closed, so that a late copy hands out nothing; its rows are known by their tokens, and others come next."""
    await claimer.claim(0, 0)  # names the lanes
    Faults(registry, monkeypatch).lose_replies("claim_next", 5)
    for _ in range(5):
        with pytest.raises(RegistryUnavailable):
            await claimer.claim(0, 3)
    assert (claimer.unanswered, claimer.may_bring) == ([], 0)
    assert (await registry.claim_next(batch_claim(registry, ADA, number=2, count=3))).stale
    started = [await lease_of(registry, each) for each in ids_of(3, 0, registry.partitions)]
    assert all(claimer.has_let_go(each.token) for each in started)
    claimed = await claimer.claim(0, 3)
    assert [row.process_id for row in claimed.rows] == ids_of(6, 0, registry.partitions)[3:]
    assert not any(claimer.has_let_go(row.token) for row in claimed.rows)
    assert claimer.open_partitions(registry.partitions) == [0, 1]


async def test_trust_in_what_a_claim_brings_counts_from_the_call_that_was_answered(
    registry: ProcessRegistry, claimer: Claimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of a call sent again is no older than that sending."""
    faults = Faults(registry, monkeypatch)
    faults.lose_replies("claim_next")
    with pytest.raises(RegistryUnavailable):
        await claimer.claim(0, 1)
    before = boottime_ms()
    assert before <= (await claimer.claim(0, 1)).sent_at_ms <= boottime_ms()


async def test_trust_in_what_a_claim_brings_counts_from_before_it_was_sent(
    registry: ProcessRegistry, claimer: Claimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However late its answer arrives."""
    late = Faults(registry, monkeypatch).delay_reply("claim_next")
    claim = asyncio.create_task(claimer.claim(0, 1))
    await wait_until(lambda: late.has_happened, "the rows are handed out")
    handed_out_by = boottime_ms()
    await wait_until(lambda: boottime_ms() > handed_out_by, "a millisecond has passed")
    late.arrive()
    assert (await claim).sent_at_ms <= handed_out_by


async def test_a_partition_that_gave_all_that_was_asked_for_may_have_more(claimer: Claimer) -> None:
    """One that gave less has no more."""
    await claimer.claim(0, 8)
    assert claimer.may_have_more == {0}
    assert (await claimer.claim(0, 8)).rows == []
    assert claimer.may_have_more == set()


async def test_partitions_take_turns(registry: ProcessRegistry, claimer: Claimer) -> None:
    """Each that may have more comes once before any comes again; what is unanswered is among them."""
    claimer.ask_all()
    assert [claimer.next_partition() for _ in range(4)] == [0, 1, 0, 1]
    claimer.may_have_more.clear()
    assert claimer.next_partition() is None


async def test_two_that_claim_at_once_get_different_rows(registry: ProcessRegistry, claimer: Claimer) -> None:
    """The next number is sent only after an answer, whoever asks: pending work may be driven while the worker runs."""
    first, second = await asyncio.gather(claimer.claim(0, 4), claimer.claim(0, 4))
    ids = [row.process_id for row in first.rows + second.rows]
    assert sorted(ids) == sorted(ids_of(8, 0, registry.partitions))
    assert claimer.unanswered == []


async def test_a_late_copy_of_a_claim_is_stale_once_its_partition_is_closed(
    registry: ProcessRegistry, claimer: Claimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No late copy of a claim before it hands out anything."""
    Faults(registry, monkeypatch).lose_requests("claim_next")
    with pytest.raises(RegistryUnavailable):
        await claimer.claim(0, 8)
    await claimer.close(0)
    assert (await registry.claim_next(batch_claim(registry, ADA, number=1, count=8))).stale
    assert claimer.open_partitions(registry.partitions) == [1]


async def test_pending_work_is_claimed_by_one_that_hears_of_no_more(
    registry: ProcessRegistry, crew: Crew, client: Any
) -> None:
    """It is not listed as idle: a wake-up that it got would be lost (rule 9.6)."""
    await crew.worker(Bench().task()).drive_pending()

    idle = [f"{{lash:{registry.namespace}:{each}}}:idle:default" for each in range(registry.partitions)]
    assert await client.exists(*idle) == 0


async def test_a_worker_claims_what_it_can_begin_now(registry: ProcessRegistry, crew: Crew) -> None:
    """Never more than it has slots: the rest stays queued for whoever has."""
    bench = Bench()
    ids = [f"p{number}" for number in range(12)]
    await registry.register_many([work(each, RERUNNABLE, each) for each in ids])
    worker = crew.worker(bench.task(), concurrency=3)
    async with crew.running(worker):
        for done in range(3, 13):
            await wait_until(lambda done=done: len(bench.begun) >= done, f"{done} have begun")  # type: ignore[misc]
            assert worker.probe.running <= 3
            bench.let_go(bench.begun[done - 3])
        bench.let_go(*ids)
        for each in ids:
            await ended(registry, each)


async def test_a_missing_answer_is_asked_for_before_anything_new(
    registry: ProcessRegistry, claimer: Claimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have filled this worker's hands already, in whatever partition that was."""
    Faults(registry, monkeypatch).lose_replies("claim_next")
    claimer.ask_all()
    first = claimer.next_partition()
    assert first is not None
    with pytest.raises(RegistryUnavailable):
        await claimer.claim(first, 3)
    assert [claimer.next_partition() for _ in range(3)] == [first] * 3
    await claimer.claim(first, 3)
    assert claimer.next_partition() != first


async def test_one_that_leaves_asks_for_nothing_new(registry: ProcessRegistry, claimer: Claimer) -> None:
    """Whoever calls: what a drain has closed stays closed."""
    claimer.leave()
    claimed = await claimer.claim(0, 3)
    assert claimed.rows == []
    assert claimer.unanswered == []


@pytest.mark.parametrize("refusal", ["NOPERM no such command", "NOAUTH Authentication required.", "ERR who knows"])
async def test_a_refusal_after_a_lost_answer_lets_no_number_go(
    registry: ProcessRegistry, far_registry: ProcessRegistry, proxy: Proxy, refusal: str
) -> None:
    """The claim was applied, its answer lost, and sending it again refused: its rows are not given up."""
    await registry.register_many([work(each, OWNER_BOUND, each) for each in ids_of(3, 0, registry.partitions)])
    claimer = Claimer(
        far_registry,
        Identity(ADA),
        lambda: SERVED,
        LONG_MS,
        Neighbours(list),
        scheduling=Scheduling(far_registry, (), ()),
    )
    await far_registry.open()
    for partition in (1, 0):
        await claimer.claim(partition, 0)  # names the lanes
    proxy.cut("claim_next", before=False)
    with pytest.raises(LashError):
        await claimer.claim(0, 3)
    proxy.answer("claim_next", refusal, before=True, times=2)
    for _ in range(2):
        with pytest.raises(LashError):
            await claimer.claim(0, 3)
        assert claimer.unanswered == [0]
    claimed = await claimer.claim(0, 3)
    assert [row.process_id for row in claimed.rows] == ids_of(3, 0, registry.partitions)


async def test_a_refusal_is_an_answer(registry: ProcessRegistry, claimer: Claimer, client: Any) -> None:
    """Nothing was handed out, so nothing is missing that this worker would have to ask for again."""
    header = await client.hgetall(registry.target.namespace.header_key(0))
    await client.delete(registry.target.namespace.header_key(0))
    with pytest.raises(NamespaceMismatch):
        await claimer.claim(0, 3)
    assert claimer.unanswered == []
    await client.hset(registry.target.namespace.header_key(0), mapping=header)

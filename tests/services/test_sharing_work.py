"""While other workers have nothing to do, one takes its share; and what they do not take is not left behind."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker import claimer
from tests.conformance.actors import ADA, RERUNNABLE, batch_claim, ids_of, work
from tests.look import ended
from tests.services.benches import Bench
from tests.services.conftest import Crew
from tests.support import wait_until


async def test_work_is_spread_over_workers_that_wait(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has room for all of it, and an hour's time to take its part."""
    monkeypatch.setattr(claimer, "ASK_AGAIN_S", 3_600)
    here, there = Bench(), Bench()
    workers = [crew.worker(bench.task(), concurrency=64) for bench in (here, there)]
    ids = ids_of(20, 0, registry.partitions)
    async with crew.running(workers[0]), crew.running(workers[1]):
        await crew.at_rest(*workers)
        await registry.register_many([work(each, RERUNNABLE, each) for each in ids])
        await wait_until(lambda: len(here.begun) + len(there.begun) == len(ids), "all of it runs")

        assert (len(here.begun), len(there.begun)) == (10, 10)
        for bench in (here, there):
            bench.let_go(*ids)
        for each in ids:
            await ended(registry, each)


async def test_what_was_left_to_those_who_cannot_run_it_is_taken_a_little_later(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """The other one waits for the queue, and does not know the task. No poll helps: the next is an hour away."""
    bench = Bench()
    stranger, knows = crew.worker(Bench().task(name="other")), crew.worker(bench.task(), concurrency=64)
    ids = ids_of(20, 0, registry.partitions)
    async with crew.running(stranger), crew.running(knows):
        await crew.at_rest(stranger, knows)
        await registry.register_many([work(each, RERUNNABLE, each) for each in ids])
        await wait_until(lambda: len(bench.begun) == len(ids), "all of it runs")
        bench.let_go(*ids)
        for each in ids:
            await ended(registry, each)


async def test_workers_that_have_gone_starve_nothing(registry: ProcessRegistry, crew: Crew, client: Any) -> None:
    """They were killed, and are listed as idle for a while; nobody hears what is published to them."""
    bench = Bench()
    ids = ids_of(20, 0, registry.partitions)
    async with crew.running(crew.worker(bench.task(), concurrency=64)) as worker:
        await crew.at_rest(worker)
        await registry.claim_next(batch_claim(registry, ADA, served=[("default", ())]))
        assert await client.zscore(f"{{lash:{registry.namespace}:0}}:idle:default", owner_digest(ADA))
        await registry.register_many([work(each, RERUNNABLE, each) for each in ids])
        await wait_until(lambda: len(bench.begun) == len(ids), "all of it runs")
        bench.let_go(*ids)
        for each in ids:
            await ended(registry, each)


async def test_who_left_rows_to_others_asks_again_when_a_run_ends(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It need not wait until their time has passed, which is an hour here."""
    monkeypatch.setattr(claimer, "ASK_AGAIN_S", 3_600)
    bench = Bench(is_open=True)
    stranger, knows = crew.worker(Bench().task(name="other")), crew.worker(bench.task(), concurrency=64)
    ids = ids_of(4, 0, registry.partitions)
    async with crew.running(stranger), crew.running(knows):
        await crew.at_rest(stranger, knows)
        await registry.register_many([work(each, RERUNNABLE, each) for each in ids])
        for each in ids:
            await ended(registry, each)

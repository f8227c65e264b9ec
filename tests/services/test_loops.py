"""The loops of a worker, one step at a time, and how they are repeated."""

from __future__ import annotations

import asyncio

import pytest

from lash_redis.core.errors import RegistryUnavailable, UnsafeServerError
from lash_redis.core.events import Event, WorkerUnavailable
from lash_redis.core.subscribers import subscribed
from lash_redis.recovery.sweep import Sweep
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.identity import Identity
from lash_redis.worker.loops.checking_server import Checking
from lash_redis.worker.loops.loop import repeat
from lash_redis.worker.loops.polling import Polling
from lash_redis.worker.loops.sweeping import Sweeping
from tests.conformance.actors import OWNER_BOUND, begun, dead_owner, local_owner, work
from tests.look import record_of
from tests.services.conftest import Crew
from tests.support import wait_until


async def test_a_step_of_sweeping_is_one_pass(registry: ProcessRegistry) -> None:
    """What a dead owner had started is settled by it."""
    await registry.register(work("p", OWNER_BOUND))
    await begun(registry, "p", dead_owner())
    me = local_owner()
    await Sweeping(Sweep(registry, me), Identity(me), 1_000).step()
    assert (await record_of(registry, "p")).is_terminal


async def test_a_step_of_polling_asks_every_partition_again(registry: ProcessRegistry, crew: Crew) -> None:
    """The claims that follow find what a lost wake-up was about."""
    worker = crew.worker(registry=registry)
    claimer = worker.probe.in_flight.claimer
    claimer.may_have_more.clear()
    await Polling(claimer, worker.probe.changes, 1_000).step()
    assert claimer.may_have_more == set(range(registry.partitions))


async def test_a_step_of_checking_stops_the_claims_while_the_server_is_unsafe(
    registry: ProcessRegistry, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that evicts may lose leases; once it is safe again the claims go on."""
    worker = crew.worker(registry=registry)
    checking = Checking(registry, worker.probe.claiming)
    answers: list[Exception | None] = [UnsafeServerError("it evicts keys"), None]

    async def judged() -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    monkeypatch.setattr(registry, "check_server", judged)
    await checking.step()
    assert not worker.probe.claiming.may_claim
    await checking.step()
    assert worker.probe.claiming.may_claim


async def test_a_loop_reports_an_outage_and_goes_on() -> None:
    """A server that does not answer ends no loop."""
    steps = 0
    seen: list[Event] = []

    class Failing:
        operation, every_s, spread = "fail", 0.0, 0.0

        async def step(self) -> None:
            nonlocal steps
            steps += 1
            raise RegistryUnavailable("fail", "gone", maybe_applied=False)

    with subscribed(seen.append):
        running = asyncio.create_task(repeat(Failing()))
        await wait_until(lambda: steps >= 3, "it has gone on")
        running.cancel()
        await asyncio.wait([running])
    assert all(isinstance(event, WorkerUnavailable) and event.operation == "fail" for event in seen)
    assert len(seen) >= 3

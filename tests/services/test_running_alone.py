"""What has lost two owners runs alone in its worker (rule 4.6)."""

from __future__ import annotations

import pytest

from lash_redis.core.model import ProcessLease
from lash_redis.core.timing import use
from lash_redis.registry.answers import ClaimedRow
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.attempt import Attempt
from lash_redis.worker.neighbours import PATIENCE_MS, Neighbours
from tests.conformance.actors import CYD, OWNER_BOUND, RERUNNABLE, held, ids_of, settled, work
from tests.look import ended
from tests.services.benches import Bench
from tests.services.conftest import Crew
from tests.support import StillClock, wait_until


async def begun_by_the_second(registry: ProcessRegistry, *process_ids: str) -> None:
    """Register work that lost one owner, and that another has begun."""
    for id_ in process_ids:
        await registry.register(work(id_, RERUNNABLE, id_))
        await registry.start(await held(registry, id_, CYD))
        await loses_its_owner(registry, id_)
        await registry.start(await held(registry, id_, CYD))


async def loses_its_owner(registry: ProcessRegistry, *process_ids: str) -> None:
    """Let a sweep find the owner dead."""
    for id_ in process_ids:
        assert await settled(registry, id_, "queue", even_if_live=True)


@pytest.mark.parametrize("spread", [False, True], ids=["one partition", "two partitions"])
async def test_a_worker_runs_one_row_at_a_time_that_lost_two_owners(
    registry: ProcessRegistry, crew: Crew, spread: bool
) -> None:
    """Beside any number of others; the next begins once it has ended, without waiting for a poll."""
    bench = Bench()
    ids = ids_of(4, 0, registry.partitions)
    alone = ids[:2] + ids_of(2, 1, registry.partitions, "q") if spread else ids
    plain = ids_of(3, 0, registry.partitions, "plain")
    await begun_by_the_second(registry, *alone)
    await loses_its_owner(registry, *alone)
    await registry.register_many([work(id_, RERUNNABLE, id_) for id_ in plain])
    worker = crew.worker(bench.task())
    async with crew.running(worker):
        for done in range(len(alone)):
            wanted = len(plain) + done + 1
            await wait_until(lambda wanted=wanted: len(bench.begun) >= wanted, f"{wanted} have begun")  # type: ignore[misc]
            await crew.at_rest(worker)
            (runs,) = [each for each in bench.begun if each in alone][done:]
            bench.let_go(runs)
            await ended(registry, runs)
        bench.let_go(*plain)
        for each in plain:
            await ended(registry, each)


async def test_a_worker_that_is_woken_for_what_it_may_not_run_now_wakes_another(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """It runs one already; the other worker takes the next at once."""
    bench = Bench()
    one, two = ids_of(2, 0, registry.partitions)
    await begun_by_the_second(registry, one, two)
    first, second = crew.worker(bench.task()), crew.worker(bench.task())
    async with crew.running(first), crew.running(second):
        await crew.at_rest(first, second)
        await loses_its_owner(registry, one)
        await wait_until(lambda: bench.begun == [one], "the first has begun")
        await loses_its_owner(registry, two)

        await wait_until(lambda: bench.begun == [one, two], "the second has begun elsewhere")

        assert [worker.probe.running for worker in (first, second)] == [1, 1]
        bench.let_go(one, two)
        for each in (one, two):
            await ended(registry, each)


async def test_what_lost_two_owners_waits_for_owner_bound_work_to_end(registry: ProcessRegistry, crew: Crew) -> None:
    """It begins then without waiting for a poll, and no other owner-bound work begins beside it."""
    bench, bound = Bench(), Bench()
    poison, pay, later = ids_of(3, 0, registry.partitions)
    worker = crew.worker(bench.task(), bound.task("owner_bound", name="bound"))
    await begun_by_the_second(registry, poison)
    await registry.register(work(pay, OWNER_BOUND, pay, task="bound"))
    async with crew.running(worker):
        await wait_until(lambda: bound.begun == [pay], "owner-bound work runs")
        await loses_its_owner(registry, poison)
        await crew.at_rest(worker)
        assert bench.begun == []
        bound.let_go(pay)
        await wait_until(lambda: bench.begun == [poison], "it runs once that has ended")
        await registry.register(work(later, OWNER_BOUND, later, task="bound"))
        await crew.at_rest(worker)
        assert bound.begun == [pay]
        bench.let_go(poison)
        await wait_until(lambda: bound.begun == [pay, later], "owner-bound work runs again")
        bound.let_go(later)
        for each in (poison, pay, later):
            await ended(registry, each)


def attempt(*, alone: bool = False, bound: bool = False) -> Attempt:
    """Return an attempt at such a row."""
    lease = ProcessLease("p", CYD, "token", 1, 0, 0)
    name = "default|work||alone" if alone else "default|work|"
    return Attempt(lease, ClaimedRow("p", "token", 1, name, b"o" if bound else b"r", b""), 0)


def test_the_end_of_a_run_looks_at_no_other_one_unless_a_row_was_passed_over() -> None:
    """With many owner-bound runs at once, each end would cost as much as there are."""
    looks = list[None]()
    pay = attempt(bound=True)

    def here() -> list[Attempt]:
        looks.append(None)
        return [pay]

    neighbours = Neighbours(here)
    pay.ended = True
    assert neighbours.bound_ended() == []
    assert looks == []


def test_what_has_waited_for_too_long_comes_before_new_owner_bound_work() -> None:
    """A worker that always runs owner-bound work would never take it."""
    pay = attempt(bound=True)
    here = [pay]
    neighbours, clock = Neighbours(lambda: here), StillClock()
    with use(clock):
        assert (neighbours.may_take_alone, neighbours.may_take_bound) == (False, True)
        assert not neighbours.claimed(0, passed_alone=True)
        clock.now_ms += PATIENCE_MS
        assert (neighbours.may_take_alone, neighbours.may_take_bound) == (False, False)
        pay.ended = True
        assert neighbours.bound_ended() == [0]
        assert (neighbours.may_take_alone, neighbours.may_take_bound) == (True, False)

        assert neighbours.claimed(0, passed_alone=False), "owner-bound work waits by now: it claims again"

        assert neighbours.may_take_bound
        here[:] = [attempt(alone=True)]
        assert (neighbours.may_take_alone, neighbours.may_take_bound) == (False, False)

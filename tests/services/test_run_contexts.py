"""Each run has a context of its own: what one sets the next does not see."""

from __future__ import annotations

import asyncio
import contextvars
import decimal
from collections.abc import Callable
from typing import Any

import pytest

from lash_redis.core.current import CurrentProcess, current_process, running
from lash_redis.core.errors import LashError
from lash_redis.core.model import RecoveryDisposition
from lash_redis.core.outcomes import Success
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.declaration import declare
from tests.conformance.actors import begun, dead_owner, work
from tests.look import outcomes
from tests.services.conftest import Crew
from tests.services.runs import BOTH, Runs
from tests.support import wait_until

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


def shout() -> str:
    """Return what is set, and set something else."""
    found = VARIABLE.get()
    VARIABLE.set("set by a run")
    return found


def count_digits() -> int:
    """Return the precision of ``decimal``, and change it in place."""
    found = decimal.getcontext().prec
    decimal.getcontext().prec = 3
    return found


async def results_of_two(kind: int, function: Callable[[], Any]) -> list[Any]:
    """Run a function twice, one run after the other, and return what each gave."""

    async def in_async() -> Any:
        return function()

    def in_plain() -> Any:
        return function()

    runs = Runs([in_async, in_plain][kind])
    runs.begin()
    await wait_until(lambda: runs.ends, "the first has ended")
    runs.begin()
    return [result.value for result in await runs.results(2) if isinstance(result, Success)]


@BOTH
async def test_a_variable_that_a_run_sets_is_not_seen_by_the_next(kind: int) -> None:
    """Although both run in one thread."""
    assert await results_of_two(kind, shout) == ["unset", "unset"]


@BOTH
async def test_a_precision_that_a_run_sets_is_not_seen_by_the_next(kind: int) -> None:
    """The context of ``decimal`` is one object that is changed in place, so that copying variables is not enough."""
    assert await results_of_two(kind, count_digits) == [28, 28]


@BOTH
async def test_what_was_set_where_the_worker_was_made_is_seen_by_every_run(kind: int) -> None:
    """Also in threads, and also the precision of ``decimal``, which none of the runs changes for the worker itself."""
    token, before = VARIABLE.set("set by the program"), decimal.getcontext().prec
    decimal.getcontext().prec = 50
    try:
        assert await results_of_two(kind, shout) == ["set by the program"] * 2
        assert await results_of_two(kind, count_digits) == [50, 50]
        assert decimal.getcontext().prec == 50
    finally:
        VARIABLE.reset(token)
        decimal.getcontext().prec = before


async def test_what_surrounds_a_claim_is_not_seen_by_what_it_begins() -> None:
    """The run that ended and let the next begin is another piece of work."""

    async def work() -> str:
        return VARIABLE.get()

    runs = Runs(work)

    async def begin_with(value: str) -> None:
        VARIABLE.set(value)
        runs.begin()

    await asyncio.gather(begin_with("one"), begin_with("two"))
    assert await runs.results(2) == [Success("unset"), Success("unset")]


@pytest.mark.parametrize("kind", [0, 1], ids=["async", "plain"])
async def test_a_run_sees_the_variables_as_they_were_where_its_worker_was_made(
    registry: ProcessRegistry, crew: Crew, kind: int
) -> None:
    """What its caller sets between that and the first call is not meant for the runs."""

    async def in_async() -> str:
        return VARIABLE.get()

    def in_plain() -> str:
        return VARIABLE.get()

    VARIABLE.set("made")
    worker = crew.worker(declare([in_async, in_plain][kind], recovery="rerunnable", name="work"), registry=registry)
    VARIABLE.set("later")
    await registry.register(work("p", RecoveryDisposition.RERUNNABLE))
    await worker.drive_pending()
    assert await outcomes(registry, "p") == [Success("made")]


@BOTH
async def test_a_run_knows_what_it_is_an_attempt_at(kind: int) -> None:
    """So does what it starts as an asyncio task or in a thread of asyncio's, and what it returns to be awaited."""

    async def look() -> list[Any]:
        await asyncio.sleep(0)
        in_task = await asyncio.create_task(asyncio.wait_for(_current(), 60))
        return [each.id for each in (current_process(), await asyncio.to_thread(current_process), in_task)]

    async def _current() -> CurrentProcess:
        return current_process()

    def plain() -> Any:
        assert isinstance(running(), CurrentProcess)
        return look()

    runs = Runs([look, plain][kind])
    attempts = [runs.begin(), runs.begin()]
    found = [result.value for result in await runs.results(2) if isinstance(result, Success)]
    assert sorted(found) == sorted([[each.process_id] * 3 for each in attempts])


async def test_each_attempt_has_the_id_of_its_process_and_a_larger_fence(registry: ProcessRegistry, crew: Crew) -> None:
    """The id is what a system outside takes as its idempotency key; the fence tells attempts apart."""
    seen: list[CurrentProcess] = []

    def look() -> None:
        seen.append(current_process())

    declared = declare(look, recovery=RecoveryDisposition.RERUNNABLE, name="work")
    await registry.register(work("p", RecoveryDisposition.RERUNNABLE))
    lost = await begun(registry, "p", dead_owner())

    await crew.worker(declared).drive_pending()

    assert [(each.id, each.task) for each in seen] == [("p", "work")]
    assert seen[0].fencing_token > lost.fencing_token


def test_no_process_runs_outside_of_a_run() -> None:
    """A direct call of a task is told so, unless it says what it wants instead."""
    with pytest.raises(LashError, match=r"no process runs here.*direct call.*current_process\(None\)"):
        current_process()
    assert current_process(None) is None
    assert current_process("direct") == "direct"

"""``result()``: the value, or an error that carries the outcome."""

from __future__ import annotations

import asyncio

import pytest

import lash_redis
from lash_redis.app.lash import Lash
from lash_redis.app.process import Process
from lash_redis.core.errors import LashError, NoResult, WorkAbandoned, WorkCancelled, WorkFailed
from lash_redis.core.model import ExternalOwner
from lash_redis.core.outcomes import Abandoned, AbandonEvidence, AbandonWriter, Cancelled, Failure, Outcome, Success
from lash_redis.worker.worker import Worker
from tests.app.working import finish

EVIDENCE = AbandonEvidence(AbandonWriter.SWEEP, None, 1, "reaped", "exit status -9")
ENDS: list[tuple[Failure | Cancelled | Abandoned, type[NoResult], str]] = [
    (
        Failure("ValueError", "no order", "Traceback …"),
        WorkFailed,
        "process 'p' failed: ValueError: no order",
    ),
    (Failure("no_input"), WorkFailed, "process 'p' failed: no_input"),
    (Cancelled("wrong customer"), WorkCancelled, "process 'p' was cancelled: wrong customer"),
    (Cancelled(), WorkCancelled, "process 'p' was cancelled"),
    (
        Abandoned(EVIDENCE),
        WorkAbandoned,
        "process 'p' was abandoned, and nobody can know its result (sweep: reaped (exit status -9))",
    ),
]


async def test_the_result_is_what_the_work_returned(lash: Lash) -> None:
    """It has the type that the task declares, with an event loop and without."""

    @lash.task(recovery="rerunnable")
    def widths() -> set[int]:
        return {1, 2}

    process = await widths.submit()
    await finish(lash, process, Success([1, 2]))

    assert await process.result(timeout=60) == {1, 2}
    assert await asyncio.to_thread(lambda: process.blocking.result(timeout=60)) == {1, 2}


@pytest.mark.parametrize(("outcome", "kind", "message"), ENDS)
async def test_work_without_a_result_raises_its_outcome(
    outcome: Outcome, kind: type[NoResult], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says how it ended, and carries id and outcome."""
    process = Lash("unix:///nowhere/s").process("p")

    async def ended(*_: object, **__: object) -> Outcome:
        return outcome

    monkeypatch.setattr(Process, "outcome", ended)
    with pytest.raises(kind) as raised:
        await process.result()

    assert str(raised.value) == message
    assert (raised.value.process_id, raised.value.outcome) == ("p", outcome)


async def test_the_traceback_of_the_work_stands_below_the_error(lash: Lash) -> None:
    """Whoever sees the error in a log sees where the work failed; one handler catches all that have no result."""
    process = await lash.expect("p")
    await lash.complete_external("p", Failure("ValueError", "no", "Traceback of the work\n"), ExternalOwner("me"))

    with pytest.raises(NoResult) as raised:
        await process.result(timeout=60)
    with pytest.raises(WorkFailed, match="process 'p' failed: ValueError: no"):
        await asyncio.to_thread(lambda: process.blocking.result(timeout=60))

    assert raised.value.__notes__ == ["in its worker:\nTraceback of the work"]


async def test_a_result_that_is_not_there_yet_is_a_timeout(lash: Lash) -> None:
    """It takes what ``outcome`` takes."""
    process = await lash.expect("p")

    with pytest.raises(TimeoutError):
        await process.result(timeout=0, on_uncertain="raise")


def test_every_end_without_a_result_is_exported() -> None:
    """A program catches all of them by one name, and each of them by its own."""
    kinds = [lash_redis.NoResult, lash_redis.WorkFailed, lash_redis.WorkCancelled, lash_redis.WorkAbandoned]

    assert all(issubclass(kind, lash_redis.NoResult) for kind in kinds)
    assert issubclass(NoResult, LashError)


async def test_work_that_awaits_failed_work_fails_with_both_reasons(lash: Lash) -> None:
    """The code is the error as people import it, and the message leads to the work that failed first."""

    @lash.task(recovery="rerunnable", name="reserve")
    async def reserve() -> int:
        raise ValueError("no stock")

    @lash.task(recovery="rerunnable", name="order")
    async def order() -> int:
        return await (await reserve.options(process_id="reserve:1").submit()).result(timeout=60)

    async with lash:
        worker = Worker(lash.registry, tasks=lash.tasks)
        running = asyncio.create_task(worker.run())
        outcome = await (await order.submit()).outcome(timeout=60)
        await worker.drain()
        await running

    assert isinstance(outcome, Failure)
    assert (outcome.code, outcome.message) == (
        "lash_redis.WorkFailed",
        "process 'reserve:1' failed: ValueError: no stock",
    )

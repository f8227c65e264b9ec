"""Retries as a program declares them and a worker makes them: what failed runs again, and the record says how often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import fakeredis
import pytest

from lash_redis.app.lash import Lash
from lash_redis.core.current import current_process
from lash_redis.core.errors import SettingsError
from lash_redis.core.events import Event, ProcessFailed, ProcessRetried
from lash_redis.core.model import Phase
from lash_redis.core.outcomes import Cancelled, Failure, Success
from lash_redis.core.retrying import Retries, Retry, Snooze
from lash_redis.core.subscribers import subscribed
from lash_redis.worker.worker import Worker
from tests.soundness import assert_sound
from tests.support import wait_until

SOON = Retries(attempts=3, first=0.001, most=0.01)


class Busy(Exception):
    """Somebody else is at it."""


@pytest.fixture
async def lash() -> AsyncIterator[Lash]:
    """Return a Lash on a fake server of its own, whose time passes."""
    client = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())
    made = Lash(client)
    yield made
    await made.aclose()
    await assert_sound(client, "lash")


@asynccontextmanager
async def at_work(lash: Lash) -> AsyncIterator[list[Event]]:
    """Run what is submitted, and keep what is told meanwhile."""
    told: list[Event] = []
    worker = Worker(lash.registry, tasks=lash.tasks)
    with subscribed(told.append):
        running = asyncio.create_task(worker.run())
        yield told
        await worker.drain()
        await running


@pytest.mark.parametrize("is_async", [True, False])
async def test_what_fails_runs_again_until_it_succeeds(lash: Lash, is_async: bool) -> None:
    """The code knows the number of its run; each failed run is told of, and the record has the last failure."""
    numbers: list[int] = []

    def work() -> str:
        numbers.append(current_process().attempt)
        if len(numbers) < 3:
            raise Busy(f"run {len(numbers)}")
        return "done"

    async def work_async() -> str:
        return work()

    task = lash.task(recovery="rerunnable", name="work", retries=SOON)(work_async if is_async else work)
    async with lash, at_work(lash) as told:
        process = await task.submit()
        assert await process.outcome(timeout=30) == Success("done")
        record = await process.record()

    assert numbers == [1, 2, 3]
    assert (record.attempts, record.losses, record.releases) == (3, 0, 0)
    assert record.last_failure is not None
    assert (record.last_failure.code, record.last_failure.message) == (f"{__name__}.Busy", "run 2")
    retried = [each for each in told if isinstance(each, ProcessRetried)]
    assert [(each.attempt, each.message) for each in retried] == [(1, "run 1"), (2, "run 2")]
    assert not [each for each in told if isinstance(each, ProcessFailed)]


async def test_a_retry_that_is_asked_for_is_told_without_its_traceback(lash: Lash) -> None:
    """Its reason says all; one that was raised because of another error shows that error."""

    def dial() -> None:
        raise Busy("the line")

    @lash.task(recovery="rerunnable", name="work")
    def work() -> str:
        if current_process().attempt == 1:
            raise Retry("not yet", after=0)
        if current_process().attempt == 2:
            try:
                dial()
            except Busy as error:
                raise Retry("busy", after=0) from error
        return "done"

    async with lash, at_work(lash) as told:
        assert await (await work.submit()).outcome(timeout=30) == Success("done")

    asked, caused = [each for each in told if isinstance(each, ProcessRetried)]
    assert (asked.code, asked.message, asked.traceback) == ("lash_redis.Retry", "not yet", "")
    assert "Busy: the line" in caused.traceback


async def test_after_its_last_run_it_has_failed(lash: Lash) -> None:
    """With the failure of that run."""

    @lash.task(recovery="rerunnable", name="work", retries=SOON)
    def work() -> None:
        raise Busy(str(current_process().attempt))

    async with lash, at_work(lash) as told:
        process = await work.submit()
        outcome = await process.outcome(timeout=30)
        record = await process.record()

    assert isinstance(outcome, Failure)
    assert outcome.message == "3"
    assert record.attempts == 3
    assert [each.attempt for each in told if isinstance(each, ProcessFailed)] == [3]


async def test_only_the_declared_errors_are_tried_again(lash: Lash) -> None:
    """Others end the work at once, also those that are excepted."""

    class VeryBusy(Busy):
        pass

    runs: list[str] = []

    @lash.task(recovery="rerunnable", name="work", retries=Retries(first=0.001, on=(Busy, OSError), never=VeryBusy))
    def work(kind: str) -> None:
        runs.append(kind)
        raise {"value": ValueError, "very": VeryBusy, "os": FileNotFoundError}[kind]

    async with lash, at_work(lash):
        processes = await work.submit_many([("value",), ("very",), ("os",)])
        for process in processes:
            assert isinstance(await process.outcome(timeout=30), Failure)

    assert sorted(runs) == ["os"] * 5 + ["value", "very"]


async def test_the_code_asks_for_a_retry_and_for_a_snooze(lash: Lash) -> None:
    """The first counts as an attempt, and its cause is the failure; the second does not count."""
    runs: list[int] = []

    @lash.task(recovery="rerunnable", name="work")
    def work() -> int:
        runs.append(current_process().attempt)
        if len(runs) == 1:
            raise Retry(after=0.001) from Busy("the printer")
        if len(runs) < 4:
            raise Snooze(0.001)
        return len(runs)

    async with lash, at_work(lash):
        process = await work.submit()
        assert await process.result(timeout=30) == 4
        record = await process.record()

    assert runs == [1, 2, 2, 2]
    assert record.attempts == 2
    assert record.last_failure is not None
    assert record.last_failure.message == "the printer"


async def test_a_retry_names_its_cause_whatever_the_methods_of_the_cause_do(lash: Lash) -> None:
    """An error may be false, as an empty collection is, or refuse to say what it is. The run has an end."""

    class Nothing(Busy):
        def __bool__(self) -> bool:
            return False

    class Broken(Busy):
        def __bool__(self) -> bool:
            raise RuntimeError

    class Mute(Retry):
        def __str__(self) -> str:
            raise RuntimeError

    @lash.task(recovery="rerunnable", name="work", retries=1)
    def work(kind: str) -> None:
        if kind == "mute":
            raise Mute
        raise Retry from {"nothing": Nothing, "broken": Broken}[kind](kind)

    async with lash, at_work(lash):
        processes = await work.submit_many([("nothing",), ("broken",), ("mute",)])
        outcomes = [await process.outcome(timeout=30) for process in processes]

    assert [each.message for each in outcomes if isinstance(each, Failure)] == [
        "nothing", "broken", "<no text: RuntimeError>",
    ]  # fmt: skip


async def test_owner_bound_work_is_not_tried_again_whatever_it_asks_for(lash: Lash) -> None:
    """It fails, and says why; retries are refused where it is declared."""
    runs: list[int] = []

    @lash.task(recovery="owner_bound", name="work")
    async def work(how: str) -> None:
        runs.append(1)
        raise Retry("later") if how == "retry" else Snooze(1)

    async with lash, at_work(lash):
        for process in await work.submit_many([("retry",), ("snooze",)]):
            outcome = await process.outcome(timeout=30)
            assert isinstance(outcome, Failure)
            assert "once started it may never run again" in outcome.message

    assert len(runs) == 2
    with pytest.raises(SettingsError, match=r"retries=3 on owner-bound work: once started it may never run again; "):
        lash.task(recovery="owner_bound", name="other", retries=3)(lambda: None)


async def test_a_cancel_request_ends_what_waits_for_its_next_run(lash: Lash) -> None:
    """The row is delayed, and nobody runs it."""

    @lash.task(recovery="rerunnable", name="work", retries=Retries(first=3600, most=3600, jitter=0))
    def work() -> None:
        raise Busy

    async with lash, at_work(lash):
        process = await work.submit()

        async def waits() -> bool:
            return (await process.record()).phase is Phase.DELAYED

        await wait_until(waits, "it waits for its next run")
        with pytest.raises(
            TimeoutError, match=r"it is delayed, due at 2\d{3}-.* UTC, in \d+ min.*, by the server's clock"
        ):
            await process.outcome(timeout=0)
        await process.request_cancel(by="ada", reason="enough")
        assert await process.outcome(timeout=30) == Cancelled("enough")


async def test_what_nobody_starts_in_time_is_cancelled_and_says_so(lash: Lash) -> None:
    """A declared expiry holds for every submit that gives no other."""

    @lash.task(recovery="rerunnable", name="work", expires_in=0.001)
    def work() -> str:
        return "done"

    async with lash:
        late = await work.submit()
        in_time = await work.options(expires_in=3600).submit()
        assert (await late.record()).expires_in_ms == 1

        async def has_expired() -> bool:
            seconds, microseconds = await lash.registry.connections.execute("calls", "TIME")
            return int(seconds) * 1000 + int(microseconds) // 1000 > ((await late.record()).expires_at_ms or 0)

        await wait_until(has_expired, "its expiry has passed")
        async with at_work(lash):
            assert await in_time.outcome(timeout=30) == Success("done")
            assert await late.outcome(timeout=30) == Cancelled("expired")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("retries", 0, "expected retries to be a number of runs in all, from 1 to 1000000, or a Retries(...), got 0"),
        ("retries", True, "got True"),
        ("expires_in", 0, "expected expires_in to be a number of seconds or a timedelta, from 0.001 s to 100 years"),
        ("expires_in", "1 h", "got '1 h'"),
    ],
)
def test_what_is_declared_wrongly_is_refused_with_what_is_allowed(name: str, value: Any, said: str) -> None:
    """Where it is declared."""
    with pytest.raises(SettingsError) as raised:
        Lash("unix:///nowhere/s").task(recovery="rerunnable", name="work", **{name: value})(lambda: None)
    assert said in str(raised.value)

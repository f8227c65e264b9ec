"""How the code of a run ends, and that no end takes the worker down. What an end means: test_ending.py."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from lash_redis.core.error_text import MAX_TEXT
from lash_redis.core.errors import StopRequested
from lash_redis.core.events import Event, WorkerCannotBegin
from lash_redis.core.outcomes import Failure, Success
from lash_redis.core.subscribers import subscribed
from lash_redis.worker.attempt import Stop
from lash_redis.worker.ending import How
from lash_redis.worker.run_end import RunEnd, run_end
from tests.services.runs import BOTH, Runs, attempt_at
from tests.support import wait_until


def failing(error: BaseException) -> list[Callable[[], Any]]:
    """Return an ``async`` and a plain function that raise."""

    async def in_async() -> None:
        raise error.with_traceback(None)

    def in_plain() -> None:
        raise error.with_traceback(None)

    return [in_async, in_plain]


@BOTH
async def test_what_is_returned_is_a_success(kind: int) -> None:
    """Its value is carried as plain builtins."""

    async def in_async(number: int) -> tuple[int, int]:
        return number, number

    def in_plain(number: int) -> tuple[int, int]:
        return number, number

    runs = Runs([in_async, in_plain][kind])
    runs.begin(4)
    assert await runs.result() == Success([4, 4])


class Refusal(Exception):
    """An error of somebody's program."""


ENDINGS = [Refusal("no"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopRequested("by hand"),
           asyncio.CancelledError("by hand"), BaseException("bare")]  # fmt: skip


@BOTH
@pytest.mark.parametrize("error", ENDINGS, ids=lambda error: type(error).__name__)
async def test_what_is_raised_is_a_failure_and_never_the_workers_end(kind: int, error: BaseException) -> None:
    """Also what elsewhere ends a program: with type, message and a traceback that begins in user code."""
    runs = Runs(failing(error)[kind])
    runs.begin()
    outcome = await runs.result()
    assert isinstance(outcome, Failure)
    assert outcome.code.rpartition(".")[2] == type(error).__qualname__
    assert outcome.message == str(error)
    assert "raise error" in outcome.traceback
    assert "worker/runner.py" not in outcome.traceback


async def test_a_builtin_error_is_named_without_its_module() -> None:
    """``ValueError`` is what everybody calls it; others are qualified."""
    names = []
    for error in (ValueError("x"), Refusal("x")):
        runs = Runs(failing(error)[0])
        runs.begin()
        outcome = await runs.result()
        assert isinstance(outcome, Failure)
        names.append(outcome.code)
    assert names == ["ValueError", f"{__name__}.Refusal"]


class Unspeakable(Exception):
    """An error that fails to say what it is."""

    def __init__(self, failure: BaseException) -> None:
        super().__init__()
        self.failure = failure

    def __str__(self) -> str:
        raise self.failure


@BOTH
@pytest.mark.parametrize("failure", [ValueError("broken"), SystemExit(1), KeyboardInterrupt()], ids=repr)
async def test_an_error_whose_text_cannot_be_made_is_still_a_failure(kind: int, failure: BaseException) -> None:
    """Whatever its ``__str__`` raises."""
    runs = Runs(failing(Unspeakable(failure))[kind])
    runs.begin()
    outcome = await runs.result()
    assert isinstance(outcome, Failure)
    assert outcome.code.endswith(".Unspeakable")
    assert outcome.message.startswith("<no text")


@BOTH
async def test_a_traceback_is_bounded_and_keeps_its_end(kind: int) -> None:
    """However deep the recursion and however long the message."""

    def deeper(level: int) -> None:
        if level == 0:
            raise Refusal("é" * 100_000)
        deeper(level - 1)

    async def in_async() -> None:
        deeper(500)

    def in_plain() -> None:
        deeper(500)

    runs = Runs([in_async, in_plain][kind])
    runs.begin()
    outcome = await runs.result()
    assert isinstance(outcome, Failure)
    assert len(outcome.message.encode()) <= 4 * MAX_TEXT
    assert len(outcome.traceback.encode()) <= 4 * MAX_TEXT


async def test_text_that_utf8_cannot_hold_is_still_carried() -> None:
    """A surrogate in a message must not spoil the batch that it is written in."""
    runs = Runs(failing(Refusal("bad \udcff name"))[0])
    runs.begin()
    outcome = await runs.result()
    assert isinstance(outcome, Failure)
    assert outcome.message == "bad ? name"
    msgspec.msgpack.encode([outcome.message, outcome.traceback])


@BOTH
@pytest.mark.parametrize("result", [object(), 2**70, "\udcff"], ids=["object", "huge", "surrogate"])
async def test_a_result_that_cannot_be_carried_is_a_failure(kind: int, result: Any) -> None:
    """The work is done, but nobody could read what it returned; the worker goes on."""

    async def in_async() -> Any:
        return result

    def in_plain() -> Any:
        return result

    runs = Runs([in_async, in_plain][kind])
    runs.begin()
    assert isinstance(await runs.result(), Failure)


@BOTH
@pytest.mark.parametrize("why", Stop, ids=lambda value: getattr(value, "name", ""))
async def test_what_lets_itself_be_stopped_is_interrupted(kind: int, why: Stop) -> None:
    """Whatever the reason for the stop: what follows from it is not for the runner to decide."""
    runs, begun = _stoppable(kind)
    attempt = runs.begin()
    await wait_until(lambda: begun, "it has begun")
    assert attempt.ask_to_stop(why, "enough")
    assert (await runs.end()).how is How.INTERRUPTED


@BOTH
async def test_what_was_asked_to_stop_and_returned_all_the_same_is_a_success(kind: int) -> None:
    """It finished: that is its result."""
    runs, begun = _stoppable(kind, then="returned")
    attempt = runs.begin()
    await wait_until(lambda: begun, "it has begun")
    attempt.ask_to_stop(Stop.REQUESTED)
    assert await runs.end() == RunEnd(How.RETURNED, Success("returned"))


@BOTH
async def test_what_was_asked_to_stop_and_raised_something_else_is_a_failure(kind: int) -> None:
    """It reported failure."""
    runs, begun = _stoppable(kind, then=Refusal("while stopping"))
    attempt = runs.begin()
    await wait_until(lambda: begun, "it has begun")
    attempt.ask_to_stop(Stop.DRAIN)
    end = await runs.end()
    assert end.how is How.RAISED
    assert isinstance(end.result, Failure)
    assert end.result.message == "while stopping"


@BOTH
async def test_what_is_stopped_before_its_first_line_never_runs_it(kind: int) -> None:
    """And never began, which is told apart: nothing of it can have acted."""
    runs, begun = _stoppable(kind)
    attempt = runs.begin()
    attempt.ask_to_stop(Stop.REQUESTED, "enough")
    how = (await runs.end()).how
    # A thread may have been quicker; what was entered counts as begun, even if its first line has not run.
    assert how is How.NEVER_BEGAN or (kind == 1 and how is How.INTERRUPTED)
    assert how is How.INTERRUPTED or not begun


def _stoppable(kind: int, then: Any = None) -> tuple[Runs, list[None]]:
    begun: list[None] = []

    def after(stop: BaseException) -> Any:
        if then is None:
            raise stop
        if isinstance(then, BaseException):
            raise then
        return then

    async def in_async() -> Any:
        begun.append(None)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as stop:
            return after(stop)

    def in_plain() -> Any:
        begun.append(None)
        try:
            while True:
                pass
        except StopRequested as stop:
            return after(stop)

    return Runs([in_async, in_plain][kind]), begun


@pytest.mark.parametrize("encoded", [b"", b"\xc1", b"\x92\x90", b"\x92\x01\x80", b"\x90", b"\x05"], ids=repr)
async def test_input_that_is_damaged_fails_its_process_alone(encoded: bytes) -> None:
    """Poison data ends one process, never the worker."""

    async def work() -> None:
        raise AssertionError("must not run")

    runs = Runs(work)
    attempt = attempt_at()
    attempt.row = msgspec.structs.replace(attempt.row, input=encoded)
    runs.runner.begin(attempt)
    outcome = await runs.result()
    assert isinstance(outcome, Failure)
    assert outcome.code in ("undecodable", "no_input")


async def test_a_task_that_is_not_known_has_nothing_to_execute() -> None:
    """The claim never hands such a row out; if it did, nothing would run."""
    runs = Runs()
    runs.begin()
    outcome = await runs.result()
    assert isinstance(outcome, Failure)
    assert outcome.code == "no_input"


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError(), OSError(11, "no")], ids=repr)
async def test_where_no_thread_can_be_started_the_run_never_began(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, and nothing of it has run."""
    seen: list[Event] = []

    def work() -> None:
        raise AssertionError("must not run")

    def no_thread(_thread: threading.Thread) -> None:
        raise error

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    runs = Runs(work)
    with subscribed(seen.append):
        attempt = runs.begin()
    assert (await runs.end()).how is How.NEVER_BEGAN
    assert seen == [WorkerCannotBegin(process_id=attempt.process_id, reason=str(error))]


async def test_while_no_thread_can_be_started_little_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing at first, then one at a time, and as much as ever once a thread was started."""
    ended = list[None]()

    def work() -> None:
        ended.append(None)

    def no_thread(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    runs = Runs(work)
    with monkeypatch.context() as at_the_limit:
        at_the_limit.setattr(threading.Thread, "start", no_thread)
        runs.begin()
        assert runs.runner.room(64) == 0
        await wait_until(lambda: runs.changes, "the worker is told to look again")
        assert runs.runner.room(64) == 1
    runs.begin()
    assert runs.runner.room(64) == 64
    await runs.results(2)
    assert ended == [None]


async def test_once_a_thread_can_be_started_again_all_is_claimed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any work that needs one: it is tried, and the thread waits for the next run."""

    def no_thread(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def work() -> None:
        raise AssertionError("must not run")

    runs = Runs(work)
    with monkeypatch.context() as at_the_limit:
        at_the_limit.setattr(threading.Thread, "start", no_thread)
        runs.begin()
    await wait_until(lambda: runs.runner.room(64) == 64, "nothing is limited any more")
    assert runs.changes
    runs.runner.close()


@BOTH
async def test_a_forked_copy_of_a_worker_begins_nothing_and_tells_nothing(kind: int) -> None:
    """Also if the fork comes between the claim and the first line: what it was given belongs to the original."""
    runs, begun = _stoppable(kind)
    runs.is_original = False
    runs.begin()
    runs.is_original = True
    if kind == 0:
        runs.begin()
        runs.is_original = False
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert (runs.ends, begun) == ([], [])
    runs.runner.close()


@BOTH
async def test_what_strikes_right_behind_a_start_gives_back_only_what_never_begins(
    kind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain run has begun by then, and tells its own end. An async one has not, and its code is never entered."""
    entered = threading.Event()

    async def in_async() -> str:
        entered.set()
        return "done"

    def in_plain() -> str:
        entered.set()
        return "done"

    runs = Runs([in_async, in_plain][kind])
    name = ["_begin_async", "_begin_plain"][kind]
    start = getattr(runs.runner, name)

    def strike(*args: Any) -> None:
        start(*args)
        assert entered.wait(40 * kind) is bool(kind)
        raise TimeoutError("the handler of a signal")

    monkeypatch.setattr(runs.runner, name, strike)
    runs.begin()
    end = await runs.end()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)

    assert end.how is [How.NEVER_BEGAN, How.RETURNED][kind]
    assert entered.is_set() is bool(kind)


async def test_what_is_cancelled_before_its_first_step_never_began() -> None:
    """Somebody cancels all tasks of the event loop: none of ours runs then, and each end is told all the same."""

    async def work() -> None:
        raise AssertionError("must not run")

    runs, mine = Runs(work), asyncio.all_tasks()
    for _ in range(100):
        runs.begin()
    for task in asyncio.all_tasks() - mine:
        task.cancel()
    await runs.results(100)
    assert [end.how for end in runs.ends] == [How.NEVER_BEGAN] * 100


async def test_an_end_that_was_struck_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler of a signal may raise in whatever of ours runs just then."""
    strikes = list[BaseException]()

    def struck(*args: Any) -> RunEnd:
        if strikes:
            raise strikes.pop()
        return run_end(*args)

    async def at_once() -> str:
        return "at once"

    async def later() -> str:
        await asyncio.sleep(0)
        return "later"

    monkeypatch.setattr("lash_redis.worker.runner.run_end", struck)
    mine = asyncio.all_tasks()
    for function in (at_once, later):
        strikes[:] = [TimeoutError("the handler of a signal")]
        runs = Runs(function)
        runs.begin()
        (task,) = asyncio.all_tasks() - mine
        assert (await runs.end()).how is How.RETURNED
        with pytest.raises(TimeoutError):
            await task


async def test_a_run_that_never_waits_takes_one_call_of_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call takes a handle and a part of a turn: a quarter of what a no-op costs."""
    loop, calls = asyncio.get_running_loop(), list[None]()
    call_soon = loop.call_soon

    def counted(*args: Any, **options: Any) -> asyncio.Handle:
        calls.append(None)
        return call_soon(*args, **options)

    async def work() -> None:
        pass

    runs = Runs(work)
    monkeypatch.setattr(loop, "call_soon", counted)
    for _ in range(64):
        runs.begin()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    monkeypatch.undo()
    assert len(await runs.results(64)) == 64
    assert len(calls) <= 64 + 6

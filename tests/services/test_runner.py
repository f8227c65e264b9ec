"""How the code of a run ends, and that no end takes the worker down. What an end means: test_ending.py."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from lash_redis.core.errors import StopRequested
from lash_redis.core.model import Failure, ProcessLease, Success
from lash_redis.tasks.catalogue import Catalogue
from lash_redis.tasks.declaration import declare
from lash_redis.worker.attempt import Attempt, Stop
from lash_redis.worker.ending import How
from lash_redis.worker.failures import MAX_TEXT
from lash_redis.worker.runner import RunEnd, Runner
from tests.conformance.actors import ADA, claimed_row
from tests.support import wait_until

_numbers = itertools.count(1)


def attempt_at(*args: Any, task: str = "work", bound: bool = False) -> Attempt:
    """Return an attempt at calling a task."""
    lease = ProcessLease(f"p{next(_numbers)}", ADA, "token", 1, 0, 1)
    return Attempt(lease, claimed_row(lease, *args, task=task, bound=bound))


class Runs:
    """Runs attempts and keeps what came of them."""

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        tasks = [] if function is None else [declare(function, recovery="rerunnable", name="work")]
        self.ends: list[RunEnd] = []
        self.runner = Runner(Catalogue(tasks), lambda _attempt, end: self.ends.append(end))

    def begin(self, *args: Any) -> Attempt:
        """Begin one attempt."""
        attempt = attempt_at(*args)
        self.runner.begin(attempt)
        return attempt

    async def result(self) -> Success | Failure:
        """Wait for the end and return what the code itself says."""
        return (await self.end()).result

    async def end(self) -> RunEnd:
        """Wait for one end, the only one, and return it."""
        await wait_until(lambda: self.ends, "it has ended")
        self.runner.close()
        assert len(self.ends) == 1
        return self.ends[0]


def failing(error: BaseException) -> list[Callable[[], Any]]:
    """Return an ``async`` and a plain function that raise."""

    async def in_async() -> None:
        raise error.with_traceback(None)

    def in_plain() -> None:
        raise error.with_traceback(None)

    return [in_async, in_plain]


BOTH = pytest.mark.parametrize("kind", [0, 1], ids=["async", "plain"])


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
    """And ends as any other that was stopped."""
    runs, begun = _stoppable(kind)
    attempt = runs.begin()
    attempt.ask_to_stop(Stop.REQUESTED, "enough")
    assert (await runs.end()).how is How.INTERRUPTED
    assert kind == 1 or not begun  # a thread may have been quicker


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


@pytest.mark.parametrize(
    "encoded", [b"", b"\xc1", b"\x93\xa4work\x90", b"\x93\xa4work\x01\x80", b"\x90", b"\x05"], ids=repr
)
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

"""Plain work in threads: an interrupt reaches the run that it is meant for, and never the next."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lash_redis.core.errors import StopRequested
from lash_redis.worker.call_end import CallEnd
from lash_redis.worker.threads import Run, Threads
from tests.support import block_until


class Ends:
    """What became of runs, in the order of their ends."""

    def __init__(self) -> None:
        self.all: list[tuple[Any, BaseException | None]] = []
        self.threads: list[int] = []

    def run(self, call: Callable[[], Any]) -> Run:
        """Return a run whose end is kept."""
        return Run(call, self.keep, lambda: True)

    def keep(self, end: CallEnd) -> None:
        """Keep the end of a run."""
        self.threads.append(threading.get_ident())
        self.all.append((end.value, end.error))

    def wait(self, count: int) -> None:
        """Wait until so many have ended."""
        block_until(lambda: len(self.all) >= count, f"{count} have ended, not {len(self.all)}")


@pytest.fixture
def threads() -> Any:
    """Return threads that are let go at the end, and see them gone."""
    made = Threads()
    yield made
    made.close()
    block_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("lash-task")], "all have gone")


def test_a_stop_reaches_a_plain_task(threads: Threads) -> None:
    """``StopRequested`` is raised at its next bytecode, even in a loop that calls nothing."""
    ends, begun = Ends(), threading.Event()

    def spin() -> None:
        begun.set()
        while True:
            pass

    run = ends.run(spin)
    threads.submit(run)
    assert begun.wait(10)
    run.interrupt()
    ends.wait(1)
    assert isinstance(ends.all[0][1], StopRequested)


def test_except_exception_does_not_swallow_it(threads: Threads) -> None:
    """It is a ``BaseException``: user code that catches its own errors lets it pass."""
    ends, begun = Ends(), threading.Event()

    def careful() -> None:
        while True:
            try:
                begun.set()
            except Exception:  # noqa: BLE001 - as user code does
                return

    run = ends.run(careful)
    threads.submit(run)
    assert begun.wait(10)
    run.interrupt()
    ends.wait(1)
    assert isinstance(ends.all[0][1], StopRequested)


def test_a_stop_before_the_first_line_lets_none_run(threads: Threads) -> None:
    """It waited for a thread: its code never begins."""
    ends = Ends()
    ran: list[None] = []
    run = ends.run(lambda: ran.append(None))
    run.interrupt()
    threads.submit(run)
    ends.wait(1)
    assert isinstance(ends.all[0][1], StopRequested)
    assert ran == []


def test_a_stop_after_the_end_reaches_nobody(threads: Threads) -> None:
    """The thread has another run by then."""
    ends = Ends()
    first = ends.run(lambda: 1)
    threads.submit(first)
    ends.wait(1)
    gate, begun = threading.Event(), threading.Event()

    def second() -> int:
        begun.set()
        while not gate.wait(0.001):
            pass
        return 2

    threads.submit(ends.run(second))
    assert begun.wait(10)
    first.interrupt()
    gate.set()
    ends.wait(2)
    assert ends.all == [(1, None), (2, None)]


def test_threads_are_reused_and_as_many_as_are_needed_at_once(threads: Threads) -> None:
    """One after the other in one thread; three at once in three."""
    ends = Ends()
    for number in range(1, 6):
        threads.submit(ends.run(lambda: None))
        ends.wait(number)
        block_until(lambda: threads.idle == 1, "its thread is idle")
    assert len(set(ends.threads)) == 1

    together = threading.Barrier(3, timeout=60)
    for _ in range(3):
        threads.submit(ends.run(together.wait))
    ends.wait(8)
    assert len(set(ends.threads)) == 3
    assert [error for _, error in ends.all] == [None] * 8


def test_interrupts_that_race_with_the_end_reach_no_other_run(threads: Threads) -> None:
    """Over many runs: each ends once, as done or as stopped, and the next in that thread is unharmed."""
    ends, rounds = Ends(), 300
    for number in range(rounds):
        begun = threading.Event()
        run = ends.run(begun.set)
        threads.submit(run)
        assert begun.wait(10)
        for _ in range(number % 40):
            pass
        run.interrupt()
        done = threading.Event()
        threads.submit(ends.run(done.set))
        assert done.wait(10)
    ends.wait(2 * rounds)
    assert len(ends.all) == 2 * rounds
    stopped = [error for _, error in ends.all if error is not None]
    assert all(isinstance(error, StopRequested) for error in stopped)
    assert len(stopped) <= rounds


class LateToLeave(Run):
    """A run that is interrupted after its function returned and before it has left."""

    def _leave(self) -> None:
        if not self._stopped:
            interrupter = threading.Thread(target=self.interrupt)
            interrupter.start()
            interrupter.join()
        super()._leave()


def test_an_interrupt_between_the_functions_end_and_the_runs_is_survived(threads: Threads) -> None:
    """The end is reported all the same, with the value that was returned, and the thread takes the next run."""
    ends = Ends()
    run = LateToLeave(lambda: "value", ends.keep, lambda: True)
    threads.submit(run)
    ends.wait(1)
    block_until(lambda: threads.idle == 1, "its thread is idle")
    threads.submit(ends.run(lambda: "next"))
    ends.wait(2)
    assert ends.all == [("value", None), ("next", None)]
    assert len(set(ends.threads)) == 1


def watch_and_raise() -> str:
    """Set a trace and a profile function that raise, as a broken debugger would."""
    sys.setprofile(lambda *_: 1 / 0)
    sys.settrace(lambda *_: 1 / 0)  # type: ignore[arg-type]  # it raises before it could answer
    return "value"


def test_what_a_function_left_to_watch_its_thread_strikes_no_end_and_no_other_run(threads: Threads) -> None:
    """A trace or profile function that raises would end the thread, and the end would never be reported."""
    ends = Ends()
    threads.submit(ends.run(watch_and_raise))
    ends.wait(1)
    block_until(lambda: threads.idle == 1, "its thread is idle")
    threads.submit(ends.run(lambda: (sys.gettrace(), sys.getprofile())))
    ends.wait(2)
    assert ends.all[1] == ((sys.gettrace(), sys.getprofile()), None)
    assert len(set(ends.threads)) == 1


def test_a_thread_survives_an_end_that_cannot_be_told(threads: Threads) -> None:
    """It takes the next run: one that is gone would be counted as idle for ever."""

    def broken(*_end: object) -> None:
        raise RuntimeError

    threads.submit(Run(lambda: None, broken, lambda: True))
    block_until(lambda: threads.idle == 1, "its thread is idle")
    ends = Ends()
    threads.submit(ends.run(lambda: "next"))
    ends.wait(1)
    assert ends.all == [("next", None)]


def no_thread(_thread: threading.Thread) -> None:
    """Refuse to start a thread, as the system does at its limit."""
    raise RuntimeError("can't start new thread")


def test_a_thread_that_cannot_be_started_is_not_counted(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run never begins. Idle threads go on, and the next run gets a thread once there are some again."""
    ends, ran = Ends(), list[str]()
    threads.submit(ends.run(lambda: ran.append("first")))
    ends.wait(1)
    block_until(lambda: threads.idle == 1, "its thread is idle")
    gate = threading.Event()
    threads.submit(ends.run(gate.wait))
    with monkeypatch.context() as at_the_limit:
        at_the_limit.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(RuntimeError, match="can't start"):
            threads.submit(ends.run(lambda: ran.append("never")))
        assert threads.idle == 0
        gate.set()
        block_until(lambda: threads.idle == 1, "the one thread is idle again")
        assert not threads.submit(ends.run(lambda: ran.append("second")))
        ends.wait(3)
        block_until(lambda: threads.idle == 1, "it is idle once more")
    both = threading.Barrier(2, timeout=60)
    assert [threads.submit(ends.run(both.wait)) for _ in range(2)] == [False, True]
    ends.wait(5)
    assert ran == ["first", "second"]


def test_closed_threads_go_and_new_ones_come(threads: Threads) -> None:
    """A worker that drives pending work over and over closes its threads each time; none is counted that is gone."""
    ends = Ends()
    for number in range(1, 30):
        threads.submit(ends.run(lambda: None))
        ends.wait(number)
        threads.close()

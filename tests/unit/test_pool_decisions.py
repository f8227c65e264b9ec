"""What a pool decides without any I/O: what a signal counts for, when to start again, what its exit code is."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest

from lash_redis.cli.main import VERBS, main
from lash_redis.core import timing
from lash_redis.core.model import Deferred, DrainReport
from lash_redis.pool.deaths import together, without
from lash_redis.pool.drain import PoolDrain
from lash_redis.pool.life import Ended
from lash_redis.pool.messages import Fatal
from lash_redis.pool.osprocess import _words
from lash_redis.pool.settings import PoolSettings
from lash_redis.pool.signals import Asked, Presses
from lash_redis.pool.slot import Restarts, Slot
from lash_redis.pool.supervisor import Supervisor
from lash_redis.worker.settings import WorkerSettings
from tests.repo.tree import ROOT


class StandingClock(timing.Clock):
    """A clock that stands until it is moved."""

    now_ms = 1_000_000

    def boottime_ms(self) -> int:
        """Return where it stands."""
        return self.now_ms


@pytest.mark.parametrize(
    ("at_ms", "asked"),
    [
        ([0], [Asked.DRAIN]),
        ([0, 0, 999], [Asked.DRAIN, None, None]),
        ([0, 1000], [Asked.DRAIN, Asked.HURRY]),
        ([0, 600, 1200], [Asked.DRAIN, None, Asked.HURRY]),
        ([0, 1500, 2000, 2500], [Asked.DRAIN, Asked.HURRY, None, Asked.HURRY]),
    ],
)
def test_signals_less_than_a_second_apart_count_once(at_ms: list[int], asked: list[Asked | None]) -> None:
    """The first asks for a drain, each that counts after it for haste."""
    presses = Presses()

    assert [presses.press(moment) for moment in at_ms] == asked


def test_a_crashed_worker_process_is_started_again_at_once_then_more_slowly() -> None:
    """At once, then after 0.5 s doubling to 10 s."""
    restarts = Restarts()

    assert [restarts.after(lived_ms) for lived_ms in (None, 10, None, 4999, 0, 0, 0, 0)] == [0, 0.5, 1, 2, 4, 8, 10, 10]


def test_one_that_lived_begins_the_count_afresh() -> None:
    """It lived if it was ready for 5 s."""
    restarts = Restarts()
    for _ in range(5):
        restarts.after(None)

    assert [restarts.after(5000), restarts.after(100), restarts.after(100)] == [0, 0.5, 1]


async def test_nobody_is_started_again_if_the_drain_begins_as_the_wait_for_it_ends() -> None:
    """Who is started then would never hear that the pool leaves: it was not there when that was told."""
    drain, loop, lives = PoolDrain(WorkerSettings()), asyncio.get_running_loop(), 0

    class Pool:
        """Only its drain matters here."""

        def __init__(self) -> None:
            self.drain = drain

    class OneLife(Slot):
        """Each life ends at once; the drain begins right after the wait for the next one, which is none, has ended."""

        async def _one_life(self) -> Ended:
            nonlocal lives
            lives += 1
            loop.call_soon(loop.call_soon, drain.begin)
            return Ended("exit 1")

    ended = await OneLife(Pool(), "1", lambda _: pytest.fail("it is not started")).run()  # type: ignore[arg-type]

    assert (lives, ended) == (1, Ended("not started again"))


def test_the_time_of_a_drain_is_its_three_phases_and_fits_what_the_pool_says() -> None:
    """Grace, cancel and drain, then the supervisor's own part, all within what it asks to be allowed."""
    settings, clock = WorkerSettings(), StandingClock()
    with timing.use(clock):
        drain = PoolDrain(settings)
        assert (drain.left_s, drain.closing_s, drain.finish_ms) == (float("inf"), float("inf"), 1250)

        drain.begin()
        assert (drain.left_s, drain.closing_s, drain.finish_ms) == (28.25, 29.5, 1250)
        clock.now_ms += 10_000
        drain.begin()
        assert (drain.left_s, drain.closing_s, drain.finish_ms) == (18.25, 19.5, 1250)
        clock.now_ms += 18_500
        assert (drain.left_s, drain.closing_s, drain.finish_ms) == (0, 1, 1000)

    assert settings.must_allow_s >= 29.5 + 0.5


def test_haste_takes_the_grace_and_nothing_else() -> None:
    """What was interrupted still has its time to stop, and the last writes theirs; haste comes once."""
    clock = StandingClock()
    with timing.use(clock):
        drain = PoolDrain(WorkerSettings())
        drain.begin()
        clock.now_ms += 2_000

        drain.hurry()
        assert drain.left_s == 8.25
        clock.now_ms += 5_000
        drain.hurry()
        assert drain.left_s == 3.25


@pytest.mark.parametrize(
    ("exited", "status", "words"),
    [
        (True, 0, "exit 0"),
        (True, 3, "exit 3"),
        (False, signal.SIGKILL, "killed by SIGKILL"),
        (False, 40, "killed by signal 40"),
    ],
)
def test_a_death_is_told_in_words(exited: bool, status: int, words: str) -> None:
    """The words stand in the evidence of what was abandoned because of it."""
    assert _words(exited=exited, status=status) == words


def test_reports_are_put_together() -> None:
    """A pool's drain is that of its worker processes."""
    left = Deferred("c", "still running")
    one = DrainReport(["a"], [left], 1, 2)

    assert together(one, DrainReport(["b"], [], 3, 4)) == DrainReport(["a", "b"], [left], 4, 6)
    assert together() == DrainReport()
    assert without(one, {"c"}) == DrainReport(["a"], [], 1, 2)


@pytest.mark.parametrize(
    ("ends", "fatal", "code"),
    [
        ([Ended("exit 0"), Ended("exit 0", report=DrainReport(abandoned=["a"]))], None, 0),
        ([Ended("exit 0"), Ended("exit 4", report=DrainReport(deferred=[Deferred("a", "why")]))], None, 4),
        ([Ended("exit 1", is_fault=True), Ended("exit 4", report=DrainReport(deferred=[Deferred("a", "")]))], None, 1),
        ([Ended("exit 2", is_fault=True)], Fatal("no such module", 2), 2),
    ],
)
def test_the_exit_code_says_what_became_of_the_drain(ends: list[Ended], fatal: Fatal | None, code: int) -> None:
    """0: drained, even if something was abandoned; 4: something deferred; 1: a fault; 2: it could not be started."""
    supervisor = Supervisor(PoolSettings(target="a:b"), lambda _: None)
    supervisor._fatal = fatal

    assert supervisor._summed_up(ends).exit_code == code


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` ends with 0 and names the verb."""
    with pytest.raises(SystemExit) as end:
        main([verb, "--help"])

    assert end.value.code == 0
    assert f"lash-redis {verb}" in capsys.readouterr().out


def test_the_command_lists_its_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever knows nothing asks for help and finds each verb."""
    with pytest.raises(SystemExit) as end:
        main(["--help"])

    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["worker"], ["worker", "a:b", "--workers", "many"]])
def test_a_command_line_that_makes_no_sense_exits_with_2(argv: list[str]) -> None:
    """As any command does."""
    with pytest.raises(SystemExit) as end:
        main(argv)

    assert end.value.code == 2


def test_the_pool_is_not_imported_for_another_verb() -> None:
    """No verb waits for what only another needs."""
    code = (
        "import sys; from lash_redis.cli.main import _parser; _parser(['ps']); print('lash_redis.pool' in sys.modules)"
    )

    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert told.strip() == "False"

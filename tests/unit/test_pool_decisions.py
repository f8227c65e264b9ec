"""What a pool decides without any I/O: what a signal asks for, when a slot starts again, what the exit code is."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest

from lash_redis.cli.main import VERBS, main
from lash_redis.cli.worker import _LAST_LINES_S
from lash_redis.core import timing
from lash_redis.core.events import Event, PoolOtherLash, PoolQueuesWithoutTasks, PoolServing, PoolVersionDiffers
from lash_redis.core.model import Deferred, DrainReport
from lash_redis.core.subscribers import subscribed
from lash_redis.pool.connection import _CLOSE_MS
from lash_redis.pool.deaths import merged, without_deferred
from lash_redis.pool.drain import PoolDrain
from lash_redis.pool.messages import VERSION, Fatal, Serves
from lash_redis.pool.osprocess import status_text
from lash_redis.pool.pool import LifeEnd
from lash_redis.pool.settings import PoolSettings
from lash_redis.pool.slot import RestartDelay, Slot
from lash_redis.pool.starts import Starts
from lash_redis.pool.supervisor import PoolEnd, Supervisor, pool_end
from lash_redis.worker.settings import WorkerSettings
from lash_redis.worker.signals import DrainStep, SignalCounter
from tests.repo.tree import ROOT


class StandingClock(timing.Clock):
    """A clock that stands still until a test moves it."""

    now_ms = 1_000_000

    def boottime_ms(self) -> int:
        """Return the time that the test has set."""
        return self.now_ms


@pytest.mark.parametrize(
    ("at_ms", "steps"),
    [
        ([0], [DrainStep.BEGIN]),
        ([0, 0, 999], [DrainStep.BEGIN, None, None]),
        ([0, 1000], [DrainStep.BEGIN, DrainStep.HURRY]),
        ([0, 600, 1200], [DrainStep.BEGIN, None, DrainStep.HURRY]),
        ([0, 1500, 2000, 2500], [DrainStep.BEGIN, DrainStep.HURRY, None, DrainStep.HURRY]),
    ],
)
def test_signals_less_than_a_second_apart_count_once(at_ms: list[int], steps: list[DrainStep | None]) -> None:
    """The first signal begins the drain. Each later one that counts hurries it."""
    counter = SignalCounter()

    assert [counter.count(moment) for moment in at_ms] == steps


def test_a_crashed_worker_process_is_started_again_at_once_then_more_slowly() -> None:
    """At once, then after 0.5 s doubling to 10 s."""
    assert waits(RestartDelay(), None, 10, None, 4999, 0, 0, 0, 0) == [0, 0.5, 1, 2, 4, 8, 10, 10]


def test_a_life_of_five_seconds_resets_the_delay() -> None:
    """The five seconds count from when the worker process was ready."""
    delay = RestartDelay()
    waits(delay, None, None, None, None, None)

    assert waits(delay, 5000, 100, 100) == [0, 0.5, 1]


def test_new_code_is_started_at_once_and_broken_code_is_tried_soon() -> None:
    """With ``--reload`` somebody waits for it; whoever saves every second is not taken for a crash."""
    delay = RestartDelay(reloads=True)

    assert waits(delay, 100, 100, 100, 100, is_fault=False) == [0, 0, 0, 0]
    assert waits(delay, None, None, None, None, None, is_fault=True) == [0.5, 1, 2, 2, 2]
    assert waits(delay, 100, is_fault=False) == [0]
    assert waits(RestartDelay(), 100, 100, is_fault=False) == [0, 0.5]


def waits(delay: RestartDelay, *lived_ms: int | None, is_fault: bool = True) -> list[float]:
    """Return what is waited for after one life after the other."""
    return [delay.after(LifeEnd("exit", each, is_fault=is_fault)) for each in lived_ms]


async def test_no_worker_process_is_started_if_the_drain_begins_as_the_delay_ends() -> None:
    """It would never drain: it did not exist when the pool sent the message to the others."""
    drain, loop, lives = PoolDrain(WorkerSettings()), asyncio.get_running_loop(), 0

    class Pool:
        """A pool of which only the drain matters here."""

        def __init__(self) -> None:
            self.drain = drain
            self.settings = PoolSettings(target="work:lash", worker=WorkerSettings())

        def on_life_end(self, end: LifeEnd, failed_starts: int) -> None:
            """Do nothing."""

    class OneLife(Slot):
        """A slot in which each life ends at once. The drain begins right after the delay, which is 0 s, has passed."""

        async def _run_life(self) -> LifeEnd:
            nonlocal lives
            lives += 1
            loop.call_soon(loop.call_soon, drain.begin)
            return LifeEnd("exit 1")

    end = await OneLife(Pool(), "1", lambda _: pytest.fail("it is not started")).run()  # type: ignore[arg-type]

    assert (lives, end) == (1, LifeEnd("not started again"))


def test_the_time_of_a_drain_is_its_three_phases_and_fits_what_the_pool_announces() -> None:
    """Grace, cancel, drain and the supervisor's own part fit the time for which the pool asks."""
    settings, clock = WorkerSettings(), StandingClock()
    with timing.use(clock):
        drain = PoolDrain(settings)
        assert (drain.workers_left_s, drain.pool_left_s, drain.finish_ms) == (float("inf"), float("inf"), 500)

        drain.begin()
        assert (drain.workers_left_s, drain.pool_left_s, drain.finish_ms) == (27.6, 28.1, 500)
        clock.now_ms += 10_000
        drain.begin()
        assert (drain.workers_left_s, drain.pool_left_s, drain.finish_ms) == (17.6, 18.1, 500)
        clock.now_ms += 18_000
        assert (drain.workers_left_s, drain.pool_left_s, drain.finish_ms) == (0, 0.1, 100)


@pytest.mark.parametrize(
    "settings",
    [WorkerSettings(), WorkerSettings(grace_ms=500, interrupt_ms=500, last_writes_ms=1), WorkerSettings(grace_ms=0)],
)
def test_a_pool_that_reaches_no_server_ends_a_second_before_the_time_that_it_prints(settings: WorkerSettings) -> None:
    """All shares are used up, one after the other, down to the end of its OS process."""
    clock = StandingClock()
    with timing.use(clock):
        drain = PoolDrain(settings)
        drain.begin()
        began_ms = clock.now_ms

        clock.now_ms += int(1000 * drain.pool_left_s) + _CLOSE_MS
        clock.now_ms += int(1000 * drain.telling_s) + int(1000 * 2 * _LAST_LINES_S)

    assert clock.now_ms - began_ms <= (settings.must_allow_s - 1) * 1000


def test_hurrying_ends_the_grace_and_nothing_else() -> None:
    """Interrupted work keeps its time to stop, and the last writes keep theirs. Hurrying again changes nothing."""
    clock = StandingClock()
    with timing.use(clock):
        drain = PoolDrain(WorkerSettings())
        drain.begin()
        clock.now_ms += 2_000

        drain.hurry()
        assert drain.workers_left_s == 7.6
        clock.now_ms += 5_000
        drain.hurry()
        assert drain.workers_left_s == 2.6


@pytest.mark.parametrize(
    ("exited", "status", "words"),
    [
        (True, 0, "exit 0"),
        (True, 3, "exit 3"),
        (False, signal.SIGKILL, "killed by SIGKILL"),
        (False, 40, "killed by signal 40"),
    ],
)
def test_a_status_is_written_in_words(exited: bool, status: int, words: str) -> None:
    """The words stand in the evidence of what was abandoned because of the death."""
    assert status_text(exited=exited, status=status) == words


def test_reports_are_merged() -> None:
    """The report of a pool sums up those of its worker processes."""
    left = Deferred("c", "still running")
    one = DrainReport(["a"], [left], 1, 2)

    assert merged(one, DrainReport(["b"], [], 3, 4)) == DrainReport(["a", "b"], [left], 4, 6)
    assert merged() == DrainReport()
    assert without_deferred(one, {"c"}) == DrainReport(["a"], [], 1, 2)


@pytest.mark.parametrize(
    ("ends", "fatal", "code"),
    [
        ([LifeEnd("exit 0"), LifeEnd("exit 0", report=DrainReport(abandoned=["a"]))], None, 0),
        ([LifeEnd("exit 0"), LifeEnd("exit 4", report=DrainReport(deferred=[Deferred("a", "why")]))], None, 4),
        (
            [LifeEnd("exit 1", is_fault=True), LifeEnd("exit 4", report=DrainReport(deferred=[Deferred("a", "")]))],
            None,
            1,
        ),
        ([LifeEnd("exit 2", is_fault=True)], Fatal("no such module", 2), 2),
    ],
)
def test_the_exit_code_says_what_became_of_the_drain(ends: list[LifeEnd], fatal: Fatal | None, code: int) -> None:
    """0: drained, even if something was abandoned. 4: something was deferred. 1: a fault. 2: it could not start."""
    assert pool_end(ends, fatal).exit_code == code


FAILED = LifeEnd("exit 0", is_fault=True)


def test_a_pool_none_of_whose_worker_processes_becomes_ready_gives_up() -> None:
    """Five in a row in one slot, whatever their exit status, are enough to know. The exit code is 1, never 0."""
    starts = Starts()
    for tries in range(1, 5):
        starts.on_life_end(FAILED, tries, is_open=True)
        assert not starts.is_hopeless
        assert starts.fatal is not None

    starts.on_life_end(FAILED, 5, is_open=True)

    assert starts.is_hopeless
    assert pool_end([LifeEnd("not started again")], starts.fatal) == PoolEnd(
        1, None, "no worker process has become ready; 5 were started in a row, the last one: exit 0"
    )


@pytest.mark.parametrize(
    ("tries", "words"), [(1, "the one that was started: exit 0"), (2, "2 were started in a row, the last one: exit 0")]
)
def test_a_pool_that_is_stopped_before_it_is_ready_says_how_often_it_tried(tries: int, words: str) -> None:
    """A signal may end it after any try."""
    starts = Starts()
    starts.on_life_end(FAILED, tries, is_open=True)
    assert starts.fatal is not None
    assert starts.fatal.text == f"no worker process has become ready; {words}"


def test_a_pool_that_was_ready_once_never_gives_up() -> None:
    """What fails later, such as the machine's memory, may mend itself."""
    starts = Starts()
    starts.on_life_end(FAILED, 1, is_open=False)
    starts.on_ready()
    for tries in range(1, 50):
        starts.on_life_end(FAILED, tries, is_open=True)

    assert (starts.is_hopeless, starts.fatal) == (False, None)


def test_a_pool_whose_first_worker_process_cannot_start_gives_up_at_once() -> None:
    """Before the registry was opened the reason is one that another try would meet again."""
    starts, fatal = Starts(), Fatal("no such module", 2)

    starts.on_life_end(LifeEnd("exit 2", is_fault=True, fatal=fatal), 1, is_open=False)

    assert (starts.is_hopeless, starts.fatal) == (True, fatal)


def test_a_pool_waits_for_its_server_for_a_while_and_gives_up() -> None:
    """It says why, and for how long it has waited."""
    starts = Starts()

    assert starts.on_waiting("refused", 1_000)
    assert not starts.on_waiting("refused", 2_000), "the time counts from the first"
    assert starts.fatal == Fatal("no worker process has become ready: refused", 1)
    starts.on_timeout(1_000, "60 s")

    assert starts.is_hopeless
    assert starts.fatal == Fatal("no worker process has become ready: refused; the pool has waited for 60 s", 1)


def test_a_pool_whose_server_has_answered_meanwhile_does_not_give_up() -> None:
    """The time begins again with the next outage; after the first worker process was ready it never ends."""
    starts = Starts()
    starts.on_waiting("refused", 1_000)
    starts.on_answer()
    starts.on_timeout(1_000, "60 s")
    assert (starts.is_hopeless, starts.fatal) == (False, None)

    assert starts.on_waiting("refused", 2_000)
    starts.on_timeout(1_000, "60 s")
    assert not starts.is_hopeless, "this was the time of the outage before"
    starts.on_ready()

    assert not starts.on_waiting("refused", 3_000)
    starts.on_timeout(2_000, "60 s")
    assert (starts.is_hopeless, starts.fatal) == (False, None)


async def test_what_a_pool_runs_is_told_again_only_if_it_has_changed() -> None:
    """A worker process that is started after a deploy may have other tasks than the ones before."""
    supervisor, events = Supervisor(PoolSettings(target="a:b"), print), list[Event]()
    one = Serves(1, ["send"], ["shop"])
    two = Serves(2, ["send", "pay"], ["shop"], bare_queues=["monney"], others={"two.tasks:lash": ["two.tasks.fb"]})

    with subscribed(events.append):
        for serves in (one, one, two):
            supervisor.on_hello(serves)

    assert [each.task_count for each in events if isinstance(each, PoolServing)] == [1, 2]
    warned = [PoolQueuesWithoutTasks(queues=["monney"]), PoolOtherLash(lash="two.tasks:lash", tasks=["two.tasks.fb"])]
    assert events[2:] == warned


def test_a_worker_process_of_another_version_is_told_of_once() -> None:
    """The package was changed on disk under the running supervisor."""
    supervisor, events = Supervisor(PoolSettings(target="a:b"), print), list[Event]()

    with subscribed(events.append):
        for version in (VERSION, "0.0.1", "0.0.1"):
            supervisor.on_ready(version)

    assert events == [PoolVersionDiffers(supervisor=VERSION, worker="0.0.1")]


def test_what_ends_because_the_pool_drains_is_no_failed_start() -> None:
    """A pool that is stopped while it loads user code has drained: the exit code is 0."""
    starts = Starts()

    starts.on_life_end(LifeEnd("killed by SIGKILL"), 1, is_open=False)

    assert starts.fatal is None


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` ends with 0 and names the verb."""
    with pytest.raises(SystemExit) as end:
        main([verb, "--help"])

    assert end.value.code == 0
    assert f"lash-redis {verb}" in capsys.readouterr().out


def test_the_command_lists_its_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    """The help text names each verb."""
    with pytest.raises(SystemExit) as end:
        main(["--help"])

    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)


@pytest.mark.parametrize(
    "argv", [[], ["nonsense"], ["worker"], ["worker", "a:b", "--workers", "many"], ["ps", "--name", "a"]]
)
def test_a_bad_command_line_exits_with_2(argv: list[str]) -> None:
    """This is the exit code of most commands."""
    with pytest.raises(SystemExit) as end:
        main(argv)

    assert end.value.code == 2


def test_the_pool_is_not_imported_for_another_verb() -> None:
    """No verb waits for an import that only another verb needs."""
    code = (
        "import sys; from contextlib import suppress; from lash_redis.cli.main import main\n"
        "with suppress(SystemExit): main(['ps', '--help'])\n"
        "print('lash_redis.pool' in sys.modules)"
    )

    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert shown.splitlines()[-1] == "False"

"""The drain of a real pool: signals, grace, exit codes, and threads that do not stop (rules 7.1 to 7.5)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import sys
import termios
from pathlib import Path

import psutil
import pytest

from lash_redis.core.model import Phase, ProcessStatus
from lash_redis.core.outcomes import AbandonEvidence, AbandonWriter
from lash_redis.registry.registry import ProcessRegistry
from tests.look import evidence
from tests.servers import Server
from tests.support import block_until
from tests.system.conftest import StartPool
from tests.system.pools import RunningPool, Work, owner_of, pass_time

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform == "win32", reason="the pool needs POSIX")]

LONG = ("--grace", "60")
SHORT = ("--grace", "0.2", "--interrupt", "0.5", "--last-writes", "1")


@pytest.mark.parametrize(("to_workers", "number"), [(False, "SIGTERM"), (False, "SIGINT"), (True, "SIGTERM")])
def test_signals_that_come_while_a_pool_leaves_change_no_exit_code(
    start_pool: StartPool, to_workers: bool, number: str
) -> None:
    """They come until the last OS process has gone: a service manager, and a person, may ask more than once."""
    pool = start_pool("--workers", "2", *SHORT)
    pool.until_ready(2)
    receivers = pool.workers if to_workers else [pool.supervisor]

    pool.signal()
    while pool.started.poll() is None:
        for each in receivers:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(signal.Signals[number])

    assert pool.exit_code() == 0
    assert "pool.died" not in pool.log


async def drain_while_running(pool: RunningPool, work: Work, rerunnable: str, owner_bound: str) -> AbandonEvidence:
    """Drain a pool while one task of each kind runs and does not end; return the evidence of the owner-bound one.

    The rerunnable one must be queued again without a loss, the owner-bound one abandoned, and the report must say so.
    """
    for task in (rerunnable, owner_bound):
        pool.until_begun(await work.submit(task, task))

    pool.signal()

    assert pool.exit_code() == 0
    released = await work.record(rerunnable)
    assert (released.phase, released.losses) == (Phase.QUEUED, 0)
    assert pool.report() == {"abandoned": [owner_bound], "deferred": [], "released": 1, "finished": 0}
    found = evidence(await work.record(owner_bound))
    assert (found.writer, found.proof) == (AbandonWriter.OWNER_DRAIN, "ended_here")
    assert owner_of(found) == f"{pool.name}/1"
    return found


async def test_sigterm_lets_running_work_finish(start_pool: StartPool, work: Work) -> None:
    """Within the grace both kinds of work end as usual, nothing new is begun, and the exit code is 0."""
    pool = start_pool("--workers", "2", *LONG)
    pool.until_ready(2)  # a worker process that is not ready yet would leave without a drain
    for task in ("measure", "pay"):
        pool.until_begun(await work.submit(task, task))

    pool.signal()
    pool.until_logged("worker.draining", 2)
    await work.submit("measure", "late")
    pool.go("measure")
    pool.go("pay")

    assert pool.exit_code() == 0
    assert [(await work.record(each)).status for each in ("measure", "pay")] == [ProcessStatus.COMPLETED] * 2
    assert (await work.record("late")).phase is Phase.QUEUED
    assert pool.report() == {"abandoned": [], "deferred": [], "released": 0, "finished": 2}


async def test_work_that_outlasts_the_grace_is_released_or_abandoned(start_pool: StartPool, work: Work) -> None:
    """Rerunnable work goes back to its lane without a loss. Started owner-bound work is abandoned and reported."""
    await drain_while_running(start_pool(*SHORT), work, "measure", "pay")


async def test_a_second_signal_shortens_the_grace_and_still_drains(start_pool: StartPool, work: Work) -> None:
    """A second or more after the first, another signal ends the grace. What is left is settled all the same."""
    pool = start_pool(*LONG, "--interrupt", "1", "--last-writes", "1")
    for task in ("measure", "pay"):
        pool.until_begun(await work.submit(task, task))

    pool.signal()
    pool.until_logged("worker.draining")
    pass_time(1.05)
    pool.signal(signal.SIGINT)

    assert pool.exit_code() == 0
    assert (await work.record("measure")).phase is Phase.QUEUED
    assert evidence(await work.record("pay")).writer is AbandonWriter.OWNER_DRAIN


async def test_signals_less_than_a_second_apart_count_once(start_pool: StartPool, work: Work) -> None:
    """An init shim and a group kill may both send one. The grace stays whole."""
    pool = start_pool(*LONG)
    pool.until_begun(await work.submit("measure", "measure"))

    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
        pool.signal(number)
    pool.until_logged("worker.draining")
    pass_time(1.05)
    pool.go("measure")

    assert pool.exit_code() == 0
    assert (await work.record("measure")).status is ProcessStatus.COMPLETED


async def test_ctrl_c_at_a_terminal_drains(start_pool: StartPool, work: Work) -> None:
    """The terminal sends SIGINT to its whole foreground group. It kills no worker process."""
    ours, theirs = pty.openpty()
    pool = start_pool(
        *LONG,
        stdin=theirs,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # it becomes the terminal of the pool's session
    )
    os.close(theirs)
    try:
        worker = pool.until_begun(await work.submit("pay", "pay"))
        assert os.getsid(worker) == worker, "the worker process does not lead a session of its own"

        os.write(ours, b"\x03")
        pool.until_logged("signal=SIGINT")
        pool.go("pay")

        assert pool.exit_code() == 0
        assert pool.log.count("s to end; a second Ctrl-C or SIGTERM stops it") == 1
    finally:
        os.close(ours)
    assert (await work.record("pay")).status is ProcessStatus.COMPLETED


async def test_a_signal_to_everything_drains_once(start_pool: StartPool, work: Work) -> None:
    """A service manager may signal each OS process of the unit. That is one drain, and no crash."""
    pool = start_pool("--workers", "2", *LONG)
    pool.until_ready(2)
    pool.until_begun(await work.submit("measure", "measure"))

    for each in [*pool.workers, pool.supervisor]:
        each.send_signal(signal.SIGTERM)
    pool.until_logged("worker.draining", 2)
    pool.go("measure")

    assert pool.exit_code() == 0
    assert pool.log.count("pool.spawned") == 2
    assert (await work.record("measure")).status is ProcessStatus.COMPLETED


async def test_one_worker_process_can_be_asked_to_drain(start_pool: StartPool, work: Work) -> None:
    """SIGTERM to one worker process makes it drain. The pool goes on and fills its slot again."""
    pool = start_pool(*LONG)
    pool.until_begun(await work.submit("measure", "first"))
    (leaving,) = pool.workers

    leaving.send_signal(signal.SIGTERM)
    pool.until_logged("worker.draining")
    pool.go("first")
    pool.until_ready(2)

    assert (await work.record("first")).status is ProcessStatus.COMPLETED
    assert pool.until_begun(await work.submit("measure", "second")) != leaving.pid
    assert "pool.died" not in pool.log


async def test_a_signal_while_user_code_is_imported_ends_the_pool(start_pool: StartPool, tmp_path: Path) -> None:
    """Nothing is claimed yet, so that the pool waits for nothing."""
    (tmp_path / "slow.py").write_text(
        "import time, pathlib\npathlib.Path('importing').touch()\nwhile True: time.sleep(1)\n"
    )
    pool = start_pool(*LONG, target="slow:lash")
    block_until((tmp_path / "importing").exists, "the module is being imported")

    pool.signal()

    assert pool.exit_code() == 0
    assert pool.report() == {"abandoned": [], "deferred": [], "released": 0, "finished": 0}


async def test_a_thread_that_does_not_stop_is_killed_and_its_drain_finished(start_pool: StartPool, work: Work) -> None:
    """The supervisor kills the worker process, sees it ended, and settles in its name, with its status as evidence."""
    pool = start_pool(*SHORT)

    found = await drain_while_running(pool, work, "measure_stubborn", "pay_stubborn")

    assert pool.begun("pay_stubborn.asked"), "it was never asked to stop"
    assert found.detail == "killed by SIGKILL after the drain: a thread would not stop"


async def test_a_worker_process_stuck_in_a_c_call_is_killed_at_the_end_of_its_time(
    start_pool: StartPool, work: Work
) -> None:
    """It cannot even read that it is to drain. Its supervisor does the whole drain, and in time."""
    pool = start_pool(*SHORT)
    pool.until_begun(await work.submit("pay", "pay"))
    pool.until_begun(await work.submit("hold_the_gil", "hold", 60))

    pool.signal()

    assert pool.exit_code_in_time() == 0
    assert (await work.record("hold")).losses == 0
    assert (await work.record("hold")).phase is Phase.QUEUED
    assert evidence(await work.record("pay")).writer is AbandonWriter.OWNER_DRAIN


async def test_what_cannot_be_written_is_deferred(start_pool: StartPool, namespace: str) -> None:
    """Without a server the drain still ends in time. It reports that something is left, and the exit code is 4."""
    with Server("valkey") as server:
        pool = start_pool("--workers", "2", *SHORT, url=server.url)
        pool.until_ready(2)
        server.kill()

        pool.signal()

        assert pool.exit_code_in_time() == 4
    assert pool.report()["deferred"]


async def test_a_server_that_hangs_does_not_delay_the_drain(start_pool: StartPool, namespace: str) -> None:
    """The drain ends within the time for which the pool asks, and reports the ids that it knows to be left."""
    with Server("valkey") as server:
        async with contextlib.aclosing(ProcessRegistry(server.url, namespace)) as registry:
            work, pool = Work(registry), start_pool("--workers", "2", *SHORT, url=server.url)
            pool.until_ready(2)
            for task in ("measure", "pay_stubborn"):
                pool.until_begun(await work.submit(task, task))
            server.pause()
            try:
                pool.signal()
                assert pool.exit_code_in_time() == 4
            finally:
                server.resume()
    assert {"measure", "pay_stubborn"} <= {left["process_id"] for left in pool.report()["deferred"]}


def test_a_drained_pool_leaves_nothing_behind(start_pool: StartPool) -> None:
    """The worker processes end before the supervisor does."""
    pool = start_pool("--workers", "2")
    pool.until_ready(2)
    workers = pool.workers

    pool.signal()

    assert pool.exit_code() == 0
    assert not any(psutil.pid_exists(each.pid) for each in workers)


async def test_sigquit_shows_all_stacks_and_drains_at_once(start_pool: StartPool, work: Work) -> None:
    """The supervisor and each worker process write their stacks, whatever they are doing."""
    pool = start_pool(*LONG, "--interrupt", "1", "--last-writes", "1")
    pool.until_begun(await work.submit("measure_stubborn", "measure_stubborn"))

    pool.signal(signal.SIGQUIT)

    assert pool.exit_code() == 0
    assert "in refuse_to_stop" in pool.log
    assert (await work.record("measure_stubborn")).losses == 0

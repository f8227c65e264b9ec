"""What a pool does when OS processes die, hang or lose their supervisor (rules 2.5, 6.3 and 6.6)."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis.asyncio

from lash_redis.core.model import Phase, ProcessStatus
from lash_redis.core.outcomes import AbandonWriter
from lash_redis.registry.answers import Death
from tests.look import evidence
from tests.proxy import Proxy
from tests.soundness import assert_sound
from tests.support import block_until, wait_until
from tests.system.conftest import StartPool
from tests.system.pools import Work, command_of, owner_of, pass_time

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="proof of death needs Linux")]

LEASE_S = 3  # a loaded machine may keep a supervisor from its turn for a second
SHORT_LEASE = ("--lease-ttl", str(LEASE_S))


async def test_the_death_of_a_killed_worker_process_is_proven_at_once(start_pool: StartPool, work: Work) -> None:
    """Long before the lease lapses, rerunnable work runs again and owner-bound work is abandoned."""
    pool = start_pool("--grace", "1", "--lease-ttl", "600")
    pool.go("measure.again")
    first = pool.until_begun(await work.submit("measure", "measure"))
    pool.until_begun(await work.submit("pay", "pay"))

    os.kill(first, signal.SIGKILL)

    found = evidence(await work.end_of("pay"))
    assert (found.writer, found.proof) == (AbandonWriter.SWEEP, "reaped")
    assert found.detail == f"killed by SIGKILL, reaped by {pool.name}/supervisor"
    assert owner_of(found) == f"{pool.name}/1"
    second = pool.until_begun("measure", 2)
    pool.go("measure")
    measured = await work.end_of("measure")
    assert (measured.status, measured.losses, first != second) == (ProcessStatus.COMPLETED, 1, True)
    assert pool.begun("pay") == [first]


async def test_a_worker_process_that_is_recorded_dead_while_it_lives_is_replaced(
    start_pool: StartPool, work: Work
) -> None:
    """It would claim nothing for ever: it says so, leaves with 1, and another one takes its slot."""
    pool = start_pool("--grace", "1")
    first = pool.until_begun(await work.submit("pay", "pay"))
    started = (await work.record("pay")).first_started
    assert started is not None

    await work.registry.record_death(started.owner, Death("exit 9", "somebody who erred"))

    pool.until_logged("worker.recorded_dead")
    pool.until_logged("pool.died")
    assert 'status="exit 1"' in pool.log
    pool.go("measure")
    await work.submit("measure", "measure")
    assert (await work.end_of("measure")).status is ProcessStatus.COMPLETED
    assert pool.begun("measure") != [first]


async def test_work_that_was_never_started_outlives_any_worker_process(start_pool: StartPool, work: Work) -> None:
    """Owner-bound work that no owner has started stays in its lane, and runs once."""
    pool = start_pool("--concurrency", "1")
    first = pool.until_begun(await work.submit("measure", "measure"))
    await work.submit("pay", "pay")
    pool.go("measure")
    pool.go("pay")

    os.kill(first, signal.SIGKILL)

    assert (await work.end_of("pay")).status is ProcessStatus.COMPLETED
    assert len(pool.begun("pay")) == 1


async def test_a_crash_loop_slows_down(start_pool: StartPool, work: Work) -> None:
    """One that dies early is started again after 0.5 s, doubling. The loss limit ends the work."""
    pool = start_pool()
    await work.submit("crash", "crash")

    record = await work.end_of("crash")

    assert evidence(record).writer is AbandonWriter.LOSS_LIMIT
    assert pool.log.count('status="exit 7"') >= 5
    began = pool.spawned_at_s("1")[:4]
    waits = [later - earlier for earlier, later in itertools.pairwise(began)]
    assert waits[1] >= 0.5
    assert waits[2] >= 1.0


async def test_a_worker_process_that_crashes_does_not_delay_its_neighbour(start_pool: StartPool, work: Work) -> None:
    """The delay before a restart belongs to one slot."""
    pool = start_pool("--workers", "2", "--concurrency", "1")
    steady = pool.until_begun(await work.submit("measure", "measure"))
    await work.submit("crash", "crash")

    await work.end_of("crash")
    pool.go("measure")

    assert (await work.end_of("measure")).losses == 0
    assert pool.begun("measure") == [steady]


async def test_random_kills_lose_nothing_and_pay_nothing_twice(
    start_pool: StartPool, work: Work, url: str, namespace: str
) -> None:
    """At whatever moment a worker process is killed: all is measured, nothing is paid twice, and no row is left."""
    pool = start_pool("--workers", "3", "--concurrency", "8", "--grace", "5")
    names = await work.submit_in_turn(1000, "measure_briefly", "pay_briefly")
    pool.until_ready(3)
    chance = random.Random(7)
    victim = pool.until_begun(await work.submit("pay", "pay"))  # it runs until its OS process is killed

    def done() -> int:
        return sum(len((pool.folder / file).read_text().split()) for file in ("measured", "paid"))

    (pool.folder / "measured").touch()
    (pool.folder / "paid").touch()
    for kills in range(1, 9):
        block_until(lambda kills=kills: done() >= 50 * kills and pool.workers, "work goes on")  # type: ignore[misc]
        psutil.Process(victim if kills == 1 else chance.choice(pool.workers).pid).kill()
        pool.until_logged("pool.died", kills)

    ends = {name: await work.end_of(name) for name in names}
    paid = [name for name in names if name.startswith("pay")]
    lines = (pool.folder / "paid").read_text().split()
    assert len(lines) == len(set(lines))
    assert {ends[name].status for name in names if name not in paid} == {ProcessStatus.COMPLETED}
    for name in paid:
        if ends[name].status is ProcessStatus.ABANDONED:
            assert evidence(ends[name]).proof == "reaped"
        else:
            assert (ends[name].status, name in lines) == (ProcessStatus.COMPLETED, True)
    assert evidence(await work.end_of("pay")).proof == "reaped"
    pool.signal()
    assert pool.exit_code() == 0
    async with redis.asyncio.Redis.from_url(url) as client:
        await assert_sound(client, namespace)


async def test_a_call_that_holds_the_gil_for_three_leases_keeps_them(start_pool: StartPool, work: Work) -> None:
    """The supervisor renews from another OS process, so that nobody takes the work of one in a long C call."""
    pool = start_pool(*SHORT_LEASE)
    stuck = pool.until_begun(await work.submit("hold_the_gil", "hold", 3 * LEASE_S))
    other = start_pool(*SHORT_LEASE)
    other.until_ready()

    record = await work.end_of("hold")

    assert record.status is ProcessStatus.COMPLETED
    assert record.outcome.value >= 3 * LEASE_S - 0.01  # type: ignore[union-attr]
    assert pool.begun("hold") == [stuck]
    assert record.losses == 0


async def test_a_stopped_supervisor_renews_nothing(start_pool: StartPool, work: Work) -> None:
    """The counter-proof: only the supervisor's renewals keep the leases."""
    pool = start_pool(*SHORT_LEASE)
    pool.until_begun(await work.submit("measure", "measure"))

    pool.signal(signal.SIGSTOP)

    async def is_free() -> bool:
        record = await work.record("measure")
        return record.lease_lapsed or record.phase is Phase.QUEUED

    await wait_until(is_free, "the lease is gone")
    pool.signal(signal.SIGCONT)


async def test_orphaned_worker_processes_drain_and_exit(start_pool: StartPool, work: Work) -> None:
    """Without their supervisor they renew by themselves, let work finish, and exit."""
    pool = start_pool("--workers", "2", "--grace", "60", *SHORT_LEASE)
    pool.until_ready(2)
    begun = pool.until_begun(await work.submit("pay", "pay"))
    await work.submit("measure", "measure")
    pool.until_begun("measure")
    workers = pool.workers

    pool.signal(signal.SIGKILL)
    pool.started.wait()
    block_until(lambda: pool.log.count("worker.draining") == 2, "both drain")
    pass_time(LEASE_S + 1)
    pool.go("pay")
    pool.go("measure")

    for name in ("pay", "measure"):
        record = await work.end_of(name)
        assert (record.status, record.losses) == (ProcessStatus.COMPLETED, 0)
    assert pool.begun("pay") == [begun]
    block_until(lambda: not any(each.is_running() and each.status() != "zombie" for each in workers), "they have ended")


async def test_os_processes_in_the_group_of_a_worker_process_die_with_it(
    start_pool: StartPool, work: Work, tmp_path: Path
) -> None:
    """Its group is killed before its death is recorded, so that no part of the work outlives the proof."""
    pool = start_pool()
    parent = pool.until_begun(await work.submit("spawn", "spawn"))
    child = psutil.Process(int((tmp_path / "spawn.child").read_text()))

    os.kill(parent, signal.SIGKILL)
    pool.until_logged("pool.reaped")

    block_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the child has ended")


async def test_an_outage_at_a_death_delays_no_other_slot(start_pool: StartPool, work: Work, url: str) -> None:
    """The slot of the dead one waits until its death is recorded. Its neighbour goes on. All is settled afterwards."""
    pool = start_pool("--workers", "2")
    pool.until_ready(2)
    killed = pool.until_begun(await work.submit("pay", "pay"))
    frozen = _server_of(url)
    frozen.send_signal(signal.SIGSTOP)
    try:
        os.kill(killed, signal.SIGKILL)
        pool.until_logged("pool.died")
    finally:
        frozen.send_signal(signal.SIGCONT)

    assert evidence(await work.end_of("pay")).proof == "reaped"
    pool.until_ready(3)


def _server_of(url: str) -> psutil.Process:
    path = url.removeprefix("unix://")
    for each in psutil.Process().children():
        if path in " ".join(each.cmdline()):
            return each
    raise AssertionError(f"no child of ours serves {url}")


@pytest.fixture
def as_pid_1() -> list[str]:
    """Return the command that runs another as pid 1 of a new pid namespace; skip where that is not permitted."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*command, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("no pid namespaces here")
    return command


async def test_a_pool_as_pid_1_drains_and_reaps_orphans(start_pool: StartPool, work: Work, as_pid_1: list[str]) -> None:
    """Pid 1 loses signals without a handler and inherits orphans. The pool handles both."""
    pool = start_pool("--grace", "60", before=as_pid_1)
    await work.submit("orphan", "orphan")
    await work.end_of("orphan")
    pool.until_begun(await work.submit("measure", "measure"))
    (inside,) = pool.supervisor.children()
    assert "pid=1 " in pool.log

    def orphans() -> list[psutil.Process]:
        return [each for each in inside.children() if "lash_redis" not in command_of(each)]

    block_until(lambda: not orphans(), "the orphan has been reaped")
    inside.send_signal(signal.SIGTERM)
    pool.until_logged("worker.draining")
    pool.go("measure")

    assert pool.exit_code() == 0
    assert (await work.record("measure")).status is ProcessStatus.COMPLETED


async def test_a_result_that_its_worker_could_not_write_is_written_by_its_supervisor(
    start_pool: StartPool, work: Work, url: str
) -> None:
    """It is known, so that it is not abandoned when the death of the worker process is recorded."""
    with Proxy(url) as proxy:
        pool = start_pool(
            "--workers", "1", "--grace", "0.5", "--interrupt", "0.5", "--last-writes", "0.5", url=proxy.url
        )
        pool.until_ready()
        pool.until_begun(await work.submit("pay", "p"))
        refused = proxy.answer("terminalize", "LOADING not yet", before=True, times=None)
        pool.go("p")
        block_until(lambda: refused.struck, "the result is refused")
        pool.workers[0].send_signal(signal.SIGTERM)
        pool.until_logged("worker.unavailable operation=record_death")
        refused.end()

        record = await work.end_of("p")

    assert record.status is ProcessStatus.COMPLETED

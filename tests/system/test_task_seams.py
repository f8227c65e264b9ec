"""What a task may do to its worker process: fork, ``sys.exit`` beside its run, cancel everything, use up threads.

This module is long because the tasks stand beside the tests that run them, and one pool loads them all.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from lash_redis.core.model import ProcessRegistration, ProcessStatus, RecoveryDisposition, TaskInput
from lash_redis.core.outcomes import Failure, Success
from tests.look import lease_of
from tests.support import block_until, wait_until
from tests.system.conftest import StartPool
from tests.system.pools import TASKS, RunningPool, Work, command_of

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(sys.platform != "linux", reason="the states of children are read from /proc"),
]

SEAMS = (
    TASKS
    + '''
import multiprocessing, signal, sys, threading

FORK = multiprocessing.get_context("fork")


def fork(act):
    """Fork a child that acts and ends; return its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
        finally:
            os._exit(99)
    return pid


def end_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_with(number, start):
    ready, told = os.pipe()

    def act():
        os.write(told, b"x")
        time.sleep(600)

    pid = start(act)
    os.read(ready, 1)
    os.kill(pid, number)
    return pid


def start_process(act):
    process = FORK.Process(target=act)
    process.start()
    return process.pid


STARTS = {"os.fork": fork, "Process": start_process}


@lash.task(recovery="rerunnable", name="signal_plain")
def signal_plain(number: int, start: str) -> int:
    return end_of(killed_with(number, STARTS[start]))


@lash.task(recovery="rerunnable", name="signal_async")
async def signal_async(number: int, start: str) -> int:
    return await asyncio.to_thread(end_of, killed_with(number, STARTS[start]))


@lash.task(recovery="rerunnable", name="signal_at_once")
def signal_at_once(rounds: int) -> list[int]:
    ends = set()
    for _ in range(rounds):
        pid = fork(lambda: time.sleep(600))
        os.kill(pid, signal.SIGTERM)
        ends.add(end_of(pid))
    return sorted(ends)


def square(number):
    return number * number


@lash.task(recovery="rerunnable", name="use_pool")
def use_pool(count: int) -> list[int]:
    with FORK.Pool(2) as pool:  # its end sends SIGTERM to its processes
        return pool.map(square, range(count))


@lash.task(recovery="owner_bound", name="return_twice_plain")
def return_twice_plain() -> list[int]:
    pid = os.fork()
    return [] if pid == 0 else [pid, end_of(pid)]


@lash.task(recovery="owner_bound", name="return_twice_async")
async def return_twice_async() -> list[int]:
    pid = os.fork()
    return [] if pid == 0 else [pid, await asyncio.to_thread(end_of, pid)]


@lash.task(recovery="owner_bound", name="await_twice")
async def await_twice() -> list[int]:
    pid = os.fork()
    if pid == 0:
        await asyncio.sleep(0)
        begin("went on")
        await asyncio.sleep(600)
    return [pid, await asyncio.to_thread(end_of, pid)]


def descriptors():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    return found


@lash.task(recovery="rerunnable", name="show_descriptors")
async def show_descriptors() -> list[dict[str, str]]:
    ready, told = os.pipe()
    here = descriptors() | {"pipe": sys.argv[1]}
    end_of(fork(lambda: os.write(told, repr(descriptors()).encode())))
    return [here, eval(os.read(ready, 1 << 16))]


@lash.task(recovery="rerunnable", name="leave_child")
async def leave_child(name: str) -> int:
    def act():
        os.setsid()
        time.sleep(600)

    (FOLDER / f"{name}.child").write_text(str(fork(act)))
    return await until_go(name)


async def exit_soon():
    await asyncio.sleep(0)
    sys.exit(3)


async def in_group():
    async with asyncio.TaskGroup() as group:
        group.create_task(exit_soon())
        await asyncio.sleep(600)


async def in_gather():
    await asyncio.gather(exit_soon(), asyncio.sleep(600))


async def interrupted():
    async def interrupt():
        raise KeyboardInterrupt

    await asyncio.create_task(interrupt())


async def unawaited():
    asyncio.create_task(exit_soon())
    await asyncio.sleep(0.05)


async def in_callback():
    asyncio.get_running_loop().call_soon(sys.exit, 3)
    await asyncio.sleep(0.05)


async def stopped():
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.05)


WAYS = {each.__name__: each for each in (in_group, in_gather, interrupted, unawaited, in_callback, stopped)}


@lash.task(recovery="owner_bound", name="exit_beside")
async def exit_beside(way: str) -> str:
    await WAYS[way]()
    return "went on"


@lash.task(recovery="rerunnable", name="cancel_everything")
async def cancel_everything(name: str) -> None:
    begin(name)
    if len((FOLDER / f"{name}.begun").read_text().split()) > 1:
        return
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)
    threading.Thread(target=time.sleep, args=[600]).start()
    for task in asyncio.all_tasks():
        task.cancel()


@lash.task(recovery="owner_bound", name="raise_in_handler")
async def raise_in_handler(kind: str) -> None:
    kinds = {each.__name__: each for each in (SystemExit, KeyboardInterrupt, TimeoutError)}

    # Only there: what strikes within asyncio itself may cost a wake-up that nothing replaces.
    ours = ("outbox.py", "unsent.py", "runner.py", "async_run.py", "lease_keeper.py")

    def handle(_number, frame):
        if (FOLDER / "calm.go").exists():
            signal.setitimer(signal.ITIMER_REAL, 0)
        elif frame.f_code.co_filename.endswith(ours):
            (FOLDER / "struck").touch()
            raise kinds[kind]("from a handler")

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0037)


@lash.task(recovery="owner_bound", name="brief")
async def brief(number: int) -> int:
    try:
        await asyncio.sleep(0.001)
    except BaseException:
        pass
    return number


@lash.task(recovery="owner_bound", name="plain_bound")
def plain_bound() -> int:
    return os.getpid()


START = threading.Thread.start


def refuse(thread):
    if thread.name.startswith("lash-"):
        raise RuntimeError("can't start new thread")
    START(thread)


@lash.task(recovery="rerunnable", name="limit_threads")
async def limit_threads(name: str) -> None:
    threading.Thread.start = refuse
    await until_go(name)
    threading.Thread.start = START
'''
)

StartSeams = Callable[..., RunningPool]


@pytest.fixture
def start_seams(start_pool: StartPool, tmp_path: Path) -> Iterator[StartSeams]:
    """Return a function that starts a pool of one worker process with these tasks; end children that they left."""
    (tmp_path / "work.py").write_text(SEAMS)

    def start(*options: str) -> RunningPool:
        return start_pool("--workers", "1", *options)

    yield start
    for left in tmp_path.glob("*.child"):
        with suppress(ProcessLookupError):
            os.kill(int(left.read_text()), signal.SIGKILL)


class Tasks:
    """Registers tasks of any signature, and reads how they ended."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def submit(self, task: str, *args: Any, recovery: str = "rerunnable", process_id: str = "") -> str:
        """Register one process of ``task``; return its id, which is the task's name unless it is given."""
        given, name = TaskInput(task, args), process_id or task
        await self._work.registry.register(ProcessRegistration(name, given, RecoveryDisposition(recovery)))
        return name

    async def value(self, task: str, *args: Any, recovery: str = "rerunnable") -> Any:
        """Run a task, and return what it returned."""
        record = await self._work.end_of(await self.submit(task, *args, recovery=recovery))
        assert isinstance(record.outcome, Success), record
        return record.outcome.value


@pytest.fixture
def tasks(work: Work) -> Tasks:
    """Return what registers tasks."""
    return Tasks(work)


async def goes_on(pool: RunningPool, work: Work) -> None:
    """See that the pool's one worker process has not noticed anything: it lives, claims and runs."""
    record = await work.end_of(await work.submit("measure", "after"))
    assert isinstance(record.outcome, Success)
    assert [each.pid for each in pool.workers] == [record.outcome.value]
    assert pool.log.count("pool.spawned") == 1
    assert "worker.draining" not in pool.log


@pytest.mark.parametrize("start", ["os.fork", "Process"])
@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_signal_to_a_forked_child_ends_the_child_and_not_its_worker(
    start_seams: StartSeams, work: Work, tasks: Tasks, kind: str, start: str
) -> None:
    """Whatever started it: the handlers and the wake-up descriptor of the worker process are not the child's."""
    pool = start_seams()
    pool.go("after")
    pool.until_ready()

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT):
        given = TaskInput(f"signal_{kind}", (int(number), start))
        process_id = f"{kind}-{number}"
        await work.registry.register(ProcessRegistration(process_id, given, RecoveryDisposition.RERUNNABLE))
        assert (await work.end_of(process_id)).outcome == Success(-number), number.name

    await goes_on(pool, work)


async def test_a_signal_right_after_the_fork_is_the_childs_too(
    start_seams: StartSeams, work: Work, tasks: Tasks
) -> None:
    """Before the child has run a line."""
    pool = start_seams()
    pool.go("after")

    assert await tasks.value("signal_at_once", 100) == [-signal.SIGTERM]

    await goes_on(pool, work)


async def test_a_pool_of_multiprocessing_works_in_a_plain_task(
    start_seams: StartSeams, work: Work, tasks: Tasks
) -> None:
    """It ends its processes with SIGTERM."""
    pool = start_seams()
    pool.go("after")

    assert await tasks.value("use_pool", 4) == [0, 1, 4, 9]

    await goes_on(pool, work)


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_child_that_returns_from_its_task_ends_there(
    start_seams: StartSeams, work: Work, tasks: Tasks, kind: str
) -> None:
    """It is a copy of the worker, which neither reports nor goes on: the result is that of the original."""
    pool = start_seams()
    pool.go("after")

    _, code = await tasks.value(f"return_twice_{kind}", recovery="owner_bound")

    assert code == 0
    await goes_on(pool, work)


async def test_a_child_that_goes_back_to_the_event_loop_ends_there(
    start_seams: StartSeams, work: Work, tasks: Tasks
) -> None:
    """The copy of the event loop runs nothing: it would take the messages of the supervisor."""
    pool = start_seams()
    pool.go("after")

    _, code = await tasks.value("await_twice", recovery="owner_bound")

    assert code == 1
    assert pool.begun("went on") == []
    await goes_on(pool, work)


async def test_a_forked_child_has_none_of_the_descriptors_of_its_worker(start_seams: StartSeams, tasks: Tasks) -> None:
    """Neither the pipe to the supervisor nor the event loop's own: it can hold nothing open and read nothing."""
    start_seams()

    here, there = await tasks.value("show_descriptors")

    assert here[here["pipe"]].startswith("socket:")
    assert there[here["pipe"]] == "/dev/null"
    assert "anon_inode:[eventpoll]" in here.values()
    assert "anon_inode:[eventpoll]" not in there.values()


async def test_a_child_in_another_session_keeps_no_supervisor_waiting(start_seams: StartSeams, tasks: Tasks) -> None:
    """It is outside the group that the supervisor kills, and outlives the pool."""
    pool = start_seams("--grace", "0.2", "--interrupt", "0.5", "--last-writes", "1")
    pool.until_begun(await tasks.submit("leave_child", "leave_child"))
    (child,) = (psutil.Process(int(file.read_text())) for file in pool.folder.glob("*.child"))

    pool.signal()

    assert pool.exit_code() == 0
    assert child.is_running()


LEFT = {"in_group": "SystemExit", "in_gather": "SystemExit", "interrupted": "KeyboardInterrupt",
        "unawaited": None, "in_callback": None, "stopped": None}  # fmt: skip


@pytest.mark.parametrize("way", LEFT)
async def test_sys_exit_beside_a_run_ends_no_worker_process(
    start_seams: StartSeams, work: Work, tasks: Tasks, way: str
) -> None:
    """It is what its parent's code makes of it, and it is told. Work beside it in that worker process is untouched."""
    pool = start_seams()
    pid = pool.until_begun(await work.submit("pay", "neighbour"))

    await tasks.submit("exit_beside", way, recovery="owner_bound")
    outcome = (await work.end_of("exit_beside")).outcome

    if LEFT[way] is None:
        assert outcome == Success("went on")
    else:
        assert isinstance(outcome, Failure)
        assert outcome.code == LEFT[way]
    pool.go("neighbour")
    assert (await work.end_of("neighbour")).outcome == Success(pid)
    pool.until_logged("worker.exit_refused")
    assert pool.log.count("pool.spawned") == 1


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt", "TimeoutError"])
async def test_what_the_handler_of_a_signal_raises_costs_no_neighbour_its_result(
    start_seams: StartSeams, work: Work, tasks: Tasks, tmp_path: Path, kind: str
) -> None:
    """It strikes in whatever code runs just then, also in what begins runs, takes their ends and writes results."""
    pool = start_seams("--concurrency", "32")
    await tasks.submit("raise_in_handler", kind, recovery="owner_bound", process_id="handler")
    await work.end_of("handler")

    count = 0
    while not (tmp_path / "struck").exists() or count < 200:
        ids = [
            await tasks.submit("brief", number, recovery="owner_bound", process_id=f"brief-{count + number}")
            for number in range(50)
        ]
        count += len(ids)
        ends = {(await work.end_of(each)).status for each in ids}
        assert ends <= {ProcessStatus.COMPLETED, ProcessStatus.FAILED}  # where it strikes a task, that fails

    pool.go("calm")
    pool.go("after")
    await goes_on(pool, work)
    pool.signal()
    assert (pool.exit_code(), pool.report()["deferred"]) == (0, [])


async def test_a_worker_process_whose_work_was_all_cancelled_ends_at_once_and_loudly(
    start_seams: StartSeams, work: Work, tasks: Tasks
) -> None:
    """Although threads of its tasks never end: it would be renewed for ever. Another takes its work."""
    pool = start_seams()

    await tasks.submit("cancel_everything", "cancel_everything")

    assert (await work.end_of("cancel_everything")).status is ProcessStatus.COMPLETED
    pool.until_logged('status="exit 1"')
    pool.until_logged("worker.cancelled")
    assert "Traceback" not in pool.log
    first, second = pool.begun("cancel_everything")
    assert first != second


async def test_what_gets_no_thread_in_a_pool_waits_and_runs(start_seams: StartSeams, work: Work, tasks: Tasks) -> None:
    """Its leases are given back, nothing is abandoned, and the worker process goes on."""
    pool = start_seams()
    await tasks.submit("limit_threads", "limit")
    pid = pool.until_begun("limit")

    await tasks.submit("plain_bound", recovery="owner_bound")
    pool.until_logged("worker.cannot_begin")
    assert (await work.record("plain_bound")).status is ProcessStatus.RUNNING
    pool.go("limit")

    assert (await work.end_of("plain_bound")).outcome == Success(pid)
    assert pool.log.count("pool.spawned") == 1


async def test_an_orphan_that_gets_no_thread_drains_and_renews_once_it_gets_one(
    start_seams: StartSeams, work: Work, tasks: Tasks
) -> None:
    """Its supervisor is dead, and the thread that would renew instead cannot be started yet."""
    pool = start_seams("--grace", "60")
    worker = psutil.Process(pool.until_begun(await work.submit("pay", "pay")))
    await tasks.submit("limit_threads", "limit")
    pool.until_begun("limit")

    pool.signal(signal.SIGKILL)
    pool.started.wait()
    block_until(lambda: "operation=renew" in pool.log and "worker.draining" in pool.log, "it drains, and has no thread")
    before = await lease_of(work.registry, "pay")
    pool.go("limit")

    async def is_renewed() -> bool:
        return (await lease_of(work.registry, "pay")).expires_at_ms > before.expires_at_ms

    await wait_until(is_renewed, "the lease is renewed")
    pool.go("pay")
    assert (await work.end_of("pay")).outcome == Success(worker.pid)
    block_until(lambda: command_of(worker) == "", "it has ended")

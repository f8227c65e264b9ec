"""One ``Lash`` and one ``Worker``, and many event loops: one after another, and several at a time (rule 11.8)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fakeredis
import pytest

from lash_redis.app.lash import Lash
from lash_redis.core.errors import SettingsError
from lash_redis.core.loops import PerLoop
from lash_redis.core.model import ExternalOwner
from lash_redis.core.outcomes import Success
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.worker import Worker
from tests.app.working import waited_too_long
from tests.conftest import Backend
from tests.repo.tree import ROOT
from tests.servers import Servers
from tests.support import block_until, wait_until

DESK = ExternalOwner("desk")
LISTENER = "lash-redis-listener"


@pytest.fixture
def open_lash(backend: Backend, namespace: str) -> Lash:
    """Return a Lash on each backend."""
    return Lash(backend.url or backend.client(), namespace)


def test_a_worker_at_module_level_acts_in_one_event_loop_after_another(open_lash: Lash) -> None:
    """Made before, between or after loops: its connections, locks and events belong to the loop that it acts in."""
    lash = open_lash

    @lash.task(recovery="owner_bound", name="work")
    async def work(number: int) -> int:
        return number

    async def submit(number: int) -> str:
        async with lash:
            return (await work.submit(number)).id

    ids = [asyncio.run(submit(0))]
    worker = Worker(lash.registry, tasks=lash.tasks, concurrency=1)
    for number in (1, 2, 3):
        ids.append(asyncio.run(submit(number)))
        asyncio.run(worker.drive_pending())
    asyncio.run(worker.drive_pending())

    async def run() -> list[Any]:
        running = asyncio.create_task(worker.run())
        outcomes = [await lash.process(each).outcome(timeout=60) for each in ids]
        report = await worker.drain()
        await running
        assert not report.deferred
        return outcomes

    assert asyncio.run(run()) == [Success(number) for number in range(4)]
    assert asyncio.run(worker.drain()).abandoned == []
    lash.blocking.close()


def test_a_worker_that_a_loop_took_along_acts_in_the_next(open_lash: Lash) -> None:
    """``asyncio.run`` cancels ``run`` at its end. The same worker then runs in another loop."""
    lash = open_lash
    worker = Worker(lash.registry, tasks=lash.tasks)

    async def run_a_little() -> None:
        running = asyncio.create_task(worker.run())
        await wait_until(lambda: worker.probe.is_at_rest, "it waits for work")
        assert not running.done()

    asyncio.run(run_a_little())
    asyncio.run(run_a_little())
    assert lash.registry.connections.users == 0


async def test_a_worker_acts_on_one_event_loop_at_a_time(open_lash: Lash) -> None:
    """Its parts are not made for several threads; the error says what to do."""
    worker = Worker(open_lash.registry)
    running = asyncio.create_task(worker.run())
    await wait_until(lambda: worker.probe.is_at_rest, "it waits for work")

    def elsewhere() -> None:
        with pytest.raises(SettingsError, match="make a Worker for each event loop"):
            asyncio.run(worker.drive_pending())

    await asyncio.to_thread(elsewhere)
    await worker.drain()
    await running


def test_many_threads_each_with_an_event_loop_of_its_own(open_lash: Lash) -> None:
    """They share one Lash and one registry, and leave nothing behind."""
    lash, barrier = open_lash, threading.Barrier(6)

    async def use(number: int) -> object:
        async with lash:
            await asyncio.to_thread(barrier.wait, 60)
            step = await lash.expect(f"approval:{number}")
            waiting = asyncio.create_task(step.outcome(timeout=60))
            await lash.complete_external(step.id, Success(number), DESK)
            return await waiting

    def run(number: int) -> object:
        return asyncio.run(use(number))

    with ThreadPoolExecutor(6) as threads:
        for _ in range(2):
            assert list(threads.map(run, range(6))) == [Success(number) for number in range(6)]
    assert lash.registry.connections._loops.living() == []


def test_an_event_loop_takes_its_connections_along(servers: Servers, namespace: str) -> None:
    """Also if nobody closed anything, as most programs do."""
    registry = ProcessRegistry(servers["valkey"].url, namespace)
    for _ in range(3):
        asyncio.run(registry.get("p"))
    assert registry.connections._loops._values == {}


def test_a_registry_that_user_code_keeps_is_used_in_any_loop() -> None:
    """As ``registry = ProcessRegistry(...)`` at module level of a program without a ``Lash``."""
    registry = ProcessRegistry(fakeredis.FakeAsyncRedis())
    worker = Worker(registry)
    for _ in range(2):
        assert asyncio.run(registry.get("p")) is None
        asyncio.run(worker.drive_pending())


def test_a_value_of_a_loop_ends_with_it_or_is_dropped() -> None:
    """``asyncio.run`` ends it; of a loop that was only closed it is dropped when the next loop comes."""
    said: list[str] = []

    async def end(value: str) -> None:
        said.append(f"ended {value}")

    values = PerLoop(iter(["a", "b", "c"]).__next__, end, lambda value: said.append(f"dropped {value}"))

    async def use() -> str:
        return values.get() + values.get()

    assert asyncio.run(use()) == "aa"
    assert said == ["ended a"]
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(use()) == "bb"
    loop.close()
    assert said == ["ended a"]
    assert asyncio.run(use()) == "cc"
    assert said == ["ended a", "dropped b", "ended c"]
    assert values.here() is None


# What is not closed is told as it is collected; a program that raises then writes to its standard error.
LEAVES_NOTHING = """
import asyncio, gc, logging, sys, threading, warnings
from lash_redis import ExternalOwner, Lash, Success, Worker

logging.getLogger("lash_redis").setLevel("ERROR")  # that no worker has called yet is none

lash, desk = Lash(sys.argv[1], sys.argv[2]), ExternalOwner("desk")

@lash.task(recovery="rerunnable", name="work")
async def work(number: int) -> int:
    return number

worker = Worker(lash.registry, tasks=lash.tasks)

async def careless(name):
    step = await lash.expect(name)
    waiting = asyncio.create_task(step.outcome(timeout=60))
    await asyncio.sleep(0)
    await lash.complete_external(name, Success(name), desk)
    assert (await waiting).value == name
    asyncio.create_task((await lash.expect(name + "-never")).outcome())
    process = await work.submit(1)
    await worker.drive_pending()
    assert (await process.outcome(timeout=60)).value == 1

async def careful(name):
    async with lash:
        await careless(name)

async def several(name):
    await asyncio.gather(*(lash.registry.get(name) for _ in range(5)))

def only_close(name):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(several(name))
    loop.close()

asyncio.run(careless("a"))
asyncio.run(careful("b"))
only_close("c")
threads = [threading.Thread(target=only_close, args=[f"t{number}"]) for number in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
asyncio.run(careful("d"))
with lash.blocking as blocking:
    blocking.process("a").outcome(timeout=60)
gc.collect()
for thread in set(threading.enumerate()) - {threading.main_thread()}:
    thread.join(60)  # renewal and listening end by themselves
print(threading.active_count())
del lash, worker, work
gc.collect()
"""


def test_nothing_leaks_whatever_ends_an_event_loop(servers: Servers, namespace: str) -> None:
    """No connection is left to be collected, and no thread: an unclosed one would be told on standard error."""
    command = [sys.executable, "-W", "error", "-c", LEAVES_NOTHING, servers["valkey"].url, namespace]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.split() == ["1"]


BARE_LOOP = """
import asyncio, gc, sys
from lash_redis import ExternalOwner, Lash, Success

lash, desk = Lash(sys.argv[1], sys.argv[2]), ExternalOwner("desk")

async def wait(name):
    step = await lash.expect(name)
    waiting = asyncio.create_task(step.outcome(timeout=60))
    while lash._sessions.current().waiter._listener is None:
        await asyncio.sleep(0.01)
    await lash.complete_external(name, Success(name), desk)
    return (await waiting).value

loop = asyncio.new_event_loop()
print(loop.run_until_complete(wait("a")), loop.run_until_complete(wait("b")))
loop.close()
gc.collect()
"""


def test_a_loop_that_only_runs_until_a_wait_is_over_leaves_no_task(servers: Servers, namespace: str) -> None:
    """Without ``async with``: what read and listened for the wait ends with it. Nothing is told on standard error."""
    command = [sys.executable, "-c", BARE_LOOP, servers["valkey"].url, namespace]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    assert (ran.stdout.split(), ran.stderr) == (["a", "b"], "")


def test_a_listening_thread_ends_with_the_last_user(open_lash: Lash) -> None:
    """The one that hears for blocking waits."""
    before = set(threading.enumerate())
    with open_lash.blocking as blocking:
        step = blocking.expect("approval:1")
        asyncio.run(waited_too_long(step))
        assert LISTENER in {thread.name for thread in set(threading.enumerate()) - before}
    block_until(
        lambda: LISTENER not in {thread.name for thread in set(threading.enumerate()) - before}, "its thread has ended"
    )


# What asyncio says of a task that its closed event loop left is not ours.
CLOSED_UNDER_A_WORKER = """
import asyncio, fakeredis
from lash_redis import Lash, LeaseOwner, SettingsError, Worker

lash = Lash(fakeredis.FakeAsyncRedis())

@lash.task(recovery="rerunnable", name="work")
async def work(number: int) -> int:
    return number

given = Worker(lash.registry, tasks=lash.tasks, owner=LeaseOwner.local_process("me", "one-life"), poll_ms=200)
minted = Worker(lash.registry, tasks=lash.tasks, poll_ms=200)
async def until_subscribed(worker):
    while not worker.probe.wake_ups.is_subscribed:
        await asyncio.sleep(0.01)

for worker in (given, minted):
    loop = asyncio.new_event_loop()
    loop.create_task(worker.run())
    loop.run_until_complete(asyncio.wait_for(until_subscribed(worker), 60))
    loop.close()

async def run_on(worker):
    running = asyncio.create_task(worker.run())
    waiting = asyncio.create_task((await work.submit(17)).outcome(timeout=60))
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    await worker.drain()
    await running
    return (await waiting).value

print(asyncio.run(run_on(minted)))
try:
    asyncio.run(run_on(given))
except SettingsError as error:
    print(error)
"""


def test_a_worker_whose_event_loop_was_closed_under_it_begins_anew() -> None:
    """Nothing of it ended in order. Its next life has an owner of its own, and one that was given cannot have one."""
    command = [sys.executable, "-W", "ignore", "-c", CLOSED_UNDER_A_WORKER]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    value, refused = ran.stdout.splitlines()
    assert value == "17"
    assert "make a new Worker with another owner" in refused


def test_work_that_outlives_its_event_loop_ends_in_the_next(open_lash: Lash) -> None:
    """A thread goes on when the event loop of its worker has gone. Its slot and its lease must not be kept for ever."""
    lash, may_end, runs = open_lash, threading.Event(), []

    @lash.task(recovery="rerunnable", name="work")
    def work() -> int:
        runs.append(1)
        if len(runs) == 1:
            may_end.wait(60)
        return len(runs)

    worker = Worker(lash.registry, tasks=lash.tasks, concurrency=1)
    process = work.blocking.submit()

    async def run_a_little() -> None:
        running = asyncio.create_task(worker.run())
        await wait_until(lambda: runs, "it runs")
        assert not running.done()

    async def run_on() -> object:
        running = asyncio.create_task(worker.run())
        outcome = await lash.process(process.id).outcome(timeout=60)
        await worker.drain()
        await running
        return outcome

    asyncio.run(run_a_little())
    may_end.set()

    assert asyncio.run(run_on()) == Success(2)
    lash.blocking.close()

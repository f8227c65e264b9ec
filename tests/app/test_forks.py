"""A ``Lash`` before and after a fork, as in a server that loads its program and then forks (rule 2.8)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import fakeredis
import pytest

from lash_redis.app.server_source import ServerSource
from lash_redis.app.sessions import Sessions
from lash_redis.registry.registry import ProcessRegistry
from tests.repo.tree import ROOT
from tests.servers import Servers

# A forked child that hangs is ended by its alarm, and is missing in what the program prints.
PROGRAM = """
import asyncio, json, os, signal, sys, threading
from lash_redis import ExternalOwner, Lash, Success

lash = Lash(sys.argv[1], sys.argv[2])
desk = ExternalOwner("desk")

def plain(name):
    step = lash.blocking.expect(name)
    lash.blocking.complete_external(name, Success(name), desk)
    return step.blocking.outcome(timeout=60).value

async def waits(name):
    step = await lash.expect(name)
    waiting = asyncio.create_task(step.outcome(timeout=60))
    while lash._sessions.current().waiter._listener is None:
        await asyncio.sleep(0.01)
    await lash.complete_external(name, Success(name), desk)
    return (await waiting).value

async def both(name):
    return [await waits(f"{name}-async"), await asyncio.to_thread(plain, f"{name}-plain")]

def forked(name, *ways):
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(100)
        said = []
        try:
            for number, way in enumerate(ways):
                said.append(way(f"{name}-{number}"))
        except BaseException as error:
            said.append(repr(error))
        os.write(writes, json.dumps(said).encode())
        os._exit(0)
    os.close(writes)
    return child, reads

def said(child, reads):
    with os.fdopen(reads) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text or "null")
"""

PRELOAD = """
before = plain("parent")
late = lash.blocking.expect("late")
got = []
waiting = threading.Thread(target=lambda: got.append(late.blocking.outcome(timeout=90).value))
waiting.start()

def busy():
    number = 0
    while not stop.is_set():
        number += 1
        plain(f"busy-{number}")

stop = threading.Event()
hammers = [threading.Thread(target=busy)]
for hammer in hammers:
    hammer.start()
children = [forked(f"child-{n}", plain, lambda name: asyncio.run(waits(name)), plain) for n in range(5)]
answers = [said(*child) for child in children]
stop.set()
for hammer in hammers:
    hammer.join()
lash.blocking.complete_external("late", Success("late"), desk)
waiting.join()
print(json.dumps([before, answers, got, plain("after")]))
"""

IN_A_LOOP = """
async def main():
    before = await both("parent")
    child = forked("child", plain)
    answer = await asyncio.to_thread(said, *child)
    return [before, answer, await both("after")]

print(json.dumps(asyncio.run(main())))
"""

BEFORE_A_LOOP = """
registry = lash.registry

async def main(name):
    shared = lash.registry is registry and (await waits(name)) == name
    await lash.aclose()
    return "same" if shared else "another"

print(json.dumps(said(*forked("child", lambda name: asyncio.run(main(name))))))
"""


WITHIN_A_BLOCK = """
async def main():
    async with lash:
        with_plain = await asyncio.to_thread(leave_in_a_child)
        return [*with_plain, await waits("after-async")]

def leave_in_a_child():
    with lash.blocking:
        def leave(name):
            lash.blocking.__exit__(None, None, None)
            return plain(name)
        answer = said(*forked("child", leave))
        return [answer, plain("after")]

print(json.dumps(asyncio.run(main())))
"""


@pytest.fixture
def run(servers: Servers, namespace: str) -> Callable[[str], Any]:
    """Return what runs a program and reads the JSON that it prints."""

    def run(then: str) -> Any:
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM + then, servers["valkey"].url, namespace]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    return run


def test_a_lash_that_was_used_before_a_fork_is_used_after_it(run: Callable[[str], Any]) -> None:
    """Blocking and async, in parent and children, whatever threads of the parent did or held at the fork."""
    before, answers, got, after = run(PRELOAD)
    assert (before, got, after) == ("parent", ["late"], "after")
    assert answers == [[f"child-{number}-{way}" for way in range(3)] for number in range(5)]


def test_a_lash_of_an_event_loop_is_used_in_a_child_that_the_loop_forked(run: Callable[[str], Any]) -> None:
    """The session of the loop stays its parent's, and goes on."""
    before, answer, after = run(IN_A_LOOP)
    assert before == ["parent-async", "parent-plain"]
    assert answer == ["child-0"]
    assert after == ["after-async", "after-plain"]


def test_a_registry_taken_before_a_fork_is_that_of_the_child_too(run: Callable[[str], Any]) -> None:
    """A ``Worker(lash.registry)`` at module level and the tasks that it runs share one registry, on either side."""
    assert run(BEFORE_A_LOOP) == ["same"]


def test_a_child_that_leaves_a_block_of_its_parent_closes_nothing_of_it(run: Callable[[str], Any]) -> None:
    """Users are counted in each OS process. The child was never counted, and opens what it uses."""
    assert run(WITHIN_A_BLOCK) == [["child-0"], "after", "after-async"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_lock_that_was_held_at_the_fork_is_free_in_the_child() -> None:
    """Another thread of the parent was counting itself; there is no such thread in the child."""
    source = ServerSource(fakeredis.FakeAsyncRedis())
    sessions = Sessions(source, ProcessRegistry(source))
    with sessions._lock:
        child = os.fork()
        if child == 0:
            user = threading.Thread(target=sessions.join_blocking, daemon=True)
            user.start()
            user.join(10)
            os._exit(1 if user.is_alive() else 0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0

"""Groups whose worker, or whose program, is killed at the worst moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lash_redis.core.model import Phase, ProcessStatus
from lash_redis.core.outcomes import Cancelled, Resolution, ResolutionKind, Success
from lash_redis.operate.explain import explain
from lash_redis.registry.registry import ProcessRegistry
from tests.look import ended, record_of
from tests.repo.tree import ROOT
from tests.system.conftest import StartPool
from tests.system.pools import RunningPool

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="proof of death needs Linux")]

# Each run of a member writes its pid into NAME.begun, and ends once the file NAME.go exists.
GROUPS = """
import asyncio, os, signal, sys
from pathlib import Path
from lash_redis import Lash

FOLDER = Path(__file__).parent
lash = Lash(namespace=os.environ["POOL_NAMESPACE"], partitions=int(os.environ["PARTITIONS"]))


async def until_go(name):
    line = os.open(FOLDER / f"{name}.begun", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(line, f"{os.getpid()}\\n".encode())
    os.close(line)
    while not (FOLDER / f"{name}.go").exists():
        await asyncio.sleep(0.01)


@lash.task(recovery="rerunnable", name="measure")
async def measure(name: str) -> None:
    await until_go(name)


@lash.task(recovery="owner_bound", name="pay")
async def pay(name: str) -> None:
    await until_go(name)


@lash.task(recovery="rerunnable", name="sum_up")
async def sum_up() -> list[str]:
    return [f"{each.id} {type(each.outcome).__name__}" async for each in lash.members()]


async def submit(task, if_failed, killed_at):
    async with lash, lash.group(sum_up.options(process_id="g", if_failed=if_failed)) as group:
        for number in range(4):
            if number == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if number < 3:
                await group.submit({"measure": measure, "pay": pay}[task], f"m{number}")


if __name__ == "__main__":
    asyncio.run(submit(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""
NEVER = -1
MEMBERS = ["m0", "m1", "m2"]


class Groups:
    """The program that submits a group, and the pool that serves it."""

    def __init__(self, folder: Path, environment: dict[str, str], start_pool: StartPool) -> None:
        self._folder, self._environment, self._start_pool = folder, environment, start_pool
        (folder / "groups.py").write_text(GROUPS)

    def submit(self, task: str, if_failed: str, killed_at: int = NEVER) -> int:
        """Run the program in an OS process of its own; return its exit code."""
        command = [sys.executable, "groups.py", task, if_failed, str(killed_at)]
        environment = {**os.environ, **self._environment, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=self._folder, env=environment, check=False).returncode

    def pool(self) -> RunningPool:
        """Start a pool."""
        how = {"target": "groups:lash", "environment": self._environment}
        return self._start_pool("--grace", "1", "--lease-ttl", "600", **how)


@pytest.fixture
def groups(tmp_path: Path, url: str, namespace: str, registry: ProcessRegistry, start_pool: StartPool) -> Groups:
    """Return the program and its pool."""
    environment = {"POOL_NAMESPACE": namespace, "LASH_REDIS_URL": url, "PARTITIONS": str(registry.partitions)}
    return Groups(tmp_path, environment, start_pool)


@pytest.mark.parametrize("killed_at", [0, 2, 3])
async def test_a_program_that_is_killed_leaves_its_group_open_and_the_same_submit_completes_it(
    groups: Groups, registry: ProcessRegistry, killed_at: int
) -> None:
    """After it has opened it, between its members, or before it closes it; nothing is run twice."""
    killed = groups.submit("measure", "run", killed_at)
    pool = groups.pool()
    for name in MEMBERS:
        pool.go(name)
    for number in range(killed_at):
        await ended(registry, f"g::{number}")
    left_open = (await record_of(registry, "g")).phase, (await explain(registry, "g")).waiting.text

    again = groups.submit("measure", "run")

    outcome = (await ended(registry, "g")).outcome
    pool.stop()
    assert (killed, again) == (-signal.SIGKILL, 0)
    assert left_open == (Phase.BLOCKED, "its group is held open; it waits for no member")
    assert outcome == Success([f"g::{number} Success" for number in range(3)])
    assert [len(pool.begun(name)) for name in MEMBERS] == [1, 1, 1]


async def _last_runs(groups: Groups, registry: ProcessRegistry, task: str, if_failed: str) -> tuple[RunningPool, int]:
    """Submit a group of which the last member runs; return the pool and the pid of its worker process."""
    assert groups.submit(task, if_failed) == 0
    pool = groups.pool()
    for number, name in enumerate(MEMBERS[:2]):
        pool.go(name)
        await ended(registry, f"g::{number}")
    return pool, pool.until_begun("m2")


async def test_a_worker_is_killed_in_the_last_member_which_runs_again(
    groups: Groups, registry: ProcessRegistry
) -> None:
    """The group waits for the run that ends, and for no other."""
    pool, pid = await _last_runs(groups, registry, "measure", "cancel")
    os.kill(pid, signal.SIGKILL)
    pool.until_begun("m2", 2)
    blocked = (await record_of(registry, "g")).phase
    pool.go("m2")

    outcome = (await ended(registry, "g")).outcome
    pool.stop()
    assert (blocked, outcome) == (Phase.BLOCKED, Success([f"g::{number} Success" for number in range(3)]))
    assert [len(pool.begun(name)) for name in MEMBERS] == [1, 1, 2]


@pytest.mark.parametrize(
    ("kind", "becomes"),
    [
        (ResolutionKind.HAPPENED, Success(["g::0 Success", "g::1 Success", "g::2 Abandoned"])),
        (ResolutionKind.DID_NOT_HAPPEN, Cancelled("after g::2: abandoned")),
    ],
)
async def test_a_worker_is_killed_in_the_last_member_which_never_runs_again(
    groups: Groups, registry: ProcessRegistry, kind: ResolutionKind, becomes: Success | Cancelled
) -> None:
    """What needs its completion waits for a word on what became of it, also across a new pool."""
    pool, pid = await _last_runs(groups, registry, "pay", "cancel")
    os.kill(pid, signal.SIGKILL)
    assert (await ended(registry, "g::2")).status is ProcessStatus.ABANDONED
    pool.stop()
    groups.pool().until_ready()
    blocked = (await explain(registry, "g")).waiting.text

    await registry.resolve("g::2", Resolution(kind, "ada", 1, "on the statement"))

    outcome = (await ended(registry, "g")).outcome
    assert (blocked, outcome) == ("it waits for 1 to end: g::2 (abandoned, unresolved)", becomes)
    assert pool.begun("m2") == [pid]


async def test_what_runs_all_the_same_goes_once_the_last_member_is_abandoned(
    groups: Groups, registry: ProcessRegistry
) -> None:
    """Its summary says which one that is."""
    pool, pid = await _last_runs(groups, registry, "pay", "run")
    os.kill(pid, signal.SIGKILL)

    outcome = (await ended(registry, "g")).outcome
    assert outcome == Success(["g::0 Success", "g::1 Success", "g::2 Abandoned"])
    assert pool.begun("m2") == [pid]

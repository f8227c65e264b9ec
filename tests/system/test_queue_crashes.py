"""Pools and programs that are killed at the worst moment for a queue: while it is paused, full, or replaces work."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lash_redis.core.errors import QueueFull
from lash_redis.core.model import PauseRequest, Phase, ProcessRecord, ProcessRegistration, ProcessStatus, TaskInput
from lash_redis.core.outcomes import Cancelled
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import RERUNNABLE, ids_of
from tests.repo.tree import ROOT
from tests.support import block_until, wait_until
from tests.system.conftest import StartPool
from tests.system.pools import RunningPool

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="proof of death needs Linux")]

# Each start writes one line into a file before the work goes on. The test reads it without any code of the package.
MAIL = """
import asyncio, os, random, sys
from pathlib import Path
from lash_redis import Lash, Unique

FOLDER = Path(__file__).parent
PARTITIONS = int(os.environ["PARTITIONS"])
lash = Lash(namespace=os.environ["POOL_NAMESPACE"], partitions=PARTITIONS)
lash.queue("mail", most_waiting=2 * PARTITIONS)


def note(file, name):
    line = os.open(FOLDER / file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(line, f"{name}\\n".encode())
    os.close(line)


@lash.task(recovery="rerunnable", name="send", queue="mail")
async def send(name: str) -> None:
    note("begun", name)
    while not (FOLDER / "go").exists():
        await asyncio.sleep(0.01)


@lash.task(recovery="rerunnable", name="index", queue="default")
async def index(name: str) -> None:
    note("begun", name)
    await asyncio.sleep(random.uniform(0, 0.05))


HOW = {
    "replace": {"on_duplicate": "replace", "until": "end"},
    "debounce": {"on_duplicate": "debounce", "longest": 0.1},
}


async def submit_for_ever(how):
    async with lash:
        for number in range(100_000):
            for key in "abc":
                chosen = f"{key}::{os.getpid()}-{number}"
                unique = Unique(key=key, **HOW[how])
                note("asked", chosen)
                ready = index.options(process_id=chosen, unique=unique, delay=0.05 if how == "debounce" else 0)
                await ready.submit(chosen)
            await asyncio.sleep(random.uniform(0, 0.02))


if __name__ == "__main__":
    asyncio.run(submit_for_ever(sys.argv[1]))
"""
WHY = PauseRequest("ada", 1, "the provider is down")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partitions: int) -> Path:
    """Return the folder of a pool, with its program."""
    monkeypatch.setenv("PARTITIONS", str(partitions))
    (tmp_path / "mail.py").write_text(MAIL)
    return tmp_path


def lines_of(folder: Path, file: str) -> list[str]:
    """Return what was noted in a file."""
    return (folder / file).read_text().split() if (folder / file).exists() else []


def kill(pool: RunningPool) -> None:
    """Kill a whole pool at once, the supervisor first, so that nobody writes anything about it."""
    workers = pool.workers
    for each in [pool.supervisor, *workers]:
        each.kill()
    pool.started.wait()
    block_until(lambda: not any(each.is_running() for each in workers), "its worker processes have gone")


def kill_a_program(folder: Path, how: str, environment: dict[str, str], after: int) -> None:
    """Start a program that submits again and again, and kill it after so many submits."""
    before = len(lines_of(folder, "asked"))
    program = subprocess.Popen([sys.executable, folder / "mail.py", how], env=environment, cwd=folder)
    try:
        block_until(lambda: len(lines_of(folder, "asked")) >= before + after, "it submits")
    finally:
        program.kill()
        program.wait()


async def submit(registry: ProcessRegistry, *ids: str) -> None:
    """Submit mails; each has its id for its argument."""
    await registry.register_many(
        ProcessRegistration(each, TaskInput("send", (each,)), RERUNNABLE, queue="mail") for each in ids
    )


async def completed(registry: ProcessRegistry, ids: list[str]) -> bool:
    """Say whether all have completed."""
    rows = await registry.rows(ids)
    return all(row is not None and row.record().status is ProcessStatus.COMPLETED for row in rows)


async def lost_once(registry: ProcessRegistry, ids: list[str]) -> bool:
    """Say whether the loss of each was counted."""
    rows = await registry.rows(ids)
    return all(row is not None and row.record().losses == 1 for row in rows)


@pytest.mark.timeout(120)
async def test_a_pool_is_killed_while_its_queue_is_paused(
    start_pool: StartPool, registry: ProcessRegistry, folder: Path, partitions: int
) -> None:
    """What ran comes back into its place and waits there with the others, until somebody resumes."""
    options = ("--queues", "mail", "--concurrency", str(partitions), "--lease-ttl", "600")
    ran, waits = map(list, zip(*(ids_of(2, each, partitions) for each in range(partitions)), strict=True))
    pool = start_pool(*options, target="mail:lash")
    pool.until_ready()
    await submit(registry, *ran)
    await wait_until(lambda: len(lines_of(folder, "begun")) == partitions, "each has begun")
    await submit(registry, *waits)
    await registry.pause(WHY, queue="mail")

    kill(pool)
    (folder / "go").touch()
    start_pool(*options, target="mail:lash").until_ready()
    await wait_until(lambda: lost_once(registry, ran), "what ran was settled")
    assert {row and row.record().phase for row in await registry.rows(ran)} == {Phase.QUEUED}
    (paused,) = await registry.pauses()
    assert (paused.request, paused.where) == (WHY, "")
    assert sorted(lines_of(folder, "begun")) == sorted(ran)
    await registry.resume(queue="mail")
    await wait_until(lambda: completed(registry, [*ran, *waits]), "all have completed")
    assert sorted(lines_of(folder, "begun")) == sorted([*ran, *ran, *waits])


@pytest.mark.timeout(120)
async def test_a_pool_is_killed_while_its_queue_is_full(
    start_pool: StartPool, registry: ProcessRegistry, folder: Path, partitions: int
) -> None:
    """What was claimed counts no more, also when it comes back; and nothing that waits is forgotten by the count."""
    options = ("--queues", "mail", "--concurrency", str(partitions), "--lease-ttl", "600")
    chosen = [ids_of(4, each, partitions) for each in range(partitions)]
    ran, refused = [each[0] for each in chosen], [each[3] for each in chosen]
    pool = start_pool(*options, target="mail:lash")
    pool.until_ready()
    await submit(registry, *ran)
    await wait_until(lambda: len(lines_of(folder, "begun")) == partitions, "each has begun")

    async def is_full() -> bool:
        (queue,) = await registry.bounds()
        for each in refused:
            with pytest.raises(QueueFull, match="2 of at most 2"):
                await submit(registry, each)
        return queue.waiting == 2 * partitions

    await submit(registry, *[id_ for each in chosen for id_ in each[1:3]])
    assert await is_full()

    kill(pool)
    assert await is_full()
    start_pool(*options, target="mail:lash").until_ready()
    await wait_until(lambda: len(lines_of(folder, "begun")) == 2 * partitions, "as many run again")
    await wait_until(lambda: lost_once(registry, ran), "what ran was settled")
    new = set(lines_of(folder, "begun")) - set(ran)  # it claims what waits before the sweep brings the others back
    assert [each.waiting for each in await registry.bounds()] == [2 * partitions - len(new)]

    (folder / "go").touch()
    await wait_until(lambda: completed(registry, [id_ for each in chosen for id_ in each[:3]]), "all have completed")
    assert [each.waiting for each in await registry.bounds()] == [0]
    await submit(registry, *refused)
    await wait_until(lambda: completed(registry, refused), "what was refused is let in now")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["replace", "debounce"])
async def test_programs_and_workers_are_killed_while_work_is_replaced_or_put_off(
    start_pool: StartPool, registry: ProcessRegistry, folder: Path, url: str, how: str
) -> None:
    """What was replaced never ran and names what took its place; the last one of each key ran."""
    chance = random.Random(7)
    pool = start_pool("--workers", "2", "--concurrency", "1", target="mail:lash")
    pool.until_ready(2)
    environment = {**os.environ, "LASH_REDIS_URL": url, "POOL_NAMESPACE": registry.namespace, "PYTHONPATH": str(ROOT)}
    for life in range(3):
        kill_a_program(folder, how, environment, after=chance.randint(3, 40))
        if life % 3 == 1 and pool.workers:
            os.kill(chance.choice(pool.workers).pid, signal.SIGKILL)

    asked = list(dict.fromkeys(lines_of(folder, "asked")))

    async def all_ended() -> bool:
        return all(row is None or row.is_terminal for row in await registry.rows(asked))

    await wait_until(all_ended, f"all have ended\n{pool.log[-2000:]}")
    rows = {row.process_id: row.record() for row in await registry.rows(asked) if row is not None}
    begun = set(lines_of(folder, "begun"))
    for id_, record in rows.items():
        if isinstance(record.outcome, Cancelled):
            assert id_ not in begun, "what was replaced ran"
            assert (record.outcome.reason or "").removeprefix("replaced by ") in rows
        else:
            assert record.status is ProcessStatus.COMPLETED
            assert id_ in begun
    for key in "abc":
        last = max((each for each in rows.values() if each.id.startswith(key)), key=_registered)
        assert last.status is ProcessStatus.COMPLETED
    assert any(each.status is ProcessStatus.CANCELLED for each in rows.values()) == (how == "replace")
    assert len(rows) < len(asked) or how == "replace"
    pool.stop()


def _registered(record: ProcessRecord) -> int:
    return record.registered_at_ms

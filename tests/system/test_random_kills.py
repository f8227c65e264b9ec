"""Worker processes killed at random moments: nothing is lost, and no owner-bound work runs twice."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import redis.asyncio

from lash_redis.core.model import ProcessRegistration, ProcessStatus, RecoveryDisposition, TaskInput
from lash_redis.core.outcomes import AbandonWriter
from tests.look import evidence
from tests.soundness import assert_sound
from tests.support import wait_until
from tests.system.conftest import StartPool
from tests.system.pools import RunningPool, Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="proof of death needs Linux")]

# Each start writes one line into a file before the work goes on. The test reads it without any code of the package.
LEDGER = """
import asyncio, os, random, time
from pathlib import Path
from lash_redis import Lash

FILE = Path(__file__).with_name("ledger")
lash = Lash(namespace=os.environ["POOL_NAMESPACE"])


def note(word, name):
    line = os.open(FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(line, f"{word} {name} {os.getpid()}\\n".encode())
    os.close(line)


@lash.task(recovery="rerunnable", name="again")
def again(name: str) -> None:
    note("start", name)
    time.sleep(random.uniform(0, 0.1))
    note("end", name)


@lash.task(recovery="owner_bound", name="once")
async def once(name: str) -> None:
    note("start", name)
    await asyncio.sleep(random.uniform(0, 0.1))
    note("end", name)
"""

KILLS = 12
EACH = 40  # processes of each kind that are registered before each kill
KINDS = {"again": RecoveryDisposition.RERUNNABLE, "once": RecoveryDisposition.OWNER_BOUND}


@pytest.mark.timeout(400)
async def test_kill_9_at_any_moment_loses_nothing_and_repeats_no_owner_bound_work(
    start_pool: StartPool, work: Work, tmp_path: Path, url: str, namespace: str
) -> None:
    """Every process ends. Rerunnable work completes; owner-bound work completes once or is abandoned with evidence."""
    (tmp_path / "ledger.py").write_text(LEDGER)
    pool = start_pool("--workers", "3", "--concurrency", "4", "--grace", "5", target="ledger:lash")

    names = await _register_and_kill(pool, work, seed=11)

    async def all_ended() -> bool:
        return not (await work.registry.list_non_terminal(1)).records

    await wait_until(all_ended, f"all processes have ended\n{pool.log[-2000:]}", 150)
    rows = await work.registry.rows(names)
    records = {row.process_id: row.record() for row in rows if row is not None}
    ledger = (tmp_path / "ledger").read_text().splitlines()
    starts = Counter(line.split()[1] for line in ledger if line.startswith("start"))
    ends = Counter(line.split()[1] for line in ledger if line.startswith("end"))
    assert len(records) == len(names)
    for name, record in records.items():
        if name.startswith("again"):
            assert record.status is ProcessStatus.COMPLETED, record
            assert ends[name] >= 1
            continue
        assert starts[name] <= 1, f"{name} was started {starts[name]} times"
        if record.status is ProcessStatus.COMPLETED:
            assert (starts[name], ends[name]) == (1, 1)
        else:
            found = evidence(record)
            assert (found.writer, found.proof) == (AbandonWriter.SWEEP, "reaped"), found
    pool.signal()
    assert pool.exit_code() == 0
    client = redis.asyncio.Redis.from_url(url)
    await assert_sound(client, namespace)
    await client.aclose()


async def _register_and_kill(pool: RunningPool, work: Work, seed: int) -> list[str]:
    """Kill worker processes at random moments, each time after registering new work; return the ids of the work."""
    chance = random.Random(seed)
    names: list[str] = []
    for kill in range(KILLS):
        pool.until_ready(3 + kill)
        names += await _register(work, range(kill * EACH, (kill + 1) * EACH))
        until = time.monotonic() + chance.uniform(0, 0.4)
        await wait_until(lambda until=until: time.monotonic() >= until, "the moment to kill has come")  # type: ignore[misc]
        os.kill(chance.choice(pool.workers).pid, signal.SIGKILL)
    return names


async def _register(work: Work, numbers: range) -> list[str]:
    names = {f"{task}-{number}": task for number in numbers for task in KINDS}
    # The loss limit is out of reach, since here workers die far more often than anywhere else.
    await work.registry.register_many(
        ProcessRegistration(name, TaskInput(task, (name,)), KINDS[task], loss_limit=1000)
        for name, task in names.items()
    )
    return list(names)

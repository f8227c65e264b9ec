"""A pool of many tasks: the number of its lanes is not bounded by what one call can name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lash_redis.core.model import ProcessRegistration, ProcessStatus, RecoveryDisposition, TaskInput
from tests.look import ended
from tests.system.conftest import StartPool
from tests.system.pools import Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform == "win32", reason="the pool needs POSIX")]

MANY = """
import os
from lash_redis import Lash
lash = Lash(namespace=os.environ["POOL_NAMESPACE"])

def task_of(number):
    def run(name: str, one: int = 1, two: int = 2, three: int = 3) -> int:
        return number
    return run

for number in range(300):
    lash.task(recovery="rerunnable", name=f"task-{number}")(task_of(number))
"""


async def test_a_pool_serves_three_hundred_tasks_with_three_defaults_each(
    start_pool: StartPool, work: Work, tmp_path: Path
) -> None:
    """Each parameter with a default at the end makes one more lane, since older rows may lack it."""
    (tmp_path / "many.py").write_text(MANY)
    pool = start_pool("--queues", "default,urgent", target="many:lash")
    names = ["task-0", "task-150", "task-299"]
    await work.registry.register_many(
        ProcessRegistration(name, TaskInput(name, (name,)), RecoveryDisposition.RERUNNABLE, queue="urgent")
        for name in names
    )

    ends = [await ended(work.registry, name) for name in names]

    assert [end.status for end in ends] == [ProcessStatus.COMPLETED] * 3, pool.log
    assert [end.outcome.value for end in ends] == [0, 150, 299]  # type: ignore[union-attr]
    pool.signal()
    assert pool.exit_code() == 0

"""A pool and the command line on a Cluster, and behind Sentinels: work ends, and that of a killed worker runs again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from lash_redis.core.model import ProcessStatus
from lash_redis.registry.registry import ProcessRegistry
from tests.clusters import start_cluster
from tests.look import ended
from tests.repo.tree import ROOT
from tests.sentinels import Watched
from tests.system.conftest import StartPool
from tests.system.pools import Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform == "win32", reason="the pool needs POSIX")]

PARTITIONS = 8
NAMES = [f"each-{number}" for number in range(PARTITIONS)]


@pytest.fixture(params=["cluster", "sentinel"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the URL of a cluster of three nodes, and of servers that Sentinels watch."""
    with start_cluster() if request.param == "cluster" else Watched() as running:
        yield running.url


async def test_a_pool_ends_its_work_and_recovers_that_of_a_killed_worker(
    url: str, namespace: str, start_pool: StartPool
) -> None:
    """Rerunnable work of a worker process that is killed runs again, in all partitions; `ps` and `show` see it."""
    registry = ProcessRegistry(url, namespace, PARTITIONS)
    work = Work(registry)
    for name in NAMES:
        await work.submit("measure", name)
    pool = start_pool(url=url, environment={"POOL_PARTITIONS": str(PARTITIONS)})
    killed = {pool.until_begun(name) for name in NAMES}

    (worker,) = pool.workers
    worker.kill()
    again = {pool.until_begun(name, times=2) for name in NAMES}
    listed, shown = (_said(url, namespace, *verb) for verb in (("ps",), ("show", NAMES[0])))
    for name in NAMES:
        pool.go(name)
    records = [await ended(registry, name) for name in NAMES]

    assert killed == {worker.pid}
    assert killed.isdisjoint(again)
    assert all(name in listed for name in NAMES)
    assert NAMES[0] in shown
    assert {record.status for record in records} == {ProcessStatus.COMPLETED}
    await registry.aclose()


def _said(url: str, namespace: str, *verb: str) -> str:
    command = [sys.executable, "-m", "lash_redis", *verb, "--namespace", namespace, "--url", url]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout

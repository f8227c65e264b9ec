"""A worker behind a slow link: its work is submitted, run and written, and its drain ends (rules 8.6 and 8.11)."""

from __future__ import annotations

import pytest

from lash_redis.app.lash import Lash
from lash_redis.core.model import ProcessStatus
from lash_redis.worker.worker import Worker
from tests.conftest import Backend
from tests.proxy import Proxy
from tests.servers import Servers
from tests.services.conftest import Crew
from tests.support import wait_until

BYTES_A_SECOND = 2_000_000
LONG = 100_000


@pytest.fixture
def backend(servers: Servers) -> Backend:
    """Return one real server, which the proxy stands before."""
    return Backend("valkey", url=servers["valkey"].url)


async def test_work_with_long_inputs_and_results_is_done_behind_a_slow_link(
    proxy: Proxy, namespace: str, crew: Crew
) -> None:
    """All of it takes far longer than the server may be silent."""
    lash = Lash(proxy.url, namespace)

    @lash.task(recovery="owner_bound", name="echo")
    async def echo(text: str) -> str:
        return text

    async with lash:
        proxy.throttle(up=BYTES_A_SECOND, down=BYTES_A_SECOND)
        submitted = await echo.submit_many([(f"{number:0{LONG}}",) for number in range(32)])
        worker = Worker(lash.registry, lash.tasks, concurrency=32, lease_ttl_ms=6_000, grace_ms=20_000)
        async with crew.running(worker):
            await wait_until(lambda: proxy.counts["terminalize"] > 0, "the first results are on their way", 20)
            report = await worker.drain()
        proxy.heal()
        records = [await process.record() for process in submitted]

    assert (report.abandoned, report.deferred) == ([], [])
    ended = [each for each in records if each.status is ProcessStatus.COMPLETED]
    assert len(ended) + sum(each.first_started is None for each in records) == len(records)
    assert len(ended) >= 10  # one claim carries 1 MiB

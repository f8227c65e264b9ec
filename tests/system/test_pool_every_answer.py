"""Every kind of answer to the calls of a supervisor: a death is recorded, its work recovered, and the pool goes on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Final

import psutil
import pytest

from lash_redis.core.model import ProcessStatus
from lash_redis.core.outcomes import Abandoned
from tests.fault_kinds import FAULT_KINDS
from tests.proxy import Proxy
from tests.servers import Servers
from tests.support import wait_until
from tests.system.conftest import StartPool
from tests.system.pools import Work

STRIKES = 4  # more than a call is sent again by itself
KINDS: Final = {str(kind): kind for kind in FAULT_KINDS}
# A pool waits longer before each start of a worker process that dies young: so there are few deaths for each pool.
ROUNDS: Final = (
    (("record_death", "unheard-of-before"), ("settle", "noperm-after"), ("renew_owned", "loading-before")),
    (("record_death", "cut-after"), ("close_claims", "proxy-before"), ("page", "readonly-before")),
)


@pytest.fixture
def proxy(servers: Servers) -> Iterator[Proxy]:
    """Return a proxy before one real server."""
    with Proxy(servers["valkey"].url) as made:
        yield made


@pytest.mark.parametrize("strikes", ROUNDS, ids=str)
async def test_whatever_a_supervisor_is_answered_a_death_is_settled_and_the_pool_goes_on(
    start_pool: StartPool, work: Work, proxy: Proxy, strikes: tuple[tuple[str, str], ...]
) -> None:
    """One call after another is struck while a worker process is killed that runs work of both dispositions."""
    pool = start_pool("--concurrency", "4", "--lease-ttl", "3", url=proxy.url)
    for number, (call, kind) in enumerate(strikes):
        pay, measure = f"pay-{number}", f"measure-{number}"
        pid = pool.until_begun(await work.submit("pay", pay))
        pool.until_begun(await work.submit("measure", measure))
        KINDS[kind].strike(proxy, call, times=STRIKES)
        psutil.Process(pid).send_signal(signal.SIGKILL)

        record = await work.end_of(pay)
        assert record.status is ProcessStatus.ABANDONED, kind
        assert isinstance(record.outcome, Abandoned)
        pool.until_begun(measure, 2)
        proxy.heal()
        pool.go(measure)
        assert (await work.end_of(measure)).status is ProcessStatus.COMPLETED, kind
        assert len(pool.begun(pay)) == 1, kind

    await wait_until(lambda: len(pool.workers) == 1, "one worker process lives")
    pool.signal()
    assert pool.exit_code() == 0

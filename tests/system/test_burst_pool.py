"""``lash-redis worker --burst``: a pool that runs until nothing is left, and ends with its report."""

from __future__ import annotations

import sys

import pytest

from tests.system.conftest import StartPool
from tests.system.pools import Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform == "win32", reason="the pool needs POSIX")]


async def test_a_pool_ends_by_itself_once_nothing_is_left_to_do(start_pool: StartPool, work: Work) -> None:
    """Each of its worker processes leaves, none is started again, and the exit code is 0."""
    names = await work.submit_in_turn(6, "measure_briefly", "pay_briefly")

    pool = start_pool("--workers", "2", "--burst")

    assert pool.exit_code() == 0
    assert pool.report()["abandoned"] == pool.report()["deferred"] == []
    for name in names:
        await work.end_of(name)


async def test_a_burst_of_a_misspelt_queue_is_refused(start_pool: StartPool) -> None:
    """It would run nothing, and end well."""
    pool = start_pool("--burst", "--queues", "default,defualt")

    assert pool.exit_code() == 2
    assert "got 'defualt': did you mean 'default'?" in pool.log

"""Owners killed at the worst moments under limits: no slot leaks, none is exceeded, and all work ends."""

from __future__ import annotations

import sys

import pytest

from lash_redis.core.model import ProcessStatus, RecoveryDisposition
from tests.system.conftest import StartPool
from tests.system.limited import MOMENTS, Limited, all_end, killed, most_of, most_starts

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="proof of death needs Linux")]

KEYS = ("a", "b", "c")
ROWS = 6  # of each key and disposition
STARTS = 2  # of a key in a window of a second
LIMITS = {"limit": {"key": 2}, "both": {"key": 2, "all": 3}, "rate": {}, "cost": {"key": 3}}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("policy", LIMITS)
async def test_no_slot_leaks_when_owners_are_killed(start_pool: StartPool, limited: Limited, policy: str) -> None:
    """After the claim and before the start, while it runs, between its end and the write, and after the write."""
    tasks = limited.load()
    registry = tasks.lash.registry
    for moment in MOMENTS:
        (limited.folder / f"{moment}.kill").touch()
    ids: list[str] = []
    for recovery in ("rerunnable", "owner_bound"):
        task = getattr(tasks, f"{policy}_{recovery}")
        calls = [(key, 1 + number % 2 if policy == "cost" else 1) for number in range(ROWS) for key in KEYS]
        ids += [handle.id for handle in await task.submit_many(calls)]
    options = "--workers", "2", "--concurrency", "8"
    pool = start_pool(*options, target="limited:lash", environment={"POOL_KILLS": "1"})
    await all_end(registry, pool, 200)
    pool.stop()

    assert sorted(killed(limited.folder)) == sorted(MOMENTS)
    rows = [row for row in await registry.rows(ids) if row is not None]
    assert len(rows) == len(ids)
    for row in rows:
        may_be_lost = row.disposition is RecoveryDisposition.OWNER_BOUND and row.status is ProcessStatus.ABANDONED
        assert row.status is ProcessStatus.COMPLETED or may_be_lost
    limits = LIMITS[policy]
    if "key" in limits:  # each of the two tasks has its own
        assert max(most_of(limited.folder, "task", "key").values()) == limits["key"]
    if "all" in limits:
        assert max(most_of(limited.folder).values()) == limits["all"]
    if policy == "rate":
        assert all(starts <= STARTS * windows for starts, windows in most_starts(rows))
    await limited.assert_all_is_given_back(registry)
    await tasks.lash.aclose()

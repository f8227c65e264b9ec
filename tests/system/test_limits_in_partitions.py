"""Limits, rates and turns in a namespace of eight partitions, under a real pool: each partition has its share."""

from __future__ import annotations

import sys

import pytest

from lash_redis.core.errors import SettingsError
from lash_redis.core.model import ProcessStatus
from tests.system.conftest import StartPool
from tests.system.limited import Limited, all_end, most_of, most_starts

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform == "win32", reason="the pool needs POSIX")]

PARTITIONS, LIMIT = 8, 20
SHARES = (3, 3, 3, 3, 2, 2, 2, 2)
KEYS = ("a", "b")
ROWS = 80  # of each key


@pytest.mark.timeout(240)
async def test_each_partition_has_its_share_under_a_pool(start_pool: StartPool, limited: Limited) -> None:
    """By a log outside Redis none has more than its share, all together no more than the limit; all work ends."""
    tasks = limited.load(POOL_PARTITIONS=str(PARTITIONS), POOL_LIMIT=str(LIMIT))
    registry = tasks.lash.registry
    ids: dict[str, list[str]] = {}
    for policy in ("fair", "limit", "shared", "rate"):
        calls = [(key, 1) for _ in range(ROWS) for key in KEYS]
        handles = await getattr(tasks, f"{policy}_rerunnable").submit_many(calls)
        ids[policy] = [handle.id for handle in handles]
    pool = start_pool("--workers", "2", "--concurrency", "64", target="limited:lash")
    await all_end(registry, pool, 200)
    pool.stop()

    rows = {policy: [row for row in await registry.rows(of) if row is not None] for policy, of in ids.items()}
    assert {row.status for of in rows.values() for row in of} == {ProcessStatus.COMPLETED}
    by_partition = most_of(limited.folder, "task", "key", "partition")
    for number, share in enumerate(SHARES):
        assert max(by_partition["limit_rerunnable", key, str(number)] for key in KEYS) <= share
    of_all = most_of(limited.folder, "task", "partition")
    assert all(of_all["shared_rerunnable", str(number)] <= share for number, share in enumerate(SHARES))
    assert max(of_all.values()) > LIMIT // PARTITIONS
    together = most_of(limited.folder, "task")
    assert PARTITIONS <= together["shared_rerunnable",] <= LIMIT
    starts = most_starts(rows["rate"], PARTITIONS)
    assert len(starts) == len(KEYS) * PARTITIONS
    assert all(number <= max(SHARES) * windows for number, windows in starts)
    await limited.assert_all_is_given_back(registry)
    await tasks.lash.aclose()


async def test_less_than_one_for_each_partition_is_refused(limited: Limited) -> None:
    """At the first submit, with both numbers, and nothing is registered: a limit, a shared one, a rate and a cost."""
    tasks = limited.load(POOL_PARTITIONS=str(PARTITIONS), POOL_LIMIT=str(PARTITIONS - 1))
    for policy, what in (("limit", "limit"), ("shared", "limit"), ("rate", "starts of rate"), ("cost", "limit")):
        with pytest.raises(SettingsError, match=f"{what}.* at least {PARTITIONS}, .* got {PARTITIONS - 1}"):
            await getattr(tasks, f"{policy}_rerunnable").submit("a")
    assert (await tasks.lash.registry.list_non_terminal(1)).records == []
    await tasks.lash.aclose()

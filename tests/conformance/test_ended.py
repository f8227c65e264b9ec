"""list_ended: what ended in one state, the newest first, page by page."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import SettingsError
from lash_redis.core.model import ProcessStatus
from lash_redis.core.outcomes import AbandonWriter, Failure, Success
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    RERUNNABLE,
    abandon,
    abandoned,
    begun,
    cancel,
    ids_of,
    outside,
    settled,
    work,
)
from tests.conftest import ServerTime


async def cancelled(registry: ProcessRegistry, server: ServerTime, *ids: str) -> None:
    """Let processes end one after the other, a millisecond apart at least."""
    for id_ in ids:
        await registry.register(work(id_))
        await registry.request_cancel(id_, cancel())
        await server.pass_until(await server.now_ms() + 1)


async def listed(registry: ProcessRegistry, status: ProcessStatus, limit: int = 500) -> list[str]:
    """Return the ids of all pages."""
    ids: list[str] = []
    cursor = None
    while True:
        page = await registry.list_ended(status, limit, cursor)
        assert len(page.rows) <= limit
        ids += [row.process_id for row in page.rows]
        if (cursor := page.cursor) is None:
            return ids


async def test_each_state_has_a_list_of_its_own(registry: ProcessRegistry) -> None:
    """What has not ended is in none."""
    await registry.register_many([work(name, task=name) for name in ("good", "bad", "runs")])
    await registry.register_many([work("stopped"), outside("given-up")])
    for name, outcome in (("good", Success(1)), ("bad", Failure("E", "no"))):
        lease = await registry.claim(name, ADA, 60_000)
        await registry.complete(lease.lease, outcome)  # type: ignore[union-attr]
    await registry.request_cancel("stopped", cancel())
    await registry.request_abandon("given-up", abandon())
    assert await settled(registry, "given-up", "fact", abandoned(AbandonWriter.RECONCILED_REQUEST, None))

    assert {status.value: await listed(registry, status) for status in ProcessStatus if status.value != "running"} == {
        "completed": ["good"],
        "failed": ["bad"],
        "cancelled": ["stopped"],
        "abandoned": ["given-up"],
    }


@pytest.mark.parametrize("limit", [1, 3, 7, 500])
async def test_the_latest_come_first_over_all_partitions(
    registry: ProcessRegistry, server: ServerTime, limit: int
) -> None:
    """Whatever the length of a page; nothing is shown twice or missed."""
    ids = [f"p{number}" for number in range(7)]
    await cancelled(registry, server, *ids)

    assert await listed(registry, ProcessStatus.CANCELLED, limit) == ids[::-1]


async def test_what_ended_at_one_moment_is_shown_once(registry: ProcessRegistry, partitions: int) -> None:
    """Pages end within it."""
    ids = [f"p{number}" for number in range(40)]
    await registry.register_many([work(id_, RERUNNABLE) for id_ in ids])
    for id_ in ids:
        await registry.request_cancel(id_, cancel())

    assert sorted(await listed(registry, ProcessStatus.CANCELLED, 3)) == sorted(ids)


async def test_a_page_of_what_ended_has_no_empty_one_behind_it(registry: ProcessRegistry, server: ServerTime) -> None:
    """The cursor of the last page is None, however full that page is."""
    await cancelled(registry, server, "a", "b")

    assert (await registry.list_ended(ProcessStatus.CANCELLED, 2)).cursor is None
    assert (await registry.list_ended(ProcessStatus.CANCELLED, 1)).cursor is not None


async def test_what_ended_and_cannot_be_read_is_left_out(
    registry: ProcessRegistry, server: ServerTime, client: Any, namespace: str, partitions: int
) -> None:
    """So is a stale entry: an index is a hint."""
    one, two = ids_of(2, 0, partitions)
    await cancelled(registry, server, one, two)
    await client.hset(f"{{lash:{namespace}:0}}:p:{one}", "at", "never")
    await client.zadd(f"{{lash:{namespace}:0}}:done:work|k", {"gone": 5})

    assert await listed(registry, ProcessStatus.CANCELLED, 1) == [two]

    await client.hset(f"{{lash:{namespace}:0}}:p:{one}", "at", "1")
    await client.zrem(f"{{lash:{namespace}:0}}:done:work|k", "gone")


@pytest.mark.parametrize("cursor", ["", "x", "bm8", "WyJpbmYiLFsxLDIsM11d"])
async def test_a_cursor_that_no_page_gave_is_refused(registry: ProcessRegistry, cursor: str) -> None:
    """It is named."""
    with pytest.raises(SettingsError, match="cursor"):
        await registry.list_ended(ProcessStatus.FAILED, 10, cursor)


async def test_what_ended_is_shown_without_long_payloads(registry: ProcessRegistry) -> None:
    """A page is short, whatever the results are."""
    await registry.register(work("p", RERUNNABLE, "x" * 500))
    await registry.complete(await begun(registry, "p", ADA), Success("y" * 500))

    (row,) = (await registry.list_ended(ProcessStatus.COMPLETED, 10)).rows

    assert (row.record().input, row.record().outcome) == (None, None)

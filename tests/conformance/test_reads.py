"""get, lease, list_non_terminal, counts: what is read, in pages."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections import Counter
from typing import Any

import pytest

from lash_redis.core.errors import SettingsError
from lash_redis.core.model import Phase, ProcessRecord
from lash_redis.core.outcomes import Success
from lash_redis.registry.answers import PageStart
from lash_redis.registry.keys import ASKED, LEASES, owned_index, owner_digest
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    OWNER_BOUND,
    abandon,
    batch_claim,
    begun,
    cancel,
    held,
    ids_of,
    outside,
    work,
)
from tests.conftest import ServerTime
from tests.soundness import keyspace


async def listed(registry: ProcessRegistry, limit: int) -> list[ProcessRecord]:
    """Return what all pages list, checking that none is longer than asked for."""
    records: list[ProcessRecord] = []
    cursor: str | None = None
    while True:
        page = await registry.list_non_terminal(limit, cursor)
        assert len(page.records) <= limit
        records += page.records
        cursor = page.cursor
        if cursor is None:
            return records


async def in_every_place(registry: ProcessRegistry, count: int) -> dict[str, Phase]:
    """Register rows and bring them to every place; return each one's phase, those that ended left out."""
    phases: dict[str, Phase] = {}
    for number in range(count):
        id_ = f"p{number}"
        await registry.register(outside(id_) if number % 5 == 4 else work(id_, OWNER_BOUND, task=f"t{number}"))
        match number % 5:
            case 0:
                phases[id_] = Phase.QUEUED
            case 1:
                await registry.start(await held(registry, id_, ADA))
                phases[id_] = Phase.STARTED
            case 2:
                lease = await held(registry, id_, BOB)
                await registry.start(lease)
                await registry.release(lease)
                phases[id_] = Phase.UNCERTAIN
            case 3:
                await registry.request_cancel(id_, cancel())
            case _:
                phases[id_] = Phase.OUTSIDE
    return phases


async def test_an_unknown_process_has_no_record_and_no_lease(registry: ProcessRegistry) -> None:
    """Reading it creates nothing."""
    assert await registry.get("p") is None
    assert await registry.lease("p") is None


async def test_the_lease_is_the_live_one(registry: ProcessRegistry, server: ServerTime) -> None:
    """None while nobody holds it, once lapsed, once given back, once terminal."""
    await registry.register(work())
    assert await registry.lease("p") is None
    lease = await held(registry, "p", ADA)
    await server.end(registry, lease)
    assert await registry.lease("p") is None
    lease = await held(registry, "p", ADA)
    assert await registry.lease("p") == lease
    await registry.release(lease)
    assert await registry.lease("p") is None
    lease = await held(registry, "p", ADA)
    await registry.complete(lease, Success())
    assert await registry.lease("p") is None


async def test_a_lapsed_row_keeps_its_phase_until_it_is_seen(registry: ProcessRegistry, server: ServerTime) -> None:
    """With ``lease_lapsed`` true."""
    await registry.register_many([work("p"), work("q", OWNER_BOUND, task="other")])
    await server.end(registry, await begun(registry, "p", ADA))
    await server.end(registry, await held(registry, "q", ADA))

    records = [row.record() for row in await registry.rows(["p", "q"]) if row]

    assert [(record.phase, record.lease_lapsed) for record in records] == [(Phase.STARTED, True), (Phase.HELD, True)]


async def test_rows_come_in_the_order_asked_for(registry: ProcessRegistry) -> None:
    """Over all partitions, with gaps for what is unknown, more than a page of them."""
    ids = [f"p{number}" for number in range(1_200)]
    await registry.register_many([work(id_) for id_ in ids[::2]])

    rows = await registry.rows(ids)

    assert [row.process_id if row else None for row in rows] == [
        id_ if number % 2 == 0 else None for number, id_ in enumerate(ids)
    ]


async def test_reads_change_nothing(registry: ProcessRegistry, client: Any, namespace: str) -> None:
    """Records, leases, pages, holders and counts are looked at only."""
    await in_every_place(registry, 10)
    before = await keyspace(client, namespace)

    await listed(registry, 3)
    for id_ in ("p0", "p1", "p2", "p3", "p4"):
        await registry.get(id_)
        await registry.lease(id_)
    for partition in range(registry.partitions):
        await registry.counts(partition)
        for holder in await registry.holders(partition):
            assert await registry.holder(partition, holder.digest) == holder

    assert await keyspace(client, namespace) == before


@pytest.mark.parametrize("limit", [1, 2, 7, 500])
async def test_every_row_is_listed_once_whatever_the_page(registry: ProcessRegistry, limit: int) -> None:
    """Of a namespace that stands still: each non-terminal row, in its place; no terminal one."""
    phases = await in_every_place(registry, 45)

    records = await listed(registry, limit)

    assert sorted(record.id for record in records) == sorted(phases)
    assert {record.id: record.phase for record in records} == phases


async def test_hundreds_of_lanes_are_listed(registry: ProcessRegistry, partitions: int) -> None:
    """More lanes than a page of them, each with few rows."""
    count = 1_050 if partitions == 1 else 200
    await registry.register_many([work(f"p{number}", task=f"t{number // 2}") for number in range(count)])

    assert len({record.id for record in await listed(registry, 100)}) == count


async def test_many_rows_of_one_score_are_listed(registry: ProcessRegistry, partitions: int) -> None:
    """Rows that came to a place in the same millisecond do not hide each other behind a page's end."""
    ids = ids_of(40, 0, partitions)
    await registry.register_many([outside(id_) for id_ in ids])

    assert sorted(record.id for record in await listed(registry, 7)) == sorted(ids)


async def test_an_empty_namespace_has_one_empty_page(registry: ProcessRegistry) -> None:
    """And no cursor."""
    page = await registry.list_non_terminal(10)

    assert (page.records, page.cursor) == ([], None)


async def test_what_ended_before_its_page_is_gone(registry: ProcessRegistry, partitions: int) -> None:
    """A listing shows what is so when its page is read."""
    one, two = ids_of(2, 0, partitions)
    await registry.register_many([work(one), work(two)])
    page = await registry.list_non_terminal(1)
    await registry.request_cancel(two, cancel())

    assert [record.id for record in page.records] == [one]
    assert (await registry.list_non_terminal(1, page.cursor)).records == []


async def test_what_came_behind_the_cursor_is_found_by_the_next_pass(
    registry: ProcessRegistry, partitions: int
) -> None:
    """A row that moves meanwhile may be missed by that pass, and by that pass only."""
    first, second, late = ids_of(3, 0, partitions)
    await registry.register_many([work(first, task="m"), work(second, task="n")])
    page = await registry.list_non_terminal(1)
    await registry.register(work(late, task="a"))

    rest = await registry.list_non_terminal(10, page.cursor)

    assert [record.id for record in rest.records] == [second]
    assert {record.id for record in await listed(registry, 1)} == {first, second, late}


@pytest.mark.parametrize("limit", [0, -1, 501, 1.5, True, "9"])
async def test_a_bad_limit_is_refused(registry: ProcessRegistry, limit: Any) -> None:
    """A page has 1 to 500 records."""
    with pytest.raises(SettingsError, match="limit"):
        await registry.list_non_terminal(limit)


@pytest.mark.parametrize("cursor", ["", "nonsense", "{}", "[1]x", 7, '["a",0,"","-inf",0]'])
async def test_a_cursor_that_no_page_gave_is_refused(registry: ProcessRegistry, cursor: Any) -> None:
    """With what it was."""
    with pytest.raises(SettingsError, match="cursor"):
        await registry.list_non_terminal(1, cursor)


async def test_counts_are_by_place_and_by_terminal_fact(registry: ProcessRegistry) -> None:
    """Over the partitions they add up to the rows."""
    phases = await in_every_place(registry, 25)
    await registry.request_abandon("p1", abandon())
    await registry.complete((await registry.lease("p6")) or pytest.fail("held"), Success())

    found = [await registry.counts(number) for number in range(registry.partitions)]

    ended = {key: number for counts in found for key, number in counts.terminal.items()}
    by_phase = sum((Counter(counts.phases()) for counts in found), Counter())
    assert by_phase == Counter(phase for id_, phase in phases.items() if id_ != "p6")
    assert sum(counts.asked for counts in found) == 1
    assert ended == {(f"t{number}", "cancelled"): 1 for number in range(3, 25, 5)} | {("t6", "completed"): 1}
    assert {lane: number for counts in found for lane, number in counts.lanes.items()} == {
        f"default|{id_.replace('p', 't')}|": 1 for id_, phase in phases.items() if phase is Phase.QUEUED
    }


async def test_counts_of_many_lanes_are_whole(registry: ProcessRegistry, partitions: int) -> None:
    """Lanes come by pages of 500."""
    ids = ids_of(1_001, 0, partitions)
    await registry.register_many([work(id_, task=f"t{number}") for number, id_ in enumerate(ids)])

    assert len((await registry.counts(0)).lanes) == len(ids)


async def test_recovery_finds_its_candidates_by_index(
    registry: ProcessRegistry, server: ServerTime, partitions: int
) -> None:
    """Leases up to now, asked, and an owner's rows: each costs what it finds, not what there is."""
    over, live, asked, queued = ids_of(4, 0, partitions)
    await registry.register_many([work(id_, OWNER_BOUND, task=id_) for id_ in (over, live, asked, queued)])
    await server.end(registry, await held(registry, over, ADA))
    await held(registry, live, ADA)
    lease = await held(registry, asked, BOB)
    await registry.start(lease)
    await registry.request_abandon(asked, abandon())
    await registry.release(lease)

    found = {
        index: {row.process_id for row in (await registry.page(0, index, upto=upto)).rows}
        for index, upto in (
            (LEASES, "now"),
            (ASKED, "+inf"),
            ("uncertain", "+inf"),
            (owned_index(owner_digest(ADA)), "+inf"),
            (owned_index(owner_digest(BOB)), "+inf"),
        )
    }

    assert found == {
        LEASES: {over},
        ASKED: {asked},
        "uncertain": {asked},
        owned_index(owner_digest(ADA)): {over, live},
        owned_index(owner_digest(BOB)): {asked},
    }


@pytest.mark.parametrize("limit", [1, 3, 500])
async def test_a_page_goes_on_where_the_last_one_ended(registry: ProcessRegistry, partitions: int, limit: int) -> None:
    """Within one score and over several."""
    ids = ids_of(25, 0, partitions)
    await registry.register_many([work(id_) for id_ in ids])
    for count in (10, 10, 5):
        await registry.claim_next(batch_claim(registry, ADA, count=count))

    found: list[str] = []
    place: PageStart | None = PageStart()
    while place is not None:
        page = await registry.page(0, owned_index(owner_digest(ADA)), place, limit=limit)
        assert len(page.rows) <= limit
        found += [row.process_id for row in page.rows]
        place = page.next

    assert sorted(found) == sorted(ids)
    assert len(found) == len(ids)


async def test_a_cursor_past_the_last_partition_ends_the_list(registry: ProcessRegistry) -> None:
    """Nothing is there to be read, and nothing is asked."""
    page = await registry.list_non_terminal(10, urlsafe_b64encode(b'[999999,"","-inf",0]').decode())
    assert (page.records, page.cursor) == ([], None)

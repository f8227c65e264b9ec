"""What cannot be read (of a newer release, or damaged) is told once and left alone; everything else goes on (8.15)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from lash_redis.core.errors import UnreadableRow
from lash_redis.core.events import Event, RowUnreadable
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Deferred, Phase, ProcessStatus
from lash_redis.core.outcomes import AbandonWriter
from lash_redis.core.subscribers import subscribed
from lash_redis.operate.counts import count
from lash_redis.recovery.leftovers import UNREADABLE, Leftovers
from lash_redis.recovery.sweep import Sweep
from lash_redis.registry import unreadable
from lash_redis.registry.answers import Death
from lash_redis.registry.calls.selecting import Which
from lash_redis.registry.keys import ASKED, LEASES, owner_digest
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    CYD,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    abandoned,
    batch_claim,
    begun,
    cancel,
    held,
    ids_of,
    of_another_type,
    settled,
    work,
)
from tests.conftest import ServerTime
from tests.look import record_of

STRANGE = msgspec.msgpack.encode({"of": "a newer release"})
# What a verdict looks at, and something that no release of today has there.
FIELDS = {
    "d": b"z", "ph": b"z", "ar": b"\xc1", "cr": STRANGE, "lo": b"many", "ln": b"a|b", "ll": b"few", "fe": b"?",
    "sq": b"x",
}  # fmt: skip
# Of these a batch claim reads those by which it hands out.
HANDED_OUT_BY = [each for each in FIELDS if each not in ("ar", "cr", "ll")]

# The same of what only the record shows of an end: its resolution, and its outcome.
OF_AN_END = {"rs": msgspec.msgpack.encode(["seen", "ops", 1]), "oc": STRANGE}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[RowUnreadable]]:
    """Return the list that fills with what could not be read."""
    monkeypatch.setattr(unreadable, "_told", set())
    events: list[RowUnreadable] = []

    def note(event: Event) -> None:
        if isinstance(event, RowUnreadable):
            events.append(event)

    with subscribed(note):
        yield events


@asynccontextmanager
async def with_field(client: Any, key: str, field: str, value: bytes) -> AsyncIterator[None]:
    """Let a hash have a strange value while a block lasts."""
    before = await client.hget(key, field)
    await client.hset(key, field, value)
    yield
    assert await client.hget(key, field) == value, "it was left alone"
    await (client.hdel(key, field) if before is None else client.hset(key, field, before))


@asynccontextmanager
async def without_field(client: Any, key: str, field: str) -> AsyncIterator[None]:
    """Let a hash lack a field while a block lasts."""
    before = await client.hget(key, field)
    await client.hdel(key, field)
    yield
    assert await client.hget(key, field) is None, "it was left alone"
    await client.hset(key, field, before)


@pytest.mark.parametrize("field", FIELDS)
async def test_a_sweep_goes_on_past_a_row_that_it_cannot_read(
    registry: ProcessRegistry, client: Any, prefix: str, told: list[RowUnreadable], field: str
) -> None:
    """It is told once, counted in each pass, and all that stands beside it is settled."""
    strange, plain, asked = ids_of(3, 0, registry.partitions)
    for id_ in (strange, plain, asked):
        await registry.register(work(id_, OWNER_BOUND if id_ == asked else RERUNNABLE, task=id_))
        await registry.start(await held(registry, id_, ADA))
    await registry.request_abandon(asked, abandon())
    await registry.record_death(ADA, Death("exit 9", "bob"))
    async with with_field(client, f"{prefix}:p:{strange}", field, FIELDS[field]):
        report = await Sweep(registry, BOB).run_once()
        again = await Sweep(registry, BOB).run_once()

    assert (report.requeued, report.abandoned) == (1, 1)
    assert report.unreadable >= 1
    assert (again.settled, again.unreadable) == (0, 1)
    assert [(event.what, event.id) for event in told] == [("row", strange)]


@pytest.mark.parametrize("field", ["d", "ph", "ln", "sq"])
async def test_a_row_that_lacks_a_field_holds_up_no_sweep_drain_or_listing(
    registry: ProcessRegistry, client: Any, prefix: str, told: list[RowUnreadable], field: str
) -> None:
    """Every row has it; the others are listed and settled."""
    strange, plain = ids_of(2, 0, registry.partitions)
    for id_ in (strange, plain):
        await registry.register(work(id_, OWNER_BOUND, task=id_))
        await registry.start(await held(registry, id_, ADA))
    async with without_field(client, f"{prefix}:p:{strange}", field):
        page = await registry.list_non_terminal(9)
        with pytest.raises(UnreadableRow, match=strange):
            await registry.get(strange)
        report = await Leftovers(registry, ADA).settle(60_000)
        await registry.record_death(ADA, Death("exit 9", "bob"))
        swept = await Sweep(registry, BOB).run_once()

    assert [record.id for record in page.records] == [plain]
    assert (report.abandoned, report.deferred) == ([plain], [Deferred(strange, UNREADABLE)])
    assert (swept.settled, swept.unreadable) == (0, 1)
    assert [(event.what, event.id) for event in told] == [("row", strange)]


@pytest.mark.parametrize("field", FIELDS)
async def test_a_drain_defers_what_it_cannot_read(
    registry: ProcessRegistry, client: Any, prefix: str, told: list[RowUnreadable], field: str
) -> None:
    """And gives back or abandons the rest."""
    strange, plain = ids_of(2, 0, registry.partitions)
    for id_ in (strange, plain):
        await registry.register(work(id_, OWNER_BOUND, task=id_))
        await registry.start(await held(registry, id_, ADA))
    async with with_field(client, f"{prefix}:p:{strange}", field, FIELDS[field]):
        leftovers = Leftovers(registry, ADA)
        await leftovers.release_unstarted()
        report = await leftovers.settle(60_000)

    assert (report.abandoned, report.deferred) == ([plain], [Deferred(strange, UNREADABLE)])
    assert [event.id for event in told] == [strange]


async def test_a_listing_leaves_out_what_it_cannot_read(
    registry: ProcessRegistry, client: Any, prefix: str, told: list[RowUnreadable]
) -> None:
    """Whoever asks for that row by its id is told what it is."""
    strange, plain = ids_of(2, 0, registry.partitions)
    await registry.register_many([work(strange), work(plain)])
    async with with_field(client, f"{prefix}:p:{strange}", "d", b"z"):
        page = await registry.list_non_terminal(9)
        with pytest.raises(UnreadableRow, match=strange):
            await registry.get(strange)
        with pytest.raises(UnreadableRow):
            await registry.row(strange)
        found, missing, other = await registry.rows([plain, "unknown", strange])

    assert [record.id for record in page.records] == [plain]
    assert [event.id for event in told] == [strange]
    assert found is not None
    assert (found.record().id, missing) == (plain, None)
    assert other is not None
    with pytest.raises(UnreadableRow):
        other.record()


@pytest.mark.parametrize("field", OF_AN_END)
async def test_an_end_that_cannot_be_read_is_left_out_of_what_has_its_label(
    registry: ProcessRegistry, client: Any, prefix: str, told: list[RowUnreadable], field: str
) -> None:
    """A newer release may know further outcomes and resolutions. What acts on many goes on with the others."""
    strange, plain = ids_of(2, 0, registry.partitions)
    for id_ in (strange, plain):
        await registry.register(work(id_, OWNER_BOUND, labels={"tenant": "42"}))
    await begun(registry, strange, ADA)
    assert await settled(registry, strange, "fact", abandoned(AbandonWriter.SWEEP, ADA), even_if_live=True)
    async with with_field(client, f"{prefix}:p:{strange}", field, OF_AN_END[field]):
        page = await registry.list_labelled("tenant", "42", 10)
        report = await registry.cancel_many(cancel(), Which(labels={"tenant": "42"}))

    assert [row.process_id for row in page.rows] == [plain]
    assert report.done == {"cancelled": 1}
    assert [(event.what, event.id) for event in told] == [("row", strange)]


@pytest.mark.parametrize("field", HANDED_OUT_BY)
async def test_a_claim_passes_over_what_it_cannot_read(
    registry: ProcessRegistry, client: Any, prefix: str, told: list[RowUnreadable], field: str
) -> None:
    """However many such rows stand before the others, which are handed out."""
    strange, other, plain = ids_of(3, 0, registry.partitions)
    await registry.register_many([work(strange), work(other), work(plain)])
    row, second = f"{prefix}:p:{strange}", f"{prefix}:p:{other}"
    async with with_field(client, row, field, FIELDS[field]), with_field(client, second, "d", b"y"):
        batch = await registry.claim_next(batch_claim(registry, ADA, count=1))
        again = await registry.claim_next(batch_claim(registry, ADA, count=1))

    assert ([each.process_id for each in batch.rows], again.rows) == ([plain], [])
    assert sorted(event.id for event in told) == sorted([strange, other])
    batch = await registry.claim_next(batch_claim(registry, ADA, count=9))
    assert {each.process_id for each in batch.rows} == {strange, other}


async def strangers(registry: ProcessRegistry, client: Any, prefix: str, number: int) -> list[str]:
    """Register rows that no release of today can run, and one behind them that it can; return their ids."""
    ids = ids_of(number + 1, 0, registry.partitions)
    await registry.register_many([work(each) for each in ids])
    for each in ids[:-1]:
        await client.hset(f"{prefix}:p:{each}", "d", b"y")
    return ids


async def test_rows_that_cannot_be_read_starve_nothing(registry: ProcessRegistry, client: Any, prefix: str) -> None:
    """However many stand at a lane's head: each claim passes over some, and the next ones meet them no more."""
    *strange, plain = await strangers(registry, client, prefix, 250)
    rows = [(await client.hgetall(f"{prefix}:p:{each}")) for each in strange]
    claims = [await registry.claim_next(batch_claim(registry, ADA, count=5)) for _ in range(4)]

    assert [[each.process_id for each in batch.rows] for batch in claims] == [[], [], [plain], []]
    assert [batch.may_have_more for batch in claims] == [True, True, False, False]
    assert rows == [(await client.hgetall(f"{prefix}:p:{each}")) for each in strange], "they are left as they are"
    assert (await registry.counts(0)).lanes == {"default|work|": 250}
    for each in strange:
        await client.hset(f"{prefix}:p:{each}", "d", b"r")


async def test_a_row_that_can_be_read_again_is_handed_out(
    registry: ProcessRegistry, client: Any, prefix: str, server: ServerTime
) -> None:
    """By a claim of its release: each looks at sixteen of those that were set back, the longest unseen first."""
    *strange, _ = await strangers(registry, client, prefix, 40)
    await registry.claim_next(batch_claim(registry, ADA, count=5))
    last = strange[-1]
    await client.hset(f"{prefix}:p:{last}", "d", b"r")
    found: list[str] = []
    for _ in range(3):
        await server.pass_until(await server.now_ms() + 1)
        found += [each.process_id for each in (await registry.claim_next(batch_claim(registry, BOB, count=5))).rows]

    assert found == [last]
    for each in strange:
        await client.hset(f"{prefix}:p:{each}", "d", b"r")
    batch = await registry.claim_next(batch_claim(registry, BOB, count=500))
    assert {each.process_id for each in batch.rows} == {*strange} - {last}


@pytest.mark.parametrize("field", ["d", "ph", "ln", "sq"])
async def test_a_claim_passes_over_a_row_that_lacks_a_field(
    registry: ProcessRegistry, client: Any, prefix: str, told: list[RowUnreadable], field: str
) -> None:
    """Every row has it; the other rows of the lane are handed out."""
    strange, plain = ids_of(2, 0, registry.partitions)
    await registry.register_many([work(strange), work(plain)])
    async with without_field(client, f"{prefix}:p:{strange}", field):
        batch = await registry.claim_next(batch_claim(registry, ADA, count=9))

    assert [each.process_id for each in batch.rows] == [plain]
    assert [event.id for event in told] == [strange]


@pytest.mark.parametrize("field", ["d", "ph", "ln", "sq", "fe", "lo", "ll"])
async def test_a_claim_of_a_row_that_it_cannot_read_is_refused(
    registry: ProcessRegistry, client: Any, prefix: str, field: str
) -> None:
    """With an error that says so, and the row stays as it is."""
    (strange,) = ids_of(1, 0, registry.partitions)
    await registry.register(work(strange))
    async with with_field(client, f"{prefix}:p:{strange}", field, FIELDS[field]):
        with pytest.raises(UnreadableRow, match=strange):
            await registry.claim(strange, ADA, LONG_MS)

    assert await registry.lease(strange) is None


async def test_a_row_of_another_type_holds_up_nothing_beside_it(
    registry: ProcessRegistry, client: Any, prefix: str, told: list[RowUnreadable]
) -> None:
    """Neither a claim, nor a renewal, a sweep or a drain."""
    queued, free, strange, plain = ids_of(4, 0, registry.partitions)
    await registry.register_many([work(strange, task="held"), work(plain, task="held"), work(queued), work(free)])
    for id_ in (strange, plain):
        await registry.start(await held(registry, id_, ADA))
    async with (
        of_another_type(client, f"{prefix}:p:{queued}"),
        of_another_type(client, f"{prefix}:p:{strange}"),
    ):
        batch = await registry.claim_next(batch_claim(registry, CYD, count=9))
        renewed = await registry.renew_owned(0, [owner_digest(ADA)], LONG_MS)
        with pytest.raises(UnreadableRow):
            await registry.get(strange)
        await registry.record_death(ADA, Death("exit 9", "bob"))
        report = await Sweep(registry, BOB).run_once()
        drained = await Leftovers(registry, ADA).settle(60_000)

    assert [each.process_id for each in batch.rows] == [free]
    assert [row.process_id for row in renewed] == [plain]
    assert report.requeued == 1
    assert report.unreadable >= 1
    assert drained.deferred == [Deferred(strange, UNREADABLE)]
    assert [event.id for event in told] == [queued, strange]


@pytest.mark.parametrize("field", ["ex", "fe"])
async def test_a_renewal_goes_on_past_a_number_that_it_cannot_read(
    registry: ProcessRegistry, client: Any, prefix: str, field: str
) -> None:
    """What is no time lies not ahead, and what has no fence is nobody's: all others are renewed."""
    strange, plain = ids_of(2, 0, registry.partitions)
    leases = []
    for id_ in (strange, plain):
        await registry.register(work(id_, task=id_))
        leases.append(await held(registry, id_, ADA))
    async with with_field(client, f"{prefix}:p:{strange}", field, b"?"):
        renewed = await registry.renew_owned(0, [owner_digest(ADA)], LONG_MS)
        first, second = await registry.renew_many(leases, LONG_MS)

    assert [row.process_id for row in renewed] == [plain]
    assert (first, second is not None) == (None, True)


@pytest.mark.parametrize("field", ["lo", "sq"])
async def test_a_release_of_many_goes_on_past_a_number_that_it_cannot_read(
    registry: ProcessRegistry, client: Any, prefix: str, field: str
) -> None:
    """Its holder gives it back with the others; whoever claims passes over it."""
    strange, plain = ids_of(2, 0, registry.partitions)
    leases = []
    for id_ in (strange, plain):
        await registry.register(work(id_))
        leases.append(await held(registry, id_, ADA))
    async with with_field(client, f"{prefix}:p:{strange}", field, FIELDS[field]):
        assert await registry.release_many(leases) == [True, True]
        batch = await registry.claim_next(batch_claim(registry, BOB, count=9))

    assert [each.process_id for each in batch.rows] == [plain]
    if field == "sq":
        await client.zadd(f"{prefix}:q:default|work|", {strange: 1})


async def test_an_owner_that_cannot_be_read_is_never_proven_dead_here(
    registry: ProcessRegistry, client: Any, prefix: str, told: list[RowUnreadable]
) -> None:
    """Its liveness is of a kind that this release does not know; a recorded death is proof as ever."""
    strange, plain = ids_of(2, 0, registry.partitions)
    for id_, owner in ((strange, ADA), (plain, CYD)):
        await registry.register(work(id_, OWNER_BOUND, task=id_))
        await registry.start(await held(registry, id_, owner))
    await registry.record_death(CYD, Death("exit 9", "bob"))
    unknown = {"owner_id": "ada", "incarnation_id": "ada-1", "liveness": {"type": "oracle"}}
    stored = b" " + msgspec.msgpack.encode(unknown)
    async with with_field(client, f"{prefix}:owners", owner_digest(ADA), stored):
        assert (await Sweep(registry, BOB).run_once()).abandoned == 1
        (holder,) = await registry.holders(0)
        assert holder.owner == LeaseOwner.opaque(owner_digest(ADA), owner_digest(ADA))
        await registry.record_death(ADA, Death("exit 9", "bob"))
        assert (await Sweep(registry, BOB).run_once()).abandoned == 1

    assert [(event.what, event.id) for event in told] == [("owner", owner_digest(ADA))]


async def test_a_death_that_cannot_be_read_is_no_proof_of_this_release(
    registry: ProcessRegistry, client: Any, prefix: str, told: list[RowUnreadable]
) -> None:
    """The row waits, and everything else goes on."""
    strange, plain = ids_of(2, 0, registry.partitions)
    for id_, owner in ((strange, ADA), (plain, CYD)):
        await registry.register(work(id_, OWNER_BOUND, task=id_))
        await registry.start(await held(registry, id_, owner))
        await registry.record_death(owner, Death("exit 9", "bob"))
    async with with_field(client, f"{prefix}:dead", owner_digest(ADA), b"\xc1"):
        assert (await Sweep(registry, BOB).run_once()).abandoned == 1

    assert [(event.what, event.id) for event in told] == [("death", owner_digest(ADA))]
    assert (await record_of(registry, strange)).phase is Phase.STARTED


async def test_a_renewal_goes_on_past_a_request_that_it_cannot_read(
    registry: ProcessRegistry, client: Any, prefix: str, told: list[RowUnreadable]
) -> None:
    """The lease is renewed, and the work goes on."""
    strange, plain = ids_of(2, 0, registry.partitions)
    for id_ in (strange, plain):
        await registry.register(work(id_, task=id_))
        await held(registry, id_, ADA)
        await registry.request_cancel(id_, cancel())
    async with with_field(client, f"{prefix}:p:{strange}", "cr", b"\xc1"):
        renewed = await registry.renew_owned(0, [owner_digest(ADA)], LONG_MS)

        assert {row.process_id: row.request for row in renewed} == {strange: None, plain: cancel()}
    assert [(event.what, event.id) for event in told] == [("request", strange)]


async def test_a_request_with_more_to_it_is_read(registry: ProcessRegistry, client: Any, prefix: str) -> None:
    """A newer release may add to what is known today."""
    (id_,) = ids_of(1, 0, registry.partitions)
    await registry.register(work(id_))
    await held(registry, id_, ADA)
    async with with_field(client, f"{prefix}:p:{id_}", "cr", msgspec.msgpack.encode(["ops", 1, "enough", "more"])):
        assert (await record_of(registry, id_)).cancel_request == cancel()
        assert (await registry.page(0, LEASES)).unreadable == []


async def test_a_count_that_cannot_be_read_is_left_out(
    registry: ProcessRegistry, client: Any, prefix: str, told: list[RowUnreadable]
) -> None:
    """The others are counted."""
    (id_,) = ids_of(1, 0, registry.partitions)
    await registry.register(work(id_))
    await registry.request_cancel(id_, cancel())
    await client.hset(f"{prefix}:counts", "work|z", 7)

    totals = await count(registry)

    await client.hdel(f"{prefix}:counts", "work|z")
    assert totals.statuses[ProcessStatus.CANCELLED] == 1
    assert [(event.what, event.id) for event in told] == [("count", "work|z")]


async def test_names_that_are_no_text_hide_no_others(
    registry: ProcessRegistry, client: Any, prefix: str, told: list[RowUnreadable]
) -> None:
    """Of lanes and of counts; whether a worker serves a lane is still said."""
    (id_,) = ids_of(1, 0, registry.partitions)
    await registry.register(work(id_))
    await registry.claim_next(batch_claim(registry, ADA, count=0))
    (served,) = [key async for key in client.scan_iter(f"{prefix}:serves:*")]
    for key, added in ((f"{prefix}:lanes", "zset"), (served, "zset"), (f"{prefix}:counts", "hash")):
        await (client.zadd(key, {b"\xff": 0}) if added == "zset" else client.hset(key, b"\xff", b"1"))

    counts = await registry.counts(0)
    services = await registry.served(0, ["default|work|", "default|other.work|"])

    assert counts.lanes["default|work|"] == 1
    assert [service.is_served for service in services.values()] == [True, False]
    assert [(event.what, event.id) for event in told] == [("count", "\\xff")]
    await client.zrem(f"{prefix}:lanes", b"\xff")
    await client.zrem(served, b"\xff")
    await client.hdel(f"{prefix}:counts", b"\xff")


async def test_a_page_names_the_rows_that_it_leaves_out(registry: ProcessRegistry, client: Any, prefix: str) -> None:
    """So that whoever reads it can say so."""
    (id_,) = ids_of(1, 0, registry.partitions)
    await registry.register(work(id_, OWNER_BOUND))
    await registry.start(await held(registry, id_, ADA))
    await registry.request_abandon(id_, abandon())
    async with with_field(client, f"{prefix}:p:{id_}", "ph", b"z"):
        page = await registry.page(0, ASKED)

    assert (page.rows, page.unreadable) == ([], [id_])

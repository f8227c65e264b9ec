"""resolve: what is found out about an abandoned process stands beside its fact."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import NothingToResolve, PayloadError, SettingsError, UnknownProcess
from lash_redis.core.events import Event, RowsAccepted
from lash_redis.core.model import ProcessStatus
from lash_redis.core.outcomes import AbandonWriter, Resolution, ResolutionKind, Success
from lash_redis.core.subscribers import subscribed
from lash_redis.registry.answers import PruneReport
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.calls import forgetting
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, OWNER_BOUND, abandoned, begun, held, ids_of, settled, work
from tests.conftest import ServerTime
from tests.look import record_of
from tests.soundness import assert_sound, keyspace


def resolution(kind: str = "happened", by: str = "ops", at_ms: int = 1, value: Any = None) -> Resolution:
    """Return what somebody found out."""
    return Resolution(ResolutionKind(kind), by, at_ms, "the bank was asked", value)


async def given_up(registry: ProcessRegistry, process_id: str = "p") -> None:
    """Register a process and write its ``abandoned`` fact."""
    await registry.register(work(process_id, OWNER_BOUND))
    await begun(registry, process_id, ADA)
    assert await settled(registry, process_id, "fact", abandoned(AbandonWriter.SWEEP, ADA), even_if_live=True)


async def unresolved(registry: ProcessRegistry) -> int:
    """Return how many abandoned processes nobody has resolved."""
    return sum([(await registry.counts(number)).unresolved for number in range(registry.partitions)])


async def listed(registry: ProcessRegistry, *, unresolved: bool) -> list[str]:
    """Return the abandoned processes, or those of them that nobody has resolved, the newest first, page by page."""
    page = await registry.list_ended(ProcessStatus.ABANDONED, 2, unresolved=unresolved)
    found = list(page.rows)
    while page.cursor:
        page = await registry.list_ended(ProcessStatus.ABANDONED, 2, page.cursor, unresolved=unresolved)
        found += page.rows
    return [row.process_id for row in found]


@pytest.mark.parametrize(
    ("kind", "value"), [("happened", {"receipt": 7}), ("happened", None), ("did_not_happen", None), ("accepted", None)]
)
async def test_a_resolution_stands_beside_the_fact(registry: ProcessRegistry, kind: str, value: Any) -> None:
    """Who, when, how and what it brought are on the record; nothing else of it changes."""
    await given_up(registry)
    before = await record_of(registry, "p")

    record = await registry.resolve("p", resolution(kind, value=value))

    assert record.resolution == resolution(kind, value=value)
    assert (before.resolution, before.status) == (None, ProcessStatus.ABANDONED)
    assert {field: getattr(record, field) for field in record.__struct_fields__ if field != "resolution"} == {
        field: getattr(before, field) for field in before.__struct_fields__ if field != "resolution"
    }
    assert record == await registry.get("p")


async def test_the_first_resolution_stands(registry: ProcessRegistry, client: Any, namespace: str) -> None:
    """Whoever resolves it again is answered the one that stands, and changes nothing."""
    await given_up(registry)
    first = await registry.resolve("p", resolution())
    before = await keyspace(client, namespace)

    for other in (resolution(), resolution("accepted"), resolution(by="else"), resolution(value=7)):
        assert await registry.resolve("p", other) == first
    assert await keyspace(client, namespace) == before


async def test_only_an_abandoned_process_is_resolved(registry: ProcessRegistry) -> None:
    """What has not ended may still end; what ended otherwise is known."""
    await registry.register(work("p", OWNER_BOUND))
    with pytest.raises(
        NothingToResolve, match="'p' is queued: only an abandoned one is resolved; it has not been lost"
    ):
        await registry.resolve("p", resolution())
    lease = await begun(registry, "p", ADA)
    with pytest.raises(NothingToResolve, match=r"'p' is leased: .* a worker holds it"):
        await registry.resolve("p", resolution())
    await registry.release(lease)
    with pytest.raises(NothingToResolve, match=r"'p' is uncertain: .* accept first .* lash-redis abandon p"):
        await registry.resolve("p", resolution())
    await registry.complete(await held(registry, "p", ADA), Success())
    with pytest.raises(NothingToResolve, match="is completed"):
        await registry.resolve("p", resolution())
    with pytest.raises(UnknownProcess):
        await registry.resolve("nobody", resolution())
    assert await record_of(registry, "p") == await registry.get("p")


async def test_what_nobody_has_resolved_is_counted_and_listed(registry: ProcessRegistry) -> None:
    """In an index of its own; a list of all that is abandoned shows both kinds."""
    ids = ids_of(3, 0, registry.partitions)
    for process_id in ids:
        await given_up(registry, process_id)
    assert await unresolved(registry) == 3

    await registry.resolve(ids[1], resolution())

    assert await unresolved(registry) == 2
    assert sorted(await listed(registry, unresolved=True)) == sorted([ids[0], ids[2]])
    assert sorted(await listed(registry, unresolved=False)) == sorted(ids)


async def test_what_nobody_has_resolved_is_not_pruned(registry: ProcessRegistry, server: ServerTime) -> None:
    """Nothing forgets it before somebody says what became of it, or that nobody will look."""
    await given_up(registry)
    await server.pass_until(((await record_of(registry, "p")).ended_at_ms or 0) + 1)
    now = await server.now_ms()

    assert (await registry.prunable(now)).processes == (await registry.prune(now)).processes == 0
    await registry.resolve("p", resolution("accepted"))
    assert (await registry.prunable(now)).processes == (await registry.prune(now)).processes == 1
    assert await registry.get("p") is None
    assert await unresolved(registry) == 0


async def test_an_explicit_prune_of_what_nobody_has_resolved_accepts_it_first(
    registry: ProcessRegistry, server: ServerTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page, and only what ended before that time. It says which, by whom and why, since the rows go."""
    monkeypatch.setattr(forgetting, "MAX_BATCH", 2)
    ids = ids_of(5, 0, registry.partitions)
    for process_id in ids:
        await given_up(registry, process_id)
    await server.pass_until(((await record_of(registry, ids[-1])).ended_at_ms or 0) + 1)
    now = await server.now_ms()
    await server.pass_until(now + 1)
    await given_up(registry, "later")
    assert await registry.prunable(now) == await registry.prune(now) == PruneReport(0, unresolved=5)
    events: list[Event] = []

    with subscribed(events.append):
        report = await registry.prune(now, accepting=resolution("accepted"))

    assert report == PruneReport(5, accepted=5)
    told = [each for each in events if isinstance(each, RowsAccepted)]
    assert sorted(process_id for each in told for process_id in each.processes) == sorted(ids)
    assert {(each.by, each.reason) for each in told} == {("ops", "the bank was asked")}
    assert [await registry.get(each) for each in ids] == [None] * 5
    assert await unresolved(registry) == 1
    assert (await record_of(registry, "later")).resolution is None


async def test_what_may_not_be_forgotten_yet_keeps_how_a_prune_resolved_it(
    registry: ProcessRegistry, server: ServerTime, client: Any, namespace: str
) -> None:
    """More wait for it than one step tells; those that it tells are cancelled. An earlier resolution stands."""
    await given_up(registry, "r::lost")
    await given_up(registry, "r::known")
    await registry.resolve("r::known", resolution())
    names = [f"r::{number}" for number in range(150)]
    await registry.register_many([work(each, after=("r::lost", "r::known"), if_failed="cancel") for each in names])
    now = await server.now_ms()
    await server.pass_until(now + 1)

    report = await registry.prune(now + 1, accepting=resolution("accepted"))

    assert (report.accepted, report.unresolved) == (1, 0)
    assert (await record_of(registry, "r::lost")).resolution == resolution("accepted")
    await assert_sound(client, namespace)
    partition = registry.partition_of("r::lost")
    await registry.bring_due(partition)
    records = [await record_of(registry, each) for each in names]
    assert {each.status for each in records} == {ProcessStatus.CANCELLED}
    await registry.prune(2**52)
    assert await registry.get("r::lost") is None
    await assert_sound(client, namespace)


@pytest.mark.parametrize("accepting", [resolution(), resolution("did_not_happen"), "accepted"])
async def test_a_prune_says_of_what_it_forgets_only_that_nobody_knows(
    registry: ProcessRegistry, accepting: Any
) -> None:
    """What was found out is said of one process at a time."""
    with pytest.raises(SettingsError, match="accepting"):
        await registry.prune(1, accepting=accepting)


async def test_an_index_of_what_is_unresolved_that_lies_makes_no_resolution(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int
) -> None:
    """An index is a hint: what was not abandoned stays as it is, what is resolved keeps its resolution."""
    lives, known = ids_of(2, 0, partitions)
    await given_up(registry, known)
    await registry.resolve(known, resolution())
    registered = await registry.register(work(lives))
    await client.zadd(f"{{lash:{namespace}:0}}:unresolved", {lives: 1, known: 1, "nobody": 1})

    report = await registry.prune(1_000, accepting=resolution("accepted"))

    assert report == PruneReport(0)
    assert await registry.get(lives) == registered
    assert (await record_of(registry, known)).resolution == resolution()
    assert await unresolved(registry) == 0


async def test_code_without_an_event_loop_resolves_too(registry: ProcessRegistry) -> None:
    """The twin does the same."""
    await given_up(registry)
    blocking = BlockingRegistry(registry)

    record = blocking.resolve("p", resolution())
    blocking.close()

    assert record.resolution == resolution()
    assert record == await record_of(registry, "p")


async def test_a_value_that_is_too_long_is_refused(registry: ProcessRegistry) -> None:
    """A row stays short."""
    await given_up(registry)
    with pytest.raises(PayloadError, match="the value of a resolution to be at most 4096 bytes"):
        await registry.resolve("p", resolution(value="x" * 5000))
    assert await unresolved(registry) == 1


def test_only_what_happened_brings_a_value() -> None:
    """The refusal says so."""
    with pytest.raises(SettingsError, match="expected value to be None, since 'accepted' brings none, got 7"):
        resolution("accepted", value=7)
    with pytest.raises(SettingsError, match="kind to be one of 'happened', 'did_not_happen', 'accepted', got 'maybe'"):
        Resolution("maybe", "ops", 1)  # type: ignore[arg-type]

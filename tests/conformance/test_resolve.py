"""resolve: what is found out about an abandoned process stands beside its fact."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import NothingToResolve, PayloadError, SettingsError, UnknownProcess
from lash_redis.core.model import ProcessStatus
from lash_redis.core.outcomes import AbandonWriter, Resolution, ResolutionKind, Success
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, OWNER_BOUND, abandoned, begun, ids_of, settled, work
from tests.conftest import ServerTime
from tests.look import record_of
from tests.soundness import keyspace


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
    with pytest.raises(NothingToResolve, match="'p' is running: only an abandoned one is resolved"):
        await registry.resolve("p", resolution())
    await registry.complete(await begun(registry, "p", ADA), Success())
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

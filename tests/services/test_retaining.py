"""The loop that forgets: every partition, a page at a time, and more where memory is short."""

from __future__ import annotations

import contextlib

import pytest

from lash_redis.core.events import Event, MemoryShort, RowsForgotten
from lash_redis.core.outcomes import Success
from lash_redis.core.subscribers import subscribed
from lash_redis.registry.calls.selecting import Which
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.server import Memory, memory_in
from lash_redis.worker.identity import Identity
from lash_redis.worker.loops.retaining import Retaining
from lash_redis.worker.settings import WorkerSettings, settings_from
from tests.conformance.actors import ADA, RERUNNABLE, cancel, held, local_owner, work
from tests.conftest import ServerTime
from tests.repo.tree import ROOT, read
from tests.servers import KINDS, Server


def retaining(registry: ProcessRegistry, settings: WorkerSettings | None = None) -> Retaining:
    """Return the loop of a worker."""
    return Retaining(registry, Identity(local_owner()), settings or WorkerSettings())


async def ended(registry: ProcessRegistry, *ids: str) -> None:
    """Let processes end."""
    for each in ids:
        await registry.register(work(each))
        await registry.complete(await held(registry, each, ADA), Success())


async def test_a_step_of_retention_forgets_in_every_partition(registry: ProcessRegistry, server: ServerTime) -> None:
    """And says how much; the next one finds nothing, and says nothing."""
    ids = [f"p{number}" for number in range(16)]
    await ended(registry, *ids)
    await server.pass_until(await server.now_ms() + 1_001)
    heard: list[Event] = []
    with subscribed(heard.append):
        loop = retaining(registry, settings_from({"keep_ms": 1_000, "keep_ids_ms": 0}))
        await loop.step()
        await loop.step()

    assert heard == [RowsForgotten(rows=16, results=0)]
    assert [await registry.get(each) for each in ids] == [None] * 16


async def test_where_memory_is_short_a_step_forgets_until_it_is_not(
    registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest go, whatever their age, and it is told loudly."""
    await ended(registry, "p")
    answers = [Memory(81, 100), Memory(80, 100)]

    async def memory(_partition: int | None = None) -> Memory | None:
        return answers.pop(0)

    monkeypatch.setattr(registry, "memory", memory)
    heard: list[Event] = []
    with subscribed(heard.append):
        await retaining(registry).step()

    assert heard == [MemoryShort(used_bytes=81, limit_bytes=100, percent=80), RowsForgotten(rows=1, results=0)]
    assert answers == []
    await registry.prune(older_than_ms=0)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_real_server_that_is_short_of_memory_forgets_the_oldest_until_it_is_not(kind: str) -> None:
    """And no more than that: the newest stay, and all that has not ended."""
    with Server(kind, maxmemory="48mb") as server:
        async with contextlib.aclosing(ProcessRegistry(server.url, "short")) as registry:
            await registry.register(work("lives", task="lives"))
            ids = [f"p{number}" for number in range(3_000)]
            for at in range(0, len(ids), 100):
                await registry.register_many([work(each, RERUNNABLE, "x" * 5_000) for each in ids[at : at + 100]])
                await registry.cancel_many(cancel(), Which(task="work"))
            before = await registry.memory()
            assert before is not None
            percent = 100 * before.used // before.limit - 10
            heard: list[Event] = []
            with subscribed(heard.append):
                await retaining(registry, settings_from({"keep_memory": percent})).step()
            after = await registry.memory()
            rows = [bool(await registry.get(each)) for each in [*ids[::100], "lives"]]
    assert after is not None
    assert 100 * after.used <= percent * after.limit
    assert [type(each) for each in heard] == [MemoryShort, RowsForgotten]
    assert rows == sorted(rows), "the oldest went"
    assert not rows[0]
    assert sum(rows) > 5


async def test_a_server_without_a_limit_is_short_of_nothing(registry: ProcessRegistry) -> None:
    """Nor is one that does not say."""
    assert await registry.memory() is None


async def test_a_server_with_a_limit_says_how_much_memory_it_uses() -> None:
    """Asked anew each time."""
    with Server("valkey", maxmemory="64mb") as server:
        async with contextlib.aclosing(ProcessRegistry(server.url, "memory")) as registry:
            memory = await registry.memory()

    assert memory is not None
    assert memory.limit == 64 * 2**20
    assert 0 < memory.used < memory.limit


def test_what_has_ended_is_bounded_by_default() -> None:
    """By a week and 100,000 rows of a task, looked at each minute; the page says so."""
    week_s, default = 7 * 24 * 3_600, WorkerSettings()
    assert (default.keep_ms, default.keep_rows, default.keep_memory) == (week_s * 1_000, 100_000, 80)
    assert (default.keep_ids_ms, default.retain_ms) == (week_s * 1_000, 60_000)
    page = read(ROOT / "docs" / "retention.md")
    for flag in (f"--keep {week_s}", "--keep-rows 100000", "--keep-memory 80"):
        assert f"`{flag}`" in page


def test_the_limit_of_a_server_is_its_maxmemory() -> None:
    """Without one, or where the server hides it, nothing is short."""
    assert memory_in({"used_memory": 5, "maxmemory": 10}) == Memory(5, 10)
    assert memory_in({"used_memory": 5, "maxmemory": 0}) is None
    assert memory_in({}) is None

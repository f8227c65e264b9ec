"""prune: terminal processes are forgotten, whole."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import SettingsError
from lash_redis.core.model import ExternalOwner, ProcessStatus
from lash_redis.core.outcomes import Success
from lash_redis.registry.calls.selecting import Which
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, OWNER_BOUND, RERUNNABLE, abandon, begun, cancel, held, ids_of, outside, work
from tests.conftest import ServerTime
from tests.soundness import keyspace


async def test_what_ended_before_a_time_is_forgotten_whole(
    registry: ProcessRegistry, server: ServerTime, client: Any, namespace: str
) -> None:
    """Row, long payloads, indexes and counts: all is as it was at the start, but for the numbers of lanes."""
    before = await keyspace(client, namespace)
    text = "x" * 200
    await registry.register_many([work("p", RERUNNABLE, text), work("q"), outside("x")])
    await registry.complete(await held(registry, "p", ADA), Success(text))
    await registry.request_cancel("q", cancel())
    await registry.request_abandon("x", abandon())
    last = await registry.complete_unleased("x", Success(text), ExternalOwner("desk"))
    await server.pass_until((last.ended_at_ms or 0) + 30)

    assert (await registry.prune(await server.now_ms())).processes == 3
    assert await registry.forget_owners(0) == 1

    after = await keyspace(client, namespace)
    for keys in (*before.values(), *after.values()):
        keys["hdr"].value.pop("sequence")  # type: ignore[union-attr]
        keys.pop("names", None)
    assert after == before


async def test_what_ended_later_or_not_at_all_stays(registry: ProcessRegistry) -> None:
    """Before means before: what ended at that very millisecond stays."""
    await registry.register_many([work("p"), work("q", OWNER_BOUND)])
    ended = await registry.request_cancel("p", cancel())
    assert ended.ended_at_ms is not None

    assert (await registry.prune(ended.ended_at_ms)).processes == 0
    assert await registry.get("p") == ended
    assert (await registry.prune(ended.ended_at_ms + 1)).processes == 1
    assert await registry.get("p") is None
    assert await registry.get("q") is not None


async def test_what_ended_so_long_ago_is_forgotten(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int
) -> None:
    """By the server's clock: whoever prunes need not know what time it is there."""
    old, new = ids_of(2, 0, partitions)
    await registry.register_many([work(old), work(new)])
    for id_ in (old, new):
        await registry.request_cancel(id_, cancel())
    await client.zadd(f"{{lash:{namespace}:0}}:done:work|k", {old: 1})

    assert [(await registry.prunable(older_than_ms=age)).processes for age in (2**52, 3_600_000)] == [0, 1]
    assert (await registry.prune(older_than_ms=2**52)).processes == 0
    assert (await registry.prune(older_than_ms=3_600_000)).processes == 1
    assert await registry.get(old) is None
    assert await registry.get(new) is not None


@pytest.mark.parametrize("given", [{}, {"before_ms": 1, "older_than_ms": 1}, {"before_ms": -1}, {"older_than_ms": "1"}])
async def test_a_prune_of_no_certain_time_is_refused(registry: ProcessRegistry, given: Any) -> None:
    """Exactly one of the two says what goes."""
    with pytest.raises(SettingsError, match=r"before_ms|older_than_ms"):
        await registry.prune(**given)


async def test_more_than_a_page_is_pruned(registry: ProcessRegistry, server: ServerTime) -> None:
    """Page by page, over all partitions."""
    ids = [f"p{number}" for number in range(1_100)]
    await registry.register_many([work(id_) for id_ in ids])
    await registry.cancel_many(cancel(), Which(task="work"))
    now = await server.now_ms()
    await server.pass_until(now + 1)

    assert (await registry.prune(now + 1)).processes == len(ids)
    assert (await registry.prune(now + 1)).processes == 0


async def test_a_pruned_id_may_be_registered_anew(registry: ProcessRegistry) -> None:
    """With other content, since nothing of the old one is left."""
    await registry.register(work())
    ended = await registry.complete(await begun(registry, "p", ADA), Success())
    await registry.prune((ended.ended_at_ms or 0) + 1)

    record = await registry.register(work("p", OWNER_BOUND, "other"))

    assert record.status is ProcessStatus.RUNNING
    assert (await begun(registry, "p", ADA)).process_id == "p"


async def test_an_index_that_lies_forgets_no_row(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int
) -> None:
    """An index is a hint: what it names and has not ended stays, and the entry goes."""
    ended, lives = ids_of(2, 0, partitions)
    await registry.register(work(ended))
    await registry.complete(await begun(registry, ended, ADA), Success())
    registered = await registry.register(work(lives))
    await client.zadd(f"{{lash:{namespace}:0}}:done:work|c", {lives: 1})

    await registry.prune(1_000)

    assert await registry.get(lives) == registered

"""Pages of rows for an operator: what comes first, and where a cursor goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import chain

import fakeredis
import pytest

from lash_redis.core.errors import SettingsError
from lash_redis.core.model import Phase
from lash_redis.core.places import BY_URGENCY
from lash_redis.registry.keys import partition_of
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, OWNER_BOUND, RERUNNABLE, begun, held, outside, work

PARTITIONS = 3


@pytest.fixture
async def registry() -> AsyncIterator[ProcessRegistry]:
    """Return a registry that holds rows in each phase, in several partitions and lanes."""
    registry = ProcessRegistry(fakeredis.FakeAsyncRedis(), "cli", PARTITIONS)
    for number in range(4):
        await registry.register(work(f"u{number}", OWNER_BOUND))
        await registry.release(await begun(registry, f"u{number}", ADA))
        await registry.register(work(f"s{number}", RERUNNABLE))
        await begun(registry, f"s{number}", ADA)
        await registry.register(work(f"h{number}", RERUNNABLE))
        await held(registry, f"h{number}", ADA)
        await registry.register(outside(f"o{number}"))
    for number in range(6):
        await registry.register(work(f"q{number}", RERUNNABLE, task=f"later{number % 2}"))
    yield registry
    await registry.aclose()


async def pages(registry: ProcessRegistry, only: Phase | None, limit: int) -> list[list[str]]:
    """Return the ids of each page until the cursor ends."""
    found, cursor = [], None
    while True:
        page = await registry.list_by_phase(BY_URGENCY, limit, cursor, only=only)
        found.append([row.process_id for row in page.rows])
        if (cursor := page.cursor) is None:
            return found


async def test_the_uncertain_come_first_and_the_queued_last(registry: ProcessRegistry) -> None:
    """What needs somebody's decision is not hidden behind what only waits."""
    (ids,) = await pages(registry, None, 500)

    assert "".join(dict.fromkeys(process_id[0] for process_id in ids)) == "ushoq"
    assert len(ids) == len(set(ids)) == 22


@pytest.mark.parametrize("phase", [Phase.UNCERTAIN, Phase.STARTED, Phase.HELD, Phase.OUTSIDE, Phase.QUEUED])
async def test_one_phase_lists_that_phase_alone(phase: Phase, registry: ProcessRegistry) -> None:
    """Held and started rows stand in one index, and the listing distinguishes them."""
    (ids,) = await pages(registry, phase, 500)

    assert {process_id[0] for process_id in ids} == {phase.value[0]}


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages_together_are_the_whole(limit: int, registry: ProcessRegistry) -> None:
    """A cursor goes on where the page ended, over indexes, lanes and partitions, with nothing missed or twice."""
    found = await pages(registry, None, limit)

    assert all(len(page) <= limit for page in found)
    ids = list(chain.from_iterable(found))
    assert ids == (await pages(registry, None, 500))[0]
    assert len({partition_of(process_id, PARTITIONS) for process_id in ids}) > 1


@pytest.mark.parametrize("cursor", ["", "zz", "%%%", "WzFd", "WzAsIiIsIngiLDBd", "Wy0xXQ", "WzAsIiIsIjEiLC0xXQ", "ä"])
async def test_a_cursor_that_no_page_gave_is_refused(cursor: str, registry: ProcessRegistry) -> None:
    """The error names what was given."""
    with pytest.raises(SettingsError, match="expected cursor to be one that a page gave"):
        await registry.list_by_phase(BY_URGENCY, 10, cursor)

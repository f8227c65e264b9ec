"""What ``ps`` and ``show`` say of owners: who holds a row now, and not who held it once."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator

import fakeredis
import pytest

from lash_redis.cli import ps, show
from lash_redis.core.outcomes import AbandonWriter
from lash_redis.operate.counts import count
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    OWNER_BOUND,
    RERUNNABLE,
    abandoned,
    batch_claim,
    begun,
    held,
    outside,
    settled,
    work,
)
from tests.look import row_of

OWNER = ps._HEADER.index("OWNER")
STARTED = ps._HEADER.index("STARTED")
NOTE = ps._HEADER.index("NOTE")


@pytest.fixture
async def registry() -> AsyncIterator[ProcessRegistry]:
    """Return a registry on a server of the test's own."""
    registry = ProcessRegistry(fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer()), "columns")
    yield registry
    await registry.aclose()


async def cells(registry: ProcessRegistry, process_id: str) -> list[str]:
    """Return the line of a process."""
    return ps._line(await row_of(registry, process_id), "")


async def test_what_was_given_back_has_no_owner_and_has_not_started(registry: ProcessRegistry) -> None:
    """Rerunnable work that ran once and waits again is nobody's."""
    await registry.register(work("p", RERUNNABLE))
    await registry.release(await begun(registry, "p", ADA))
    line = await cells(registry, "p")
    assert (line[OWNER], line[STARTED]) == ("-", "-")

    await begun(registry, "p", BOB)
    line = await cells(registry, "p")
    assert line[OWNER] == BOB.owner_id
    assert line[STARTED].endswith("ago")


async def test_what_is_held_has_not_started(registry: ProcessRegistry) -> None:
    """Its holder is its owner."""
    await registry.register(work("p", RERUNNABLE))
    await held(registry, "p", ADA)
    line = await cells(registry, "p")
    assert (line[OWNER], line[STARTED]) == (ADA.owner_id, "-")


async def test_what_is_uncertain_belongs_to_its_starter(registry: ProcessRegistry) -> None:
    """Nobody else can be running it."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.release(await begun(registry, "p", ADA))
    line = await cells(registry, "p")
    assert line[OWNER] == ADA.owner_id
    assert line[STARTED].endswith("ago")


async def test_losses_are_counted_in_one_way(registry: ProcessRegistry) -> None:
    """So many of those that are allowed, wherever they stand."""
    await registry.register(work("p", RERUNNABLE, loss_limit=3))
    await begun(registry, "p", ADA)
    assert await settled(registry, "p", "queue", even_if_live=True)

    assert "1 of 3 losses" in (await cells(registry, "p"))[NOTE]
    shown = await show._show(registry, argparse.Namespace(id="p", json=False))
    assert "1 of 3; at 3 of 3 it is abandoned" in shown

    await begun(registry, "p", ADA)
    assert await settled(registry, "p", "queue", even_if_live=True)
    await begun(registry, "p", ADA)
    fact = abandoned(AbandonWriter.LOSS_LIMIT, ADA, "loss_limit")
    assert await settled(registry, "p", "fact", fact, even_if_live=True)

    assert "of 3 losses" not in (await cells(registry, "p"))[NOTE]  # the last one is counted by its evidence alone
    shown = await show._show(registry, argparse.Namespace(id="p", json=False))
    assert "3 of 3, at which it is abandoned" in shown
    assert "2 of 3" not in shown


async def test_a_grantee_is_no_owner(registry: ProcessRegistry) -> None:
    """The note says to whom work outside is granted."""
    await registry.register(outside("p", granted_to="desk"))
    await registry.register(outside("q"))
    assert [(await cells(registry, each))[OWNER] for each in "pq"] == ["-", "-"]
    assert [(await cells(registry, each))[NOTE] for each in "pq"] == ["granted to desk", "granted to anybody"]


async def test_only_owner_bound_work_has_a_starter(registry: ProcessRegistry) -> None:
    """Of rerunnable work it is said who ran it first."""
    for id_, disposition in (("p", RERUNNABLE), ("q", OWNER_BOUND)):
        await registry.register(work(id_, disposition))
        await begun(registry, id_, ADA)
    again, bound = [await show._show(registry, argparse.Namespace(id=id_, json=False)) for id_ in "pq"]

    assert "first run by   ada ·" in again
    assert "starter" not in again
    assert "the starter" in bound
    assert "first run by" not in bound


async def test_a_count_of_workers_names_their_queues(registry: ProcessRegistry) -> None:
    """Whoever sees work wait sees first whether anybody works."""
    assert ps._workers(await count(registry)) == "workers: none called within the last minute"

    await registry.claim_next(batch_claim(registry, ADA, count=0))
    await registry.claim_next(batch_claim(registry, BOB, count=0, served=[("money", ["money|pay|"])]))

    assert ps._workers(await count(registry)) == "workers: 2 called within the last minute (queues default, money)"


async def test_what_is_delayed_says_when_it_becomes_due(registry: ProcessRegistry) -> None:
    """As an age does, by the server's clock; once it waits in its lane nothing is said."""
    await registry.register(work("p", RERUNNABLE, delay_ms=7_209_000))
    assert (await cells(registry, "p"))[NOTE] == "due in 2 h"
    await registry.register(work("q", RERUNNABLE))
    assert (await cells(registry, "q"))[NOTE] == ""

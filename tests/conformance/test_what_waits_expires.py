"""Expiry wherever a row waits: delayed, for others, parked, paused, behind another one; and nothing of it stays."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.lanes import lane
from lash_redis.core.model import PauseRequest, Phase, ProcessRegistration, ProcessStatus
from lash_redis.core.outcomes import Cancelled, Success
from lash_redis.core.policies import Policy
from lash_redis.core.sequences import sequence_scope
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, BOB, LONG_MS, batch_claim, leases_of, make_due, make_expired, work
from tests.look import record_of

FIRST, LATE, NEXT = "one::first", "one::late", "one::next"
SEQUENCE = f"{sequence_scope('money', 'halt')},"
# How the late one waits: where it stands, and what it and the one behind it are registered with.
WAYS: dict[str, tuple[Phase, dict[str, Any]]] = {
    "delayed": (Phase.DELAYED, {"delay_ms": LONG_MS}),
    "blocked": (Phase.BLOCKED, {"after": (FIRST,), "if_failed": "run"}),
    "parked": (Phase.QUEUED, {"key": "one", "scopes": "a,"}),
    "paused": (Phase.QUEUED, {}),
    "in a sequence": (Phase.QUEUED, {"key": "one", "scopes": SEQUENCE}),
}
LANES = ("default|work|", *(lane("default", "work", "", scopes) for scopes in ("a,", SEQUENCE)))
SERVED = (("default", LANES),)


async def claimed(registry: ProcessRegistry) -> list[str]:
    """Claim all that may run."""
    claim = batch_claim(registry, BOB, count=9, served=SERVED, partition=registry.partition_of(FIRST))
    return [row.process_id for row in (await registry.claim_next(claim)).rows]


@pytest.mark.parametrize("way", WAYS)
async def test_what_waits_expires_wherever_it_does(registry: ProcessRegistry, way: str) -> None:
    """By its alarm, which needs no claim of its lane; the next one goes in its place once there is room."""
    phase, options = WAYS[way]
    partition = registry.partition_of(FIRST)
    await registry.name_policies(partition, [Policy("a", True, limit=registry.partitions)])
    shared = {name: options[name] for name in ("key", "scopes") if name in options}
    await registry.register(work(FIRST, **shared))
    claim = batch_claim(registry, ADA, served=SERVED, partition=partition)
    (lease,) = leases_of(await registry.claim_next(claim), ADA)
    behind: dict[str, Any] = {"after": (LATE,), "if_failed": "run"} if way == "blocked" else {}
    await registry.register_many([work(LATE, expires_in_ms=LONG_MS, **options), work(NEXT, **shared, **behind)])
    if way == "paused":
        await registry.pause(PauseRequest("ops", 1, "night"), queue="default")
    assert (await record_of(registry, LATE)).phase is phase

    await make_expired(registry, LATE)
    await registry.bring_due(partition)

    ended = await record_of(registry, LATE)
    assert (ended.status, ended.outcome) == (ProcessStatus.CANCELLED, Cancelled("expired"))
    await registry.complete(lease, Success())
    if way == "paused":
        assert await claimed(registry) == []
        await registry.resume(queue="default")
    assert await claimed(registry) == [NEXT]


def urgent(name: str, priority: int, **options: Any) -> ProcessRegistration:
    """Return the registration of work of a priority."""
    return work(f"one::{name}", priority=priority, **options)


@pytest.mark.parametrize("lanes", [1, 2])
async def test_a_higher_priority_goes_first_and_within_one_what_came_first(
    registry: ProcessRegistry, lanes: int
) -> None:
    """In one lane, and between the lanes of a queue; what comes back from a run keeps its place."""
    tasks = ["work", "other"][:lanes]
    served = (("default", tuple(f"default|{task}|" for task in tasks)),)
    order = [("low", -100), ("plain", 0), ("high", 7), ("highest", 100), ("plain2", 0), ("high2", 7), ("low2", -100)]
    await registry.register_many([urgent(name, each, task=tasks[n % lanes]) for n, (name, each) in enumerate(order)])
    partition = registry.partition_of("one::low")
    first = leases_of(await registry.claim_next(batch_claim(registry, ADA, served=served, partition=partition)), ADA)
    await registry.release(first[0])
    begun = []
    for _ in order:
        rows = (await registry.claim_next(batch_claim(registry, BOB, served=served, partition=partition))).rows
        begun += [row.process_id.removeprefix("one::") for row in rows]

    assert begun == ["highest", "high", "high2", "plain", "plain2", "low", "low2"]


async def test_what_was_delayed_goes_by_its_priority_once_it_is_due(registry: ProcessRegistry) -> None:
    """It overtakes what waits with a lower one, and what has the same and came before it goes first."""
    await registry.register_many([urgent("low", 0), urgent("later", 5, delay_ms=LONG_MS), urgent("high", 5)])
    partition = registry.partition_of("one::low")

    await make_due(registry, "one::later")
    await registry.bring_due(partition)
    rows = (await registry.claim_next(batch_claim(registry, BOB, count=9, partition=partition))).rows

    assert [row.process_id for row in rows] == ["one::high", "one::later", "one::low"]

"""Ends and leases of many rows, of which some lack what a row of a lease has: those beside them go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lash_redis.core.model import Phase
from lash_redis.core.outcomes import Failure, Success
from lash_redis.core.retrying import Again
from lash_redis.registry.answers import RetriedRun, TerminalFact
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, LONG_MS, batch_claim, ids_of, leases_of, work
from tests.conftest import delete_namespace
from tests.look import record_of

FIELDS = ("d", "ph", "ln", "in", "at", "sq", "ho", "tk", "fe", "ex", "fa")
DAMAGE = pytest.mark.parametrize("value", [None, b"", b"?"], ids=["absent", "empty", "strange"])


async def damage(client: Any, prefix: str, process_ids: Sequence[str], value: bytes | None) -> None:
    """Give each row another field with this value, or none of that name."""
    for process_id, field in zip(process_ids, FIELDS, strict=True):
        key = f"{prefix}:p:{process_id}"
        await (client.hdel(key, field) if value is None else client.hset(key, field, value))


@DAMAGE
@pytest.mark.parametrize("operation", ["terminalize_many", "turn"])
async def test_ends_of_many_go_on_past_rows_that_they_cannot_read(
    registry: ProcessRegistry, client: Any, prefix: str, operation: str, value: bytes | None
) -> None:
    """Whatever a row lacks: those beside it end, and a turn hands out what comes next."""
    first, *strange, last, after = ids_of(len(FIELDS) + 3, 0, registry.partitions)
    await registry.register_many([work(each) for each in (first, *strange, last, after)])
    leases = leases_of(await registry.claim_next(batch_claim(registry, ADA, count=len(FIELDS) + 2)), ADA)
    await damage(client, prefix, strange, value)
    facts = [TerminalFact(lease, *registry.encoded(Success())) for lease in leases]

    if operation == "turn":
        statuses, batch = await registry.turn(batch_claim(registry, ADA), facts)
        assert [row.process_id for row in batch.rows] == [after]
    else:
        statuses = await registry.terminalize_many(facts)

    assert (statuses[0], statuses[-1]) == ("DONE", "DONE")
    assert dict(zip(FIELDS, statuses[1:-1], strict=True))["ph"] == "LOST"
    for each in (first, last):
        assert (await record_of(registry, each)).outcome == Success()
    await delete_namespace(client, registry.namespace)  # it is not sound any more


@DAMAGE
@pytest.mark.parametrize("operation", ["unstart_many", "release_many", "retry_many"])
async def test_leases_of_many_are_left_past_rows_that_they_cannot_read(
    registry: ProcessRegistry, client: Any, prefix: str, operation: str, value: bytes | None
) -> None:
    """Whatever a row lacks: those beside it wait again."""
    first, *strange, last = ids_of(len(FIELDS) + 2, 0, registry.partitions)
    await registry.register_many([work(each) for each in (first, *strange, last)])
    leases = leases_of(await registry.claim_next(batch_claim(registry, ADA, count=len(FIELDS) + 2)), ADA)
    await damage(client, prefix, strange, value)

    if operation == "retry_many":
        await registry.retry_many([RetriedRun(lease, Again(LONG_MS, 3), Failure("E")) for lease in leases])
    else:
        await getattr(registry, operation)(leases)

    for each in (first, last):
        assert (await record_of(registry, each)).phase in (Phase.QUEUED, Phase.DELAYED)
    await delete_namespace(client, registry.namespace)  # it is not sound any more

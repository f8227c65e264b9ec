"""What a worker could not send in time is sent in its name, and is neither abandoned nor lost."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import NamespaceMismatch, RegistryUnavailable
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Phase, ProcessLease
from lash_redis.core.outcomes import Success
from lash_redis.recovery.last_writes import LastWriter, LastWrites
from lash_redis.recovery.sweep import Sweep
from lash_redis.registry.answers import TerminalFact
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, OWNER_BOUND, RERUNNABLE, held, ids_of, work
from tests.conftest import ServerTime
from tests.look import lease_of, record_of
from tests.services.faults import Faults

PEER = LeaseOwner.opaque("peer", "1")


async def begun_bound(registry: ProcessRegistry, process_id: str) -> ProcessLease:
    """Register owner-bound work, and let ADA claim and start it."""
    await registry.register(work(process_id, OWNER_BOUND))
    lease = await held(registry, process_id, ADA)
    await registry.start(lease)
    return lease


async def known_and_unbegun(registry: ProcessRegistry) -> LastWrites:
    """Return a result that ADA knows, and what ADA started and never began."""
    known, unbegun = [await begun_bound(registry, each) for each in ("known", "unbegun")]
    return LastWrites([TerminalFact(known, *registry.encoded(Success(7)))], [unbegun])


@pytest.mark.parametrize("is_lapsed", [False, True])
async def test_a_known_result_is_written_and_what_never_began_is_given_back(
    registry: ProcessRegistry, server: ServerTime, is_lapsed: bool
) -> None:
    """Also if the leases have lapsed and a sweep has seen that: the starter may claim again."""
    writer = LastWriter(registry, await known_and_unbegun(registry))
    if is_lapsed:
        for lease in [await lease_of(registry, each) for each in ("known", "unbegun")]:
            await server.end(registry, lease)
        await Sweep(registry, PEER).run_once()

    await writer.send()

    assert (await record_of(registry, "known")).outcome == Success(7)
    unbegun = await record_of(registry, "unbegun")
    assert (unbegun.phase, unbegun.first_started) == (Phase.QUEUED, None)
    assert (writer.finished, writer.released) == ({"known"}, {"unbegun"})


async def test_what_was_not_answered_is_sent_again(registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """And counts once, whether it had been applied or not."""
    writer = LastWriter(registry, await known_and_unbegun(registry))
    faults = Faults(registry, monkeypatch)
    faults.lose_replies("terminalize", 3)
    faults.lose_replies("unstart", 3)
    for _ in range(2):
        with pytest.raises(RegistryUnavailable):
            await writer.send()

    await writer.send()

    assert (await record_of(registry, "known")).outcome == Success(7)
    assert (await record_of(registry, "unbegun")).phase is Phase.QUEUED
    assert writer.finished == {"known"}


async def test_what_another_has_ended_or_taken_is_left_alone(registry: ProcessRegistry, server: ServerTime) -> None:
    """Rerunnable work that somebody else runs by now, and a row that has its terminal fact."""
    ended = await begun_bound(registry, "ended")
    await registry.complete(ended, Success(1))
    await registry.register(work("taken", RERUNNABLE))
    taken = await server.end(registry, await held(registry, "taken", ADA))
    theirs = await held(registry, "taken", PEER)
    result = registry.encoded(Success(7))
    writer = LastWriter(registry, LastWrites([TerminalFact(ended, *result), TerminalFact(taken, *result)]))

    await writer.send()

    assert (await record_of(registry, "ended")).outcome == Success(1)
    assert await registry.lease("taken") == theirs
    assert writer.finished == set()


async def test_a_partition_that_has_changed_holds_up_no_other(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """What is known in the others is written, and the error is raised at the end."""
    if registry.partitions == 1:
        pytest.skip("needs two partitions")
    ids = [ids_of(1, partition, registry.partitions)[0] for partition in (0, 1)]
    leases = [await begun_bound(registry, each) for each in ids]
    result = registry.encoded(Success(7))
    writer = LastWriter(registry, LastWrites([TerminalFact(lease, *result) for lease in leases]))
    header = f"{{lash:{namespace}:0}}:hdr"
    uuid = await client.hget(header, "uuid")
    await client.hset(header, "uuid", "another")

    with pytest.raises(NamespaceMismatch):
        await writer.send()

    assert writer.finished == {ids[1]}
    await client.hset(header, "uuid", uuid)
    await writer.send()
    assert writer.finished == set(ids)

"""turn: one call ends rows and hands out the next; it does what the two calls do, one behind the other."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.lanes import lane
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Phase, ProcessLease, ProcessStatus
from lash_redis.core.outcomes import Cancelled, Failure, Outcome, Success
from lash_redis.core.policies import Policy
from lash_redis.registry.answers import ClaimedBatch, Death, TerminalFact
from lash_redis.registry.calls import turns
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    OWNER_BOUND,
    RERUNNABLE,
    batch_claim,
    begun,
    begun_and_lapsed,
    call_of,
    held,
    leases_of,
    outside,
    work,
)
from tests.conftest import ServerTime
from tests.look import record_of
from tests.soundness import keyspace

DONE = Success()


@pytest.fixture
def partitions() -> int:
    """Return one: a turn is about one."""
    return 1


def facts_of(registry: ProcessRegistry, *leases: ProcessLease, outcome: Outcome = DONE) -> list[TerminalFact]:
    """Return the same outcome for each lease."""
    return [TerminalFact(lease, *registry.encoded(outcome)) for lease in leases]


def ids_in(batch: ClaimedBatch) -> list[str]:
    """Return what a claim handed out."""
    return [row.process_id for row in batch.rows]


def named_in(value: Any) -> list[str] | None:
    """Return the fields or members of a key, without what stands beside them."""
    return sorted(value) if isinstance(value, dict) else None


async def claimed(registry: ProcessRegistry, count: int, owner: LeaseOwner = ADA) -> list[ProcessLease]:
    """Claim and start rows."""
    return leases_of(await registry.claim_next(batch_claim(registry, owner, count=count)), owner)


async def test_it_ends_rows_and_hands_out_the_next(registry: ProcessRegistry) -> None:
    """In one call: each fact is answered, and as many rows are claimed as the claim asks for."""
    await registry.register_many([work(f"p{number}") for number in range(5)])
    leases = await claimed(registry, 2)

    statuses, batch = await registry.turn(batch_claim(registry, ADA, count=2), facts_of(registry, *leases))

    assert statuses == ["DONE", "DONE"]
    assert ids_in(batch) == ["p2", "p3"]
    assert batch.may_have_more
    for lease in leases:
        assert (await record_of(registry, lease.process_id)).outcome == Success()
    for row in batch.rows:
        assert (await record_of(registry, row.process_id)).phase is Phase.STARTED


async def test_each_fact_has_a_status_of_its_own(registry: ProcessRegistry, server: ServerTime) -> None:
    """Those of terminalize, in the order of the facts; none keeps the claim from handing out."""
    await registry.register(work("lapsed"))
    lapsed = await begun_and_lapsed(registry, server, "lapsed", ADA)
    await registry.register_many([work("done"), work("other"), work("bound", OWNER_BOUND), outside("outside")])
    done, other = await held(registry, "done", ADA), await held(registry, "other", ADA)
    bound = await held(registry, "bound", ADA)  # never started
    await registry.complete(other, Failure("E"))
    await registry.register(work("next"))
    strange = [ProcessLease(each, ADA, "t", 1, 1, 1) for each in ("outside", "nobody", "next")]

    statuses, batch = await registry.turn(
        batch_claim(registry, ADA), facts_of(registry, lapsed, other, done, bound, *strange)
    )

    assert statuses == ["LOST", "TERMINAL", "DONE", "AUTHORITY", "AUTHORITY", "UNKNOWN", "LOST"]
    assert ids_in(batch) == ["next"]


async def test_a_cancelled_fact_needs_a_request(registry: ProcessRegistry) -> None:
    """Rule 5.3, as in terminalize."""
    await registry.register(work())
    lease = await begun(registry, "p", ADA)

    statuses, _ = await registry.turn(batch_claim(registry, ADA), facts_of(registry, lease, outcome=Cancelled()))

    assert statuses == ["AUTHORITY"]


async def test_the_same_turn_twice_ends_and_hands_out_the_same(registry: ProcessRegistry) -> None:
    """The ends are answered as done, the same number hands out the same rows, and nothing moves."""
    await registry.register_many([work(f"p{number}") for number in range(4)])
    leases = await claimed(registry, 2)
    claim, facts = batch_claim(registry, ADA, count=1), facts_of(registry, *leases)
    statuses, batch = await registry.turn(claim, facts)
    row = await record_of(registry, "p0")

    again, same = await registry.turn(claim, facts)

    assert again == statuses == ["DONE", "DONE"]
    assert [(each.process_id, each.token, each.fence) for each in same.rows] == [
        (each.process_id, each.token, each.fence) for each in batch.rows
    ]
    assert await record_of(registry, "p0") == row
    assert (await record_of(registry, "p3")).phase is Phase.QUEUED


async def test_its_halves_may_be_sent_again_by_themselves(registry: ProcessRegistry) -> None:
    """As a worker does that got no answer: the facts are done, and the number hands out the same rows."""
    await registry.register_many([work(f"p{number}") for number in range(3)])
    leases = await claimed(registry, 1)
    claim, facts = batch_claim(registry, ADA, count=1), facts_of(registry, *leases)
    _, batch = await registry.turn(claim, facts)

    assert await registry.terminalize_many(facts) == ["DONE"]
    assert ids_in(await registry.claim_next(claim)) == ids_in(batch) == ["p1"]


async def test_a_late_copy_claims_nothing(registry: ProcessRegistry) -> None:
    """Its claim is stale once the next number was sent, and its facts are written already."""
    await registry.register_many([work(f"p{number}") for number in range(3)])
    leases = await claimed(registry, 1)
    claim, facts = batch_claim(registry, ADA, count=1), facts_of(registry, *leases)
    await registry.turn(claim, facts)
    await registry.claim_next(batch_claim(registry, ADA, count=1))

    statuses, batch = await registry.turn(claim, facts)

    assert statuses == ["DONE"]
    assert batch.stale


async def test_the_ends_stand_where_the_claim_is_refused(registry: ProcessRegistry) -> None:
    """An owner that is recorded dead claims nothing any more; what it ran under a live lease it still ends."""
    await registry.register_many([work("p"), work("q")])
    lease = await begun(registry, "p", ADA)
    await registry.record_death(ADA, Death("killed", "somebody"))

    statuses, batch = await registry.turn(batch_claim(registry, ADA), facts_of(registry, lease))

    assert statuses == ["DONE"]
    assert batch.stale
    assert not batch.rows
    assert (await record_of(registry, "p")).outcome == Success()


async def test_the_ends_stand_where_the_list_of_lanes_is_not_known(registry: ProcessRegistry) -> None:
    """It is named, and the claim is sent by itself."""
    await registry.register_many([work("p"), work("q")])
    lease = await held(registry, "p", ADA)
    call = call_of(registry, turns.turn, batch_claim(registry, ADA), facts_of(registry, lease))
    statuses, unnamed = await registry.sender.send(call)
    assert statuses == ["DONE"]
    assert unnamed is None
    assert (await record_of(registry, "p")).outcome == Success()

    statuses, batch = await registry.turn(batch_claim(registry, ADA), facts_of(registry, lease))

    assert statuses == ["DONE"]
    assert ids_in(batch) == ["q"]


async def test_anothers_lease_ends_nothing(registry: ProcessRegistry) -> None:
    """The facts are of the owner that claims."""
    await registry.register_many([work("p"), work("q")])
    lease = await begun(registry, "p", BOB)

    statuses, batch = await registry.turn(batch_claim(registry, ADA), facts_of(registry, lease))

    assert statuses == ["LOST"]
    assert ids_in(batch) == ["q"]
    assert (await record_of(registry, "p")).status is ProcessStatus.RUNNING


async def test_what_waited_for_an_end_is_handed_out_in_the_same_call(registry: ProcessRegistry) -> None:
    """The claim sees what the ends have written."""
    await registry.register(work("first"))
    await registry.register(work("second", after=("first",), if_failed="cancel"))
    lease = await begun(registry, "first", ADA)

    statuses, batch = await registry.turn(batch_claim(registry, ADA), facts_of(registry, lease))

    assert statuses == ["DONE"]
    assert ids_in(batch) == ["second"]


async def test_the_slot_of_a_limit_is_handed_on_in_the_same_call(registry: ProcessRegistry) -> None:
    """One at a time of each key: the end of one lets the next of its key run."""
    limited = lane("default", "work", "", "a,")
    await registry.name_policies(0, [Policy("a", True, limit=1)])
    await registry.register_many([work(f"p{number}", key="k", scopes="a,") for number in range(3)])
    served = (("default", (limited,)),)
    first = leases_of(await registry.claim_next(batch_claim(registry, ADA, served=served)), ADA)
    assert [lease.process_id for lease in first] == ["p0"]

    statuses, batch = await registry.turn(batch_claim(registry, ADA, served=served), facts_of(registry, *first))

    assert statuses == ["DONE"]
    assert ids_in(batch) == ["p1"]


@pytest.mark.parametrize("disposition", [RERUNNABLE, OWNER_BOUND])
async def test_it_leaves_what_the_two_calls_leave(
    make_registry: Any, client: Any, disposition: Any, namespace: str
) -> None:
    """The same rows and indexes, but for what tells when and under which tokens."""
    found = []
    for name in (f"{namespace}-a", f"{namespace}-b"):
        registry = make_registry(namespace=name)
        await registry.open()
        await registry.register_many([work(f"p{number}", disposition) for number in range(5)])
        leases = leases_of(await registry.claim_next(batch_claim(registry, ADA, count=2, number=1)), ADA)
        claim, facts = batch_claim(registry, ADA, count=2, number=2), facts_of(registry, *leases)
        if name.endswith("a"):
            await registry.turn(claim, facts)
        else:
            await registry.terminalize_many(facts)
            await registry.claim_next(claim)
        keys = (await keyspace(client, name))[0]
        found.append({key: (value.kind, value.expires, named_in(value.value)) for key, value in keys.items()})
    assert found[0] == found[1]

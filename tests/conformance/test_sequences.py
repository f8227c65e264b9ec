"""Sequences: the work of one key runs one at a time and in order, whatever becomes of it (rule 9.13)."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import NotItsTurn, SettingsError
from lash_redis.core.lanes import ALONE, lane
from lash_redis.core.model import Acquired, PauseRequest, ProcessLease, ProcessRegistration, ProcessStarted
from lash_redis.core.outcomes import AbandonWriter, Failure, Resolution, ResolutionKind, Success
from lash_redis.core.retrying import Again
from lash_redis.operate.explain import explain
from lash_redis.operate.sequence_state import Ahead
from lash_redis.registry.answers import RetriedRun
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    abandoned,
    batch_claim,
    cancel,
    held,
    leases_of,
    make_due,
    settled,
    work,
)
from tests.look import row_of
from tests.soundness import assert_sound

HALT, CONTINUE = "!work,", "~work,"
LANES = {(scopes, task): lane("default", task, "", scopes) for scopes in (HALT, CONTINUE) for task in ("work", "other")}
ALL = tuple(sorted([*LANES.values(), *(f"{each}{ALONE}" for each in LANES.values())]))
EITHER = pytest.mark.parametrize("scopes", [HALT, CONTINUE], ids=["halt", "continue"])
BOTH_KINDS = pytest.mark.parametrize("disposition", [RERUNNABLE, OWNER_BOUND], ids=["rerunnable", "owner_bound"])
KEYS = ("acc-1", "acc-2")
IN_ONE = pytest.mark.parametrize("partitions", [1])


def row(process_id: str, key: str = "acc-1", scopes: str = HALT, **options: Any) -> ProcessRegistration:
    """Return the registration of a row in a sequence; its route is the key."""
    disposition = options.pop("disposition", OWNER_BOUND)
    return work(f"{key}::{process_id}", disposition, key=key, scopes=scopes, **options)


async def claimed(registry: ProcessRegistry, *lanes: str, count: int = 9) -> list[ProcessLease]:
    """Claim from lanes in every partition; return the leases."""
    found = []
    for partition in range(registry.partitions):
        served = (("default", lanes or tuple(LANES.values())),)
        claim = batch_claim(registry, ADA, count=count, served=served, partition=partition)
        found += leases_of(await registry.claim_next(claim), ADA)
    return found


async def ids(registry: ProcessRegistry, *lanes: str) -> list[str]:
    """Claim from lanes; return what comes after the route."""
    return sorted(lease.process_id.partition("::")[2] for lease in await claimed(registry, *lanes))


async def one(registry: ProcessRegistry) -> ProcessLease:
    """Claim the only row that there is."""
    (lease,) = await claimed(registry)
    return lease


@EITHER
@BOTH_KINDS
async def test_one_row_of_a_key_runs_at_a_time(registry: ProcessRegistry, scopes: str, disposition: Any) -> None:
    """In the order in which they were submitted; keys do not wait for each other."""
    await registry.register_many(
        [row(f"{key}.{n}", key, scopes, disposition=disposition) for n in range(3) for key in KEYS]
    )
    for n in range(3):
        leases = await claimed(registry)
        assert sorted(each.process_id for each in leases) == [f"{key}::{key}.{n}" for key in KEYS]
        assert await claimed(registry) == []
        for each in leases:
            await registry.complete(each, Success(n))
    assert await claimed(registry) == []


@EITHER
@IN_ONE
async def test_tasks_that_share_a_sequence_keep_one_order(registry: ProcessRegistry, scopes: str) -> None:
    """Sentence 3: one set for each key across lanes; the key stands in the rotation of its first row's lane alone."""
    await registry.register_many([row("a", task="work", scopes=scopes), row("b", task="other", scopes=scopes)])
    await registry.register(row("c", task="work", scopes=scopes))

    assert await ids(registry, LANES[scopes, "other"]) == []
    for name, task in (("a", "work"), ("b", "other"), ("c", "work")):
        other = "other" if task == "work" else "work"
        assert await ids(registry, LANES[scopes, other]) == []
        lease = await one(registry)
        assert lease.process_id == f"acc-1::{name}"
        await registry.complete(lease, Failure("E"))


@IN_ONE
async def test_tasks_that_go_on_and_tasks_that_halt_keep_one_order(registry: ProcessRegistry) -> None:
    """What one of them halts waits in the lanes of both."""
    await registry.register_many([row("a", scopes=HALT), row("b", scopes=CONTINUE, task="other")])
    await registry.release(await one(registry))
    assert await claimed(registry) == []

    again = await registry.claim("acc-1::a", ADA, LONG_MS)
    assert isinstance(again, Acquired)
    await registry.complete(again.lease, Success())
    assert await ids(registry) == ["b"]


@EITHER
@pytest.mark.parametrize("how", ["release", "unstart", "lost", "lost twice"])
@IN_ONE
async def test_what_comes_back_keeps_its_place(registry: ProcessRegistry, scopes: str, how: str) -> None:
    """Sentence 4: its number is the same after a release, after a loss, and in the lane of those that run alone."""
    await registry.register_many([row(name, scopes=scopes, disposition=RERUNNABLE) for name in "ab"])
    lease = await one(registry)
    match how:
        case "release":
            await registry.release(lease)
        case "unstart":
            await registry.unstart_many([lease])
        case "lost" | "lost twice":
            assert await settled(registry, lease.process_id, "queue", even_if_live=True)
    if how == "lost twice":
        await one(registry)
        assert await settled(registry, lease.process_id, "queue", even_if_live=True)
        assert (await row_of(registry, lease.process_id)).runs_alone
    assert await ids(registry) == ["a"]


@EITHER
@IN_ONE
@pytest.mark.parametrize("counts", [True, False], ids=["retry", "snooze"])
async def test_what_is_to_run_again_later_keeps_its_place(registry: ProcessRegistry, scopes: str, counts: bool) -> None:
    """Sentence 4: it holds up what is behind it while it waits for its time."""
    await registry.register_many([row(name, scopes=scopes, disposition=RERUNNABLE) for name in "ab"])
    lease = await one(registry)
    again = RetriedRun(lease, Again(LONG_MS, counts=counts), Failure("E"))
    assert await registry.retry_many([again]) == ["DONE"]

    assert await claimed(registry) == []
    await make_due(registry, "acc-1::a")
    assert await ids(registry) == ["a"]


@EITHER
@IN_ONE
async def test_a_delayed_row_takes_its_place_when_it_becomes_due(registry: ProcessRegistry, scopes: str) -> None:
    """It holds nobody up before; it is in the sequence from when it first enters its lane."""
    await registry.register_many([row("later", scopes=scopes, delay_ms=LONG_MS), row("now", scopes=scopes)])
    lease = await one(registry)
    assert lease.process_id == "acc-1::now"
    await registry.register(row("next", scopes=scopes))
    await make_due(registry, "acc-1::later")
    await registry.complete(lease, Success())

    assert await ids(registry) == ["next"]


@EITHER
@BOTH_KINDS
@IN_ONE
async def test_what_was_started_elsewhere_while_it_was_delayed(
    registry: ProcessRegistry, client: Any, namespace: str, scopes: str, disposition: Any
) -> None:
    """It halts a key only if nobody may run it again, and that was declared; else it takes its place in its time."""
    await registry.register(row("later", scopes=scopes, disposition=disposition, delay_ms=LONG_MS))
    await registry.record_first_started("acc-1::later", ProcessStarted(BOB, 1))
    await registry.register(row("next", scopes=scopes, disposition=disposition))
    await assert_sound(client, namespace)
    halts = scopes == HALT and disposition is OWNER_BOUND

    assert await ids(registry) == ([] if halts else ["next"])


@pytest.mark.parametrize("lost", [1, 40])
@IN_ONE
async def test_rows_that_are_not_there_hold_up_no_other(
    registry: ProcessRegistry, client: Any, namespace: str, lost: int
) -> None:
    """Somebody deleted them, and no index was told: they are passed over, so many in each step."""
    await registry.register_many([row(f"{n:02}") for n in range(lost + 2)])
    lease = await one(registry)
    await client.delete(*(f"{{lash:{namespace}:0}}:p:acc-1::{n:02}" for n in range(1, lost + 1)))
    await registry.complete(lease, Success())
    for _ in range(lost // 4):
        await registry.bring_due(0)

    assert await ids(registry) == [f"{lost + 1:02}"]


@EITHER
@IN_ONE
async def test_a_cancelled_row_lets_the_next_one_go(registry: ProcessRegistry, scopes: str) -> None:
    """Whether it was the first or not."""
    await registry.register_many([row(name, scopes=scopes) for name in "abcd"])
    await registry.request_cancel("acc-1::b", cancel())
    await registry.request_cancel("acc-1::a", cancel())

    assert await ids(registry) == ["c"]


@EITHER
@IN_ONE
async def test_an_uncertain_row_halts_its_key_if_that_was_declared(registry: ProcessRegistry, scopes: str) -> None:
    """Else the next row goes; its starter may come back beside it."""
    await registry.register_many([row(name, scopes=scopes) for name in "ab"])
    await registry.release(await one(registry))

    assert await ids(registry) == ([] if scopes == HALT else ["b"])
    again = await registry.claim("acc-1::a", ADA, LONG_MS)
    assert isinstance(again, Acquired)
    await registry.complete(again.lease, Success())
    assert await ids(registry) == (["b"] if scopes == HALT else [])


@EITHER
@BOTH_KINDS
@IN_ONE
async def test_an_abandoned_row_halts_its_key_until_it_is_resolved(
    registry: ProcessRegistry, scopes: str, disposition: Any
) -> None:
    """Sentence 5: the resolution lets the next row go, whatever it says; a second one changes nothing more."""
    await registry.register_many([row(name, scopes=scopes, disposition=disposition, loss_limit=1) for name in "abc"])
    await one(registry)
    fact = abandoned(AbandonWriter.SWEEP, ADA)
    assert await settled(registry, "acc-1::a", "fact", fact, even_if_live=True)

    if scopes == HALT:
        assert await claimed(registry) == []
        with pytest.raises(NotItsTurn, match="acc-1::a is the first of its sequence, and goes before it"):
            await registry.claim("acc-1::b", ADA, LONG_MS)
    for _ in range(2):
        await registry.resolve("acc-1::a", Resolution(ResolutionKind.DID_NOT_HAPPEN, "ops", 1))
    assert await ids(registry) == ["b"]
    assert await ids(registry) == []


@IN_ONE
async def test_a_row_that_left_a_sequence_that_goes_on_comes_back_at_its_end(registry: ProcessRegistry) -> None:
    """Its claim was not answered, it became uncertain, and then its starter found that it cannot begin."""
    await registry.register_many([row(name, scopes=CONTINUE) for name in "abc"])
    served = (("default", tuple(LANES.values())),)
    claim = batch_claim(registry, ADA, served=served, partition=registry.partition_of("acc-1::a"))
    await registry.claim_next(claim)
    assert await settled(registry, "acc-1::a", "uncertain", even_if_live=True)
    second = await held(registry, "acc-1::b", BOB)
    back = await registry.claim_next(claim)

    assert [row.process_id for row in back.rows] == ["acc-1::a"]
    await registry.unstart_many(leases_of(back, ADA))

    assert await ids(registry) == []
    await registry.start(second)
    await registry.complete(second, Success())
    await registry.complete(await one(registry), Success("c"))
    assert await ids(registry) == ["a"]


@EITHER
@IN_ONE
async def test_a_row_behind_another_one_is_refused_by_its_id(registry: ProcessRegistry, scopes: str) -> None:
    """Also if that one is in the lane of another task; the refusal names it."""
    await registry.register_many([row("a", task="other", scopes=scopes), row("b", scopes=scopes)])

    with pytest.raises(NotItsTurn, match="acc-1::a is the first of its sequence"):
        await registry.claim("acc-1::b", BOB, LONG_MS)
    assert isinstance(await registry.claim("acc-1::a", BOB, LONG_MS), Acquired)
    with pytest.raises(NotItsTurn):
        await registry.claim("acc-1::b", BOB, LONG_MS)


@IN_ONE
async def test_a_start_without_a_lease_behind_another_row_keeps_its_place(registry: ProcessRegistry) -> None:
    """It happened somewhere; the sequence halts when its turn comes, until somebody knows what became of it."""
    await registry.register_many([row(name) for name in "abc"])
    await registry.record_first_started("acc-1::b", ProcessStarted(BOB, 1))
    await registry.complete(await one(registry), Success())
    assert await claimed(registry) == []

    again = await registry.claim("acc-1::b", BOB, LONG_MS)
    assert isinstance(again, Acquired)
    await registry.complete(again.lease, Success())
    assert await ids(registry) == ["c"]


@IN_ONE
async def test_what_cannot_be_read_holds_up_its_key_alone(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """A newer release wrote it: other keys go on, and a release that can read it hands it out."""
    await registry.register_many([row("a"), row("b"), row("c", "acc-2")])
    name = f"{{lash:{namespace}:{registry.partition_of('acc-1::a')}}}:p:acc-1::a"
    await client.hset(name, "d", "z")
    assert (await one(registry)).process_id == "acc-2::c"
    assert await claimed(registry) == []
    await client.hset(name, "d", "o")

    assert await ids(registry) == ["a"]


@pytest.mark.parametrize("options", [{"priority": 1}, {"cost": 2}])
def test_priority_and_cost_are_refused(options: dict[str, Any]) -> None:
    """They would break the order, or mean nothing."""
    with pytest.raises(SettingsError, match="of work in a sequence, which runs one at a time in order"):
        row("a", **options)


@IN_ONE
async def test_who_looks_at_a_row_is_told_what_goes_before_it(registry: ProcessRegistry) -> None:
    """And, if the first one is lost, that the sequence halts until somebody says what became of it."""
    await registry.register_many([row(name) for name in "ab"])
    lease = await one(registry)
    behind, first = await explain(registry, "acc-1::b"), await explain(registry, "acc-1::a")
    assert (behind.ahead, first.ahead) == (Ahead("acc-1::a", "started", is_halted=False), None)

    await registry.release(lease)
    behind, first = await explain(registry, "acc-1::b"), await explain(registry, "acc-1::a")
    assert (behind.ahead, first.halts_others) == (Ahead("acc-1::a", "uncertain", is_halted=True), True)

    assert await settled(registry, "acc-1::a", "fact", abandoned(AbandonWriter.RECONCILED_REQUEST, ADA))
    behind, first = await explain(registry, "acc-1::b"), await explain(registry, "acc-1::a")
    assert (behind.ahead, first.halts_others) == (Ahead("acc-1::a", "abandoned", is_halted=True), True)

    await registry.resolve("acc-1::a", Resolution(ResolutionKind.HAPPENED, "ops", 1))
    behind, first = await explain(registry, "acc-1::b"), await explain(registry, "acc-1::a")
    assert (behind.ahead, first.halts_others) == (None, False)


@IN_ONE
async def test_a_paused_first_row_stops_its_key_and_says_so(registry: ProcessRegistry) -> None:
    """Although the queue of the row behind it is not paused."""
    await registry.register_many([row("a", queue="paused"), row("b")])
    await registry.pause(PauseRequest("ops", 1, "the bank is closed"), queue="paused")

    assert await claimed(registry) == []
    ahead = (await explain(registry, "acc-1::b")).ahead
    assert ahead is not None
    assert (ahead.process_id, ahead.state) == ("acc-1::a", "queued")
    assert "the bank is closed" in ahead.waits


async def test_a_sequence_lies_in_one_partition(registry: ProcessRegistry) -> None:
    """Sentence 10: with several partitions an id needs the key as its route."""
    wrong = work("elsewhere", OWNER_BOUND, key="acc-1", scopes=HALT)
    if registry.partitions == 1:
        assert await registry.register_many([wrong]) == [True]
        return
    with pytest.raises(
        SettingsError, match=r"to be one that begins with 'acc-1::', got 'elsewhere': .*leave process_id"
    ):
        await registry.register_many([wrong])
    member = work("elsewhere::0", OWNER_BOUND, key="acc-1", scopes=HALT, member_of="elsewhere")
    with pytest.raises(SettingsError, match=r"got 'elsewhere::0': .* give the group a process_id that begins so"):
        await registry.register_many([member])

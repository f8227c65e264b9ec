"""after: a process waits for others, and moves once, when the last of them has ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lash_redis.core.errors import CannotAwait, CannotJoinGroup, NotItsTurn, SettingsError
from lash_redis.core.model import ExternalOwner, Phase, ProcessStarted, ProcessStatus
from lash_redis.core.options import IfFailed
from lash_redis.core.outcomes import AbandonWriter, Cancelled, Failure, Outcome, Resolution, ResolutionKind, Success
from lash_redis.registry.calls import terminal_facts
from lash_redis.registry.calls.forgetting import Retention
from lash_redis.registry.keys import partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    LONG_MS,
    OWNER_BOUND,
    abandoned,
    call_of,
    cancel,
    held,
    make_due,
    outside,
    settled,
    work,
)
from tests.conftest import ServerTime
from tests.look import record_of, sent

A, B, C, D = "r::a", "r::b", "r::c", "r::d"


def waiting(process_id: str, *others: str, if_failed: IfFailed = "cancel", **options: Any) -> Any:
    """Return the registration of work that waits for others."""
    return work(process_id, after=others, if_failed=if_failed, **options)


async def end(registry: ProcessRegistry, process_id: str, outcome: Outcome | None = None) -> None:
    """Claim a process and write its end."""
    await registry.complete(await held(registry, process_id, ADA), outcome or Success())


async def give_up(registry: ProcessRegistry, process_id: str) -> None:
    """Start owner-bound work and write its ``abandoned`` fact."""
    await registry.start(await held(registry, process_id, ADA))
    assert await settled(registry, process_id, "fact", abandoned(AbandonWriter.SWEEP, ADA), even_if_live=True)


async def state(registry: ProcessRegistry, process_id: str) -> Phase | ProcessStatus:
    """Return a process's phase, or its status once it has ended."""
    record = await record_of(registry, process_id)
    return record.phase or record.status


async def states(registry: ProcessRegistry, process_ids: Sequence[str]) -> list[Phase | ProcessStatus]:
    """Return the states of some processes."""
    return [await state(registry, each) for each in process_ids]


async def test_it_is_queued_when_the_last_has_completed(registry: ProcessRegistry) -> None:
    """In whatever order they end; until then it may not be claimed."""
    await registry.register_many([work(A), work(B), waiting(C, A, B)])

    await end(registry, B)
    before = await state(registry, C)
    with pytest.raises(NotItsTurn, match=r"it waits for 1 process to end \(r::a\)"):
        await registry.claim(C, BOB, LONG_MS)
    await end(registry, A)

    assert (before, await state(registry, C)) == (Phase.BLOCKED, Phase.QUEUED)


@pytest.mark.parametrize("outcome", [Failure("E"), Cancelled()])
async def test_what_needs_completion_is_cancelled_by_the_first_that_does_not(
    registry: ProcessRegistry, outcome: Outcome
) -> None:
    """That one is named as the reason, and the others are not waited for."""
    await registry.register_many([work(A), outside(B), waiting(C, A, B)])

    await registry.complete_unleased(B, outcome, ExternalOwner("desk"))

    word = "failed" if isinstance(outcome, Failure) else "cancelled"
    assert (await record_of(registry, C)).outcome == Cancelled(f"after {B}: {word}")


async def test_what_runs_all_the_same_waits_for_the_last(registry: ProcessRegistry) -> None:
    """However they end."""
    await registry.register_many([work(A), work(B), waiting(C, A, B, if_failed="run")])

    await end(registry, A, Failure("E"))
    before = await state(registry, C)
    await registry.request_cancel(B, cancel())

    assert (before, await state(registry, C)) == (Phase.BLOCKED, Phase.QUEUED)


async def test_a_chain_ends_link_by_link(registry: ProcessRegistry) -> None:
    """Each that is cancelled tells those that wait for it, which a later one may run in spite of."""
    await registry.register_many([work(A), waiting(B, A), waiting(C, B), waiting(D, C, if_failed="run")])

    await end(registry, A, Failure("E"))

    assert await states(registry, [B, C, D]) == [ProcessStatus.CANCELLED, ProcessStatus.CANCELLED, Phase.QUEUED]
    assert (await record_of(registry, C)).outcome == Cancelled(f"after {B}: cancelled")


async def test_what_has_ended_already_counts_by_its_fact(registry: ProcessRegistry) -> None:
    """At once: nothing will end any more."""
    await registry.register_many([work(A), work(B)])
    await end(registry, A)
    await end(registry, B, Failure("E"))

    await registry.register_many([waiting(C, A), waiting(D, A, B)])
    await registry.register_many([waiting("r::e", A, B, if_failed="run"), waiting("r::f", D, if_failed="run")])

    assert await states(registry, [C, D]) == [Phase.QUEUED, ProcessStatus.CANCELLED]
    assert await states(registry, ["r::e", "r::f"]) == [Phase.QUEUED, Phase.QUEUED]


async def test_an_unknown_one_is_refused_and_nothing_is_registered(registry: ProcessRegistry) -> None:
    """Also the process itself; a process that is registered already is not looked at any more."""
    with pytest.raises(CannotAwait, match="'r::c' cannot wait for 'r::b': it is not registered") as caught:
        await registry.register_many([work(A), waiting(C, A, B)])
    with pytest.raises(CannotAwait):
        await registry.register(waiting(C, C))
    nothing = await registry.get(A)
    await registry.register_many([work(A), waiting(C, A)])
    again = await registry.register_many([waiting(C, "r::gone")])

    assert (caught.value.process_id, caught.value.other, nothing, again) == (C, B, None, [False])


async def test_how_it_waits_is_required(registry: ProcessRegistry) -> None:
    """There is no default; and at most 100 are awaited."""
    with pytest.raises(SettingsError, match=r"expected if_failed to be 'cancel' .* or 'run' .*, got None"):
        work(B, after=(A,))
    with pytest.raises(SettingsError, match="expected if_failed to be 'cancel' or 'run', got 'stop'"):
        work(B, after=(A,), if_failed="stop")
    with pytest.raises(SettingsError, match="at most 100 distinct process ids"):
        waiting(B, *(f"r::{at}" for at in range(101)))
    with pytest.raises(
        SettingsError, match=r"expected if_failed to be left out, got 'run': it waits for nothing.*after="
    ):
        work(B, if_failed="run")


@pytest.mark.parametrize("partitions", [8])
async def test_what_waits_for_each_other_has_one_route(registry: ProcessRegistry) -> None:
    """Otherwise it would depend on chance whether one script can change both."""
    await registry.register(work("a"))

    with pytest.raises(
        CannotAwait,
        match=r"'b' cannot wait for 'a': the namespace has several partitions, .*begins alike, such as 'a::…'",
    ):
        await registry.register(waiting("b", "a"))
    with pytest.raises(CannotJoinGroup, match=r"'b' cannot be a member of group 'a': .*begins alike, such as 'a::…'"):
        await registry.register(work("b", member_of="a"))


async def test_a_delay_comes_after_the_wait(registry: ProcessRegistry) -> None:
    """It counts from the registration: what has passed meanwhile is not waited for again."""
    await registry.register_many([work(A), waiting(B, A, delay_ms=LONG_MS), waiting(C, A, delay_ms=1)])
    k = partition_prefix(registry.namespace, registry.partition_of(A))
    await sent(registry, "HSET", f"{k}:p:{C}", "du", "1")

    await end(registry, A)

    assert await states(registry, [B, C]) == [Phase.DELAYED, Phase.QUEUED]
    await make_due(registry, B)
    await registry.bring_due(registry.partition_of(B))
    assert await state(registry, B) is Phase.QUEUED


@pytest.mark.parametrize(
    ("kind", "becomes"),
    [
        (ResolutionKind.HAPPENED, Phase.QUEUED),
        (ResolutionKind.DID_NOT_HAPPEN, ProcessStatus.CANCELLED),
        (ResolutionKind.ACCEPTED, ProcessStatus.CANCELLED),
    ],
)
async def test_an_abandoned_one_blocks_what_needs_its_completion_until_it_is_resolved(
    registry: ProcessRegistry, kind: ResolutionKind, becomes: Phase | ProcessStatus
) -> None:
    """What happened counts as completed. What runs all the same goes at once, whenever it is registered."""
    await registry.register_many([work(A, OWNER_BOUND), waiting(B, A), waiting(C, A, if_failed="run")])

    await give_up(registry, A)
    await registry.register_many([waiting(D, A), waiting("r::e", A, if_failed="run")])
    before = await states(registry, [B, C, D, "r::e"])
    for _ in range(2):
        await registry.resolve(A, Resolution(kind, "ops", 1))

    assert before == [Phase.BLOCKED, Phase.QUEUED, Phase.BLOCKED, Phase.QUEUED]
    assert await states(registry, [B, C, D]) == [becomes, Phase.QUEUED, becomes]


async def test_an_uncertain_one_blocks_and_is_named(registry: ProcessRegistry) -> None:
    """Nobody knows whether it will end."""
    await registry.register_many([work(A, OWNER_BOUND), waiting(B, A, if_failed="run")])
    await registry.record_first_started(A, ProcessStarted(ADA, 1))

    awaited = await registry.awaited(B)

    assert await state(registry, B) is Phase.BLOCKED
    assert [(row.process_id, row.phase) for row in awaited.rows] == [(A, Phase.UNCERTAIN)]


async def test_a_cancel_ends_a_blocked_process(registry: ProcessRegistry) -> None:
    """Nothing that ends later moves it, and what waits for it is told."""
    await registry.register_many([work(A), waiting(B, A), waiting(C, B, if_failed="run")])

    await registry.request_cancel(B, cancel())
    await end(registry, A)

    assert await states(registry, [B, C]) == [ProcessStatus.CANCELLED, Phase.QUEUED]
    assert (await record_of(registry, B)).outcome == Cancelled("enough")


async def test_more_than_a_hundred_that_wait_are_told_in_steps(registry: ProcessRegistry) -> None:
    """The first by the script that writes the end, the others by an alarm; nothing is forgotten before."""
    others = [f"r::{at:03}" for at in range(250)]
    await registry.register_many([work(A), *(waiting(each, A) for each in others)])

    await end(registry, A)
    counted = [(await states(registry, others)).count(Phase.BLOCKED)]
    kept = await registry.prune(2**52)
    while counted[-1]:
        await registry.bring_due(registry.partition_of(A))
        counted.append((await states(registry, others)).count(Phase.BLOCKED))

    assert counted == [150, 50, 0]
    assert (kept.processes, (await registry.prune(2**52)).processes) == (0, 1)


async def test_a_late_copy_of_an_end_moves_nothing_again(registry: ProcessRegistry) -> None:
    """The waiting one has been claimed meanwhile."""
    await registry.register_many([work(A), waiting(B, A)])
    lease = await held(registry, A, ADA)
    late = call_of(registry, terminal_facts.complete, lease, Success())

    await registry.sender.send(late)
    await held(registry, B, BOB)
    await registry.sender.send(late)

    assert await state(registry, B) is Phase.HELD


async def forget_all(registry: ProcessRegistry, server: ServerTime) -> None:
    """Let retention forget all that has ended; ids that were chosen are known for a while."""
    await server.pass_until(await server.now_ms() + 2)
    for partition in range(registry.partitions):
        while await registry.retain(partition, Retention(1, 1, 60_000)):
            pass


async def test_what_was_forgotten_counts_by_its_tombstone(registry: ProcessRegistry, server: ServerTime) -> None:
    """Its end is all that is kept, so that an abandoned one counts as not completed, however it was resolved."""
    await registry.register_many([work(A), work(B), work(C, OWNER_BOUND), work("r::by-chance", chosen_id=False)])
    await end(registry, A)
    await end(registry, B, Failure("E"))
    await give_up(registry, C)
    await registry.resolve(C, Resolution(ResolutionKind.HAPPENED, "ops", 1))
    await end(registry, "r::by-chance")
    await forget_all(registry, server)
    assert [await registry.get(each) for each in (A, B, C)] == [None] * 3

    for number, other in enumerate((A, B, C)):
        await registry.register(waiting(f"r::needs-{number}", *{A, other}))
        await registry.register(waiting(f"r::runs-{number}", other, if_failed="run"))
    with pytest.raises(CannotAwait, match="it is not registered"):
        await registry.register(waiting(D, "r::by-chance"))

    needs = [f"r::needs-{number}" for number in range(3)]
    assert await states(registry, needs) == [Phase.QUEUED, ProcessStatus.CANCELLED, ProcessStatus.CANCELLED]
    assert await states(registry, [f"r::runs-{number}" for number in range(3)]) == [Phase.QUEUED] * 3
    assert [(await record_of(registry, each)).outcome for each in needs[1:]] == [
        Cancelled(f"after {B}: failed"),
        Cancelled(f"after {C}: abandoned"),
    ]


async def test_a_known_one_is_answered_although_what_it_awaited_is_gone(registry: ProcessRegistry) -> None:
    """What is registered already is looked at first: its submit sent again is not refused, and waits no more."""
    await registry.register_many([work(A), waiting(B, A)])
    await end(registry, A)
    await registry.prune(2**52)

    again = await registry.register_many([waiting(B, A)])

    assert (await registry.get(A), again, await state(registry, B)) == (None, [False], Phase.QUEUED)
    assert (await registry.awaited(B)).number == 0


async def test_a_blocked_one_expires_and_tells_those_that_wait_for_it(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """Nothing that ends later moves it."""
    await registry.register_many([work(A), waiting(B, A, expires_in_ms=1), waiting(C, B, if_failed="run")])

    await server.pass_until(await server.now_ms() + 2)
    await registry.bring_due(registry.partition_of(A))
    await end(registry, A)

    assert await states(registry, [B, C]) == [ProcessStatus.CANCELLED, Phase.QUEUED]
    assert (await record_of(registry, B)).outcome == Cancelled("expired")

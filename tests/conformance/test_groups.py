"""Groups: members of any number, and one process that continues when all of them have ended."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import CannotAwait, CannotJoinGroup, SettingsError
from lash_redis.core.model import Phase, ProcessRegistration, ProcessStatus
from lash_redis.core.outcomes import Cancelled, Failure, Resolution, ResolutionKind, Success
from lash_redis.registry.answers import TerminalFact
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, LONG_MS, OWNER_BOUND, batch_claim, cancel, held, leases_of, work
from tests.conformance.test_awaiting import end, give_up, state, states, waiting

G = "g"


def group(process_id: str = G, *, if_failed: str = "run", **options: Any) -> ProcessRegistration:
    """Return the registration of what continues a group."""
    return work(process_id, opens_group=True, if_failed=if_failed, **options)


def member(number: int, of: str = G, **options: Any) -> ProcessRegistration:
    """Return the registration of a member of a group."""
    return work(f"{of}::{number}", member_of=of, **options)


async def end_all(registry: ProcessRegistry, numbers: range, of: str = G) -> None:
    """Have members complete by one write."""
    state_, data = registry.encoded(Success(1))
    leases = [await held(registry, f"{of}::{number}", ADA) for number in numbers]
    await registry.terminalize_many([TerminalFact(lease, state_, data) for lease in leases])


async def test_it_continues_when_it_is_closed_and_its_members_have_ended(registry: ProcessRegistry) -> None:
    """Neither alone is enough."""
    await registry.register(group())
    await registry.register_many([member(0), member(1)])
    await end_all(registry, range(2))
    held_open = await state(registry, G)
    await registry.register(member(2))
    await registry.close_group(G)
    closed = await state(registry, G)

    await end(registry, "g::2", Failure("E"))

    assert (held_open, closed, await state(registry, G)) == (Phase.BLOCKED, Phase.BLOCKED, Phase.QUEUED)


async def test_a_group_without_members_continues_once_it_is_closed(registry: ProcessRegistry) -> None:
    """After its delay, if it has one."""
    await registry.register_many([group(), group("h", delay_ms=LONG_MS)])

    for process_id in (G, "h"):
        await registry.close_group(process_id)

    assert await states(registry, [G, "h"]) == [Phase.QUEUED, Phase.DELAYED]


async def test_a_member_that_does_not_complete_cancels_it_once_it_is_closed(registry: ProcessRegistry) -> None:
    """Until then members join, so that whoever adds them meets no surprise; the first one is named."""
    await registry.register(group(if_failed="cancel"))
    await registry.register_many([member(0), member(1), member(2)])
    await end(registry, "g::1", Failure("E"))
    await end(registry, "g::0", Failure("E"))
    await registry.register(member(3))
    before = await state(registry, G)

    record = await registry.close_group(G)

    assert (before, record.outcome) == (Phase.BLOCKED, Cancelled("after g::1: failed"))
    await end(registry, "g::2")
    assert await states(registry, ["g::2", "g::3"]) == [ProcessStatus.COMPLETED, Phase.QUEUED]


async def test_the_same_submit_again_completes_a_group(registry: ProcessRegistry) -> None:
    """Members that joined before are known, also those that were pruned since; the others join."""
    await registry.register(group())
    await registry.register_many([member(0), member(1)])
    await end(registry, "g::0")
    pruned = await registry.prune(2**52)

    new = await registry.register_many([group()]) + await registry.register_many([member(at) for at in range(3)])
    await registry.close_group(G)
    again = await registry.register_many([member(at) for at in range(3)])
    await registry.close_group(G)

    assert (pruned.processes, new, again) == (1, [False, False, False, True], [False] * 3)
    assert (await registry.get("g::0"), await state(registry, G)) == (None, Phase.BLOCKED)
    await end_all(registry, range(1, 3))
    assert await state(registry, G) is Phase.QUEUED


async def test_nobody_joins_a_group_that_is_closed_or_has_ended(registry: ProcessRegistry) -> None:
    """Nor one that is not there, nor from outside: nothing is registered."""
    await registry.register_many([group(), work("g::out"), work("w")])
    with pytest.raises(CannotJoinGroup, match="registered already, and not as a member of this group"):
        await registry.register(work("g::out", member_of=G))
    await registry.close_group(G)
    with pytest.raises(CannotJoinGroup, match="'g::0' cannot be a member of group 'g': the group is closed"):
        await registry.register(member(0))
    await registry.request_cancel(G, cancel())
    with pytest.raises(CannotJoinGroup, match="the group has ended: cancelled"):
        await registry.register(member(0))
    with pytest.raises(CannotJoinGroup, match="no such group is registered"):
        await registry.register(member(0, "w"))
    with pytest.raises(CannotJoinGroup, match="'w' cannot be a member of group 'w': it continues no group"):
        await registry.close_group("w")

    assert [await registry.get(each) for each in ("g::0", "w::0")] == [None, None]


async def test_a_group_waits_for_its_members_and_they_for_each_other_alone(registry: ProcessRegistry) -> None:
    """So that no two processes wait for each other."""
    with pytest.raises(SettingsError, match="expected after to be left out: a group waits for its members"):
        group(after=("g::x",))
    await registry.register_many([group(), work("g::out")])
    await registry.register_many([member(0), member(1, after=("g::0",), if_failed="run")])

    with pytest.raises(CannotAwait, match="'g::2' cannot wait for 'g': a member of a group waits for earlier members"):
        await registry.register(member(2, after=(G,), if_failed="run"))
    with pytest.raises(CannotAwait, match="earlier members of that group alone"):
        await registry.register(member(2, after=("g::out",), if_failed="run"))
    await end(registry, "g::0")
    assert await state(registry, "g::1") is Phase.QUEUED


async def test_a_cancelled_group_leaves_its_members_alone(registry: ProcessRegistry) -> None:
    """They end by themselves, and the group is not forgotten before."""
    await registry.register(group())
    await registry.register_many([member(0), member(1)])
    await registry.request_cancel(G, cancel())
    await end(registry, "g::0")

    pruned = [(await registry.prune(2**52)).processes]
    await end(registry, "g::1")
    pruned.append((await registry.prune(2**52)).processes)

    assert pruned == [1, 2]


async def test_an_abandoned_member_is_waited_for_until_it_is_resolved(registry: ProcessRegistry) -> None:
    """By a group that needs its completion; what runs all the same goes at once."""
    await registry.register_many([group(if_failed="cancel"), group("h")])
    await registry.register_many([work("g::0", OWNER_BOUND, member_of=G), work("h::0", OWNER_BOUND, member_of="h")])
    for process_id in ("g", "h"):
        await give_up(registry, f"{process_id}::0")
        await registry.close_group(process_id)
    before = await states(registry, [G, "h"])

    await registry.resolve("g::0", Resolution(ResolutionKind.HAPPENED, "ops", 1))

    assert (before, await state(registry, G)) == ([Phase.BLOCKED, Phase.QUEUED], Phase.QUEUED)


@pytest.mark.parametrize("partitions", [1])
async def test_a_group_of_a_thousand(registry: ProcessRegistry) -> None:
    """Its members are listed in the order of their joining, by pages; the list goes with it."""
    await registry.register(group())
    await registry.register_many([member(at) for at in range(1100)])
    await registry.close_group(G)
    state_, data = registry.encoded(Success(1))
    partition = registry.partition_of(G)
    while (batch := await registry.claim_next(batch_claim(registry, ADA, count=500, partition=partition))).rows:
        await registry.terminalize_many([TerminalFact(lease, state_, data) for lease in leases_of(batch, ADA)])

    pages = [await registry.members(G, first) for first in (0, 500, 1000)]
    await registry.prune(2**52)

    assert [each for page in pages for each in page.ids] == [f"g::{at}" for at in range(1100)]
    assert all(row is not None and row.is_terminal for page in pages for row in page.rows)
    assert [await registry.get(each) for each in (G, "g::0")] == [None, None]


async def test_what_waits_for_a_group_waits_for_its_continuation(registry: ProcessRegistry) -> None:
    """It is a process like others."""
    await registry.register(group())
    await registry.register_many([member(0), waiting("g::then", G)])
    await registry.close_group(G)
    await end(registry, "g::0")
    before = await state(registry, "g::then")

    await end(registry, G)

    assert (before, await state(registry, "g::then")) == (Phase.BLOCKED, Phase.QUEUED)

"""Groups as programs write them, and waits for several processes."""

from __future__ import annotations

import pytest

from lash_redis.app.lash import Lash
from lash_redis.app.task import Task
from lash_redis.core.errors import SettingsError, WorkFailed
from lash_redis.core.model import Phase
from lash_redis.core.outcomes import Failure, Success
from lash_redis.operate.explain import explain
from tests.app.working import finish


@pytest.fixture
def work(lash: Lash) -> Task[[int], int]:
    """Return a task."""

    @lash.task(recovery="rerunnable", name="work")
    def work(number: int) -> int:
        return number

    return work


async def test_a_block_that_failed_leaves_its_group_open_and_the_same_block_completes_it(
    lash: Lash, work: Task[[int], int]
) -> None:
    """A note on the error says so; nothing is registered twice."""
    last = work.options(process_id="g", if_failed="run")

    async def break_off() -> None:
        async with lash.group(last, 9) as group:
            await group.submit_many(work, [(0,), (1,)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as raised:
        await break_off()
    shown = (await explain(lash.registry, "g")).waits

    async with lash.group(last, 9) as group:
        again = await group.submit_many(work, [(0,), (1,), (2,)])
    for member in again:
        await finish(lash, member, Success(1))

    assert "held open: the same block run again" in raised.value.__notes__[0]
    assert shown == "its group is held open; it waits for 2 to end: g::0 (queued), g::1 (queued)"
    assert [each.id for each in again] == ["g::0", "g::1", "g::2"]
    assert (await group.process.record()).phase is Phase.QUEUED


async def test_the_members_of_a_group_are_read_with_their_outcomes(lash: Lash, work: Task[[int], int]) -> None:
    """In the order in which they joined, also one with an id of its own."""
    async with lash.group(work.options(process_id="g", if_failed="run"), 9) as group:
        chosen = await group.submit(work.options(process_id="g::mine"), 1)
        (other,) = await group.submit_many(work, [(2,)])
    await finish(lash, chosen, Success(1))
    await finish(lash, other, Failure("E"))

    assert [(each.id, each.outcome) async for each in lash.members("g")] == [
        ("g::mine", Success(1)),
        ("g::1", Failure("E")),
    ]


async def test_how_a_group_continues_is_required(lash: Lash, work: Task[[int], int]) -> None:
    """There is no default."""
    with pytest.raises(SettingsError, match=r"expected if_failed to be 'cancel'"):
        lash.group(work, 9)


async def test_results_are_gathered_in_their_order(lash: Lash, work: Task[[int], int]) -> None:
    """The first end without a result is raised."""
    one, two, three = await work.submit_many([(1,), (2,), (3,)])
    await finish(lash, two, Success(2))
    await finish(lash, one, Success(1))
    await finish(lash, three, Failure("E"))

    assert await lash.gather(one, two, timeout=30) == [1, 2]
    with pytest.raises(WorkFailed):
        await lash.gather(one, three, timeout=30)


async def test_processes_come_as_they_end(lash: Lash, work: Task[[int], int]) -> None:
    """Each with its outcome."""
    one, two = await work.submit_many([(1,), (2,)])
    await finish(lash, two, Success(2))

    ended = lash.as_completed([one, two], timeout=30)
    first = await anext(ended)
    await finish(lash, one, Success(1))

    assert (first[0].id, first[1]) == (two.id, Success(2))
    assert [(each.id, outcome) async for each, outcome in ended] == [(one.id, Success(1))]

"""Work that waits for other work, as programs submit it: the namespace has two partitions."""

from __future__ import annotations

import pytest

from lash_redis.app.lash import Lash
from lash_redis.app.task import Task
from lash_redis.core.errors import CannotAwait, SettingsError
from lash_redis.core.model import Phase
from lash_redis.core.outcomes import Success
from tests.app.working import finish


@pytest.fixture
def work(lash: Lash) -> Task[[int], int]:
    """Return a task."""

    @lash.task(recovery="rerunnable", name="work")
    def work(number: int) -> int:
        return number

    return work


async def test_what_waits_gets_an_id_that_lies_where_it_can_wait(lash: Lash, work: Task[[int], int]) -> None:
    """Whatever ids its program leaves to chance, through a chain of any length, whose ids stay short."""
    first = last = await work.submit(0)
    for number in range(1, 6):
        last = await work.options(after=[last], if_failed="cancel").submit(number)
    (other,) = await work.options(after=[first, last], if_failed="run").submit_many([(6,)])
    await finish(lash, first, Success(1))

    assert last.id.startswith(f"{first.id}::p")
    assert (len(last.id), len(other.id)) == (2 * len(first.id) + 2,) * 2
    assert (await other.record()).phase is Phase.BLOCKED


async def test_what_lies_apart_cannot_be_waited_for_together(work: Task[[int], int]) -> None:
    """The error says which ids can, and that a group has them."""
    one, two = await work.submit_many([(1,), (2,)])

    with pytest.raises(CannotAwait, match=rf"cannot wait for '{two.id}'.*process_id that begins alike.*one group"):
        await work.options(after=[one, two], if_failed="run").submit(3)


async def test_an_empty_list_is_waited_for_no_longer_than_none(work: Task[[int], int]) -> None:
    """A program that makes the list need not look at it first. Who forgot the list is told so."""
    at_once = await work.options(after=[], if_failed="cancel").submit(1)

    assert (await at_once.record()).phase is Phase.QUEUED
    with pytest.raises(SettingsError, match=r"expected if_failed to be left out.*it waits for nothing.*after="):
        await work.options(if_failed="run").submit(2)


async def test_a_long_id_is_waited_for_in_one_partition(lash: Lash, work: Task[[int], int]) -> None:
    """An id that leaves no room for another is no beginning of one: the submit says what to do."""
    long = await work.options(process_id="x" * 256).submit(1)

    with pytest.raises(CannotAwait, match="submit them with a process_id"):
        await work.options(after=[long], if_failed="run").submit(2)

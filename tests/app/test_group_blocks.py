"""Groups as programs write them, and waits for several processes."""

from __future__ import annotations

import asyncio
import datetime as dt
import re

import pytest

from lash_redis.app.groups import Member
from lash_redis.app.lash import Lash
from lash_redis.app.task import Task
from lash_redis.core.errors import OutcomePruned, QueueFull, RegistryUnavailable, SettingsError, UnknownProcess
from lash_redis.core.events import Event, WorkUnserved
from lash_redis.core.model import CancelRequest, Phase
from lash_redis.core.outcomes import Failure, Success
from lash_redis.core.subscribers import subscribed
from lash_redis.core.unique import Unique
from lash_redis.operate.explain import explain
from lash_redis.registry.calls.forgetting import Retention
from tests.app.working import finish
from tests.conftest import ServerTime


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
    shown = (await explain(lash.registry, "g")).waiting.text

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


async def test_a_member_whose_result_is_forgotten_ends_no_listing(
    lash: Lash, work: Task[[int], int], server: ServerTime
) -> None:
    """It is listed without an outcome, and those after it with theirs."""
    async with lash.group(work.options(process_id="g", if_failed="run"), 9) as group:
        brief = await group.submit(work.options(keep_results=dt.timedelta(milliseconds=1)), 1)
        other = await group.submit(work, 2)
    await finish(lash, brief, Success(1))
    await finish(lash, other, Success(2))
    await server.pass_until(await server.now_ms() + 2)
    for partition in range(lash.registry.partitions):
        await lash.registry.retain(partition, Retention(60_000, 100, 0))

    expected = [Member(brief.id, None), Member(other.id, Success(2))]
    assert [each async for each in lash.members("g")] == expected
    assert await asyncio.to_thread(lambda: list(lash.blocking.members("g"))) == expected


@pytest.mark.usefixtures("patient_looks")
@pytest.mark.parametrize("blocking", [False, True])
async def test_members_that_nobody_serves_are_told(lash: Lash, work: Task[[int], int], *, blocking: bool) -> None:
    """As any submit is."""

    def block() -> None:
        with lash.blocking.group(work.options(process_id="g", if_failed="run"), 9) as group:
            group.submit(work.options(queue="mail"), 1)
            group.submit_many(work.options(queue="bulk"), [(2,)])

    events: list[Event] = []
    with subscribed(events.append):
        if blocking:
            await asyncio.to_thread(block)
        else:
            async with lash.group(work.options(process_id="g", if_failed="run"), 9) as group:
                await group.submit(work.options(queue="mail"), 1)
                await group.submit_many(work.options(queue="bulk"), [(2,)])

    told = {each.queue for each in events if isinstance(each, WorkUnserved)}
    assert told == {"default", "mail", "bulk"}


async def test_a_refused_batch_says_how_many_members_there_are(lash: Lash, work: Task[[int], int]) -> None:
    """As any "submit_many" does."""
    lash.queue("mail", most_waiting=2)

    async with lash.group(work.options(process_id="g", if_failed="run"), 9) as group:
        await group.submit(work.options(queue="mail"), 0)
        with pytest.raises(QueueFull) as refusal:
            await group.submit_many(work.options(queue="mail"), [(each,) for each in range(3)])

    assert refusal.value.__notes__ == ["submit_many: the first 0 of the iterable are registered, and no other is"]


async def test_how_a_group_continues_is_required(lash: Lash, work: Task[[int], int]) -> None:
    """There is no default."""
    with pytest.raises(SettingsError, match=r"expected if_failed to be 'cancel'"):
        lash.group(work, 9)


async def test_nothing_in_a_group_is_unique(lash: Lash, work: Task[[int], int]) -> None:
    """Another process would stand for it, which is no member, and which holds no group open."""
    once = work.options(unique=Unique())

    with pytest.raises(SettingsError, match=r"expected unique to be left out in a group.*process_id"):
        lash.group(once.options(if_failed="run"), 9)
    with pytest.raises(SettingsError, match=r"expected unique to be left out in a group"):
        async with lash.group(work.options(if_failed="run"), 9) as group:
            await group.submit(once, 1)


async def test_what_is_no_task_is_refused(lash: Lash, work: Task[[int], int]) -> None:
    """With what is meant, which the blocking twin of a task is not."""
    last = work.options(process_id="g", if_failed="run")

    with pytest.raises(SettingsError, match=r"expected the task that continues a group to be what @lash"):
        lash.group(last.blocking, 9)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"expected the task of a member to be what @lash"):
        async with lash.group(last, 9) as group:
            await group.submit(print, 1)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"expected the task of a member to be what @lash"):
        async with lash.group(last, 9) as group:
            await group.submit_many(work.blocking, [(1,)])  # type: ignore[arg-type]


async def test_the_members_of_an_unknown_group_are_no_empty_list(lash: Lash) -> None:
    """A misspelled id would read as a group without members."""
    with pytest.raises(UnknownProcess, match="'nobody'"):
        _ = [each async for each in lash.members("nobody")]


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_group_that_could_not_be_closed_says_what_helps(
    lash: Lash, work: Task[[int], int], monkeypatch: pytest.MonkeyPatch, *, blocking: bool
) -> None:
    """As one whose block failed: the same block once more, where its task has an id of its own; else a cancel."""
    lost = RegistryUnavailable("close_group", "no answer", maybe_applied=True)

    async def refuse(_: str) -> None:
        raise lost

    def refuse_blocking(_: str) -> None:
        raise lost

    def block(last: Task[[int], int]) -> None:
        monkeypatch.setattr(lash._sessions.blocking().registry, "close_group", refuse_blocking)
        with lash.blocking.group(last, 9):
            pass

    async def run(last: Task[[int], int]) -> None:
        monkeypatch.setattr(lash.registry, "close_group", refuse)
        async with lash.group(last, 9):
            pass

    async def notes(last: Task[[int], int]) -> list[str]:
        lost.__notes__ = []
        with pytest.raises(RegistryUnavailable) as raised:
            await (asyncio.to_thread(block, last) if blocking else run(last))
        return raised.value.__notes__

    (named,) = await notes(work.options(process_id="g", if_failed="run"))
    (random,) = await notes(work.options(if_failed="run"))

    assert named == "group 'g' is held open: the same block run again adds what is missing and closes it"
    assert re.fullmatch(r"group '(p\S+)' is held open: lash-redis cancel \1 --by … gives it up.*process_id=.*", random)


@pytest.mark.parametrize("blocking", [False, True])
async def test_the_same_block_after_its_group_was_forgotten_does_nothing(
    lash: Lash, work: Task[[int], int], server: ServerTime, *, blocking: bool
) -> None:
    """As the same submit of a single process: its id is known for a while. One that is not known at all is an error."""
    last = work.options(process_id="g", if_failed="run")

    async def run() -> None:
        async with lash.group(last, 9) as group:
            await group.submit_many(work, [(0,), (1,)])

    def block() -> None:
        with lash.blocking.group(last, 9) as group:
            group.submit_many(work, [(0,), (1,)])

    await run()
    for process_id in ("g::0", "g::1", "g"):
        await finish(lash, lash.process(process_id), Success(1))
    await server.pass_until(await server.now_ms() + 2)
    for partition in range(lash.registry.partitions):
        while await lash.registry.retain(partition, Retention(1, 1, 60_000)):
            pass
    await (asyncio.to_thread(block) if blocking else run())

    assert [await lash.registry.get(each) for each in ("g", "g::0", "g::1")] == [None, None, None]
    with pytest.raises(OutcomePruned, match="'g' ended as completed"):
        await _listed(lash, "g", blocking=blocking)
    with pytest.raises(UnknownProcess):
        await _listed(lash, "nobody", blocking=blocking)
    await lash.registry.prune(2**52)

    async def vanish() -> None:
        async with lash.group(last, 9):
            await lash.registry.request_cancel("g", CancelRequest("ops", 1))
            await lash.registry.prune(2**52)

    with pytest.raises(UnknownProcess):
        await vanish()


async def test_work_of_a_sequence_joins_a_group_whose_id_begins_with_its_key(
    lash: Lash, work: Task[[int], int]
) -> None:
    """Where there are several partitions; a group of another route refuses it, and says what an id begins with."""

    @lash.task(recovery="rerunnable", key="account", sequence=True, after_loss="halt")
    def transfer(account: str) -> str:
        return account

    async def join(process_id: str) -> str:
        async with lash.group(work.options(process_id=process_id, if_failed="run"), 9) as group:
            return (await group.submit(transfer, "ada")).id

    with pytest.raises(SettingsError, match="one that begins with 'ada::', got 'g::0'"):
        await join("g")
    assert await join("ada::g") == "ada::g::0"


async def _listed(lash: Lash, process_id: str, *, blocking: bool) -> list[Member]:
    if blocking:
        return await asyncio.to_thread(lambda: list(lash.blocking.members(process_id)))
    return [each async for each in lash.members(process_id)]


async def test_a_group_whose_block_was_not_entered_is_refused(lash: Lash, work: Task[[int], int]) -> None:
    """It has no process yet, and a member of it would wait for nothing."""
    group = lash.group(work.options(if_failed="run"), 9)
    blocking = lash.blocking.group(work.options(if_failed="run"), 9)

    with pytest.raises(SettingsError, match="a group whose block was entered, got one that is not registered yet"):
        await group.outcome(timeout=0)
    with pytest.raises(SettingsError, match="not registered yet"):
        await group.submit(work, 1)
    with pytest.raises(SettingsError, match="not registered yet"):
        await group.submit_many(work, [(1,)])
    for call in (blocking.outcome, lambda: blocking.submit(work, 1), lambda: blocking.submit_many(work, [(1,)])):
        with pytest.raises(SettingsError, match="not registered yet"):
            await asyncio.to_thread(call)

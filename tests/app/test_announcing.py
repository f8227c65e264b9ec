"""A client that waits for what it submits says so at the submit, and needs no read (rule 9.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lash_redis.app import blocking_waiter
from lash_redis.app import waiter as waiter_module
from lash_redis.app.announced import TO_BE_READ, UNHEARD, Announced
from lash_redis.app.lash import Lash
from lash_redis.app.process import Process
from lash_redis.app.task import Task
from lash_redis.app.wait import End
from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.model import ProcessStatus
from lash_redis.core.outcomes import Failure, Success
from tests.app.working import begin, finish
from tests.support import wait_until

END = End(ProcessStatus.COMPLETED, Success(7), "work")
Reads = Callable[[], int]


@pytest.fixture(autouse=True)
def no_slow_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no slow read find what a message has to bring."""
    for module in (waiter_module, blocking_waiter):
        monkeypatch.setattr(module, "reread_delay_s", lambda: 3600.0)
    monkeypatch.setattr(waiter_module, "FIRST_READ_S", 3600.0)
    monkeypatch.setattr(blocking_waiter, "FIRST_READ_S", 3600.0)


@pytest.fixture
def work(lash: Lash) -> Task[[int], int]:
    """Return a task."""

    @lash.task(recovery="rerunnable", name="work")
    def work(number: int) -> int:
        return number

    return work


@pytest.fixture
def reads(lash: Lash) -> list[list[str]]:
    """Return the list that gets the ids of each read of the running loop that notes a wait."""
    read: list[list[str]] = []
    watch = lash.registry.watch

    async def noted(process_ids: Any, name: str) -> Any:
        read.append(list(process_ids))
        return await watch(process_ids, name)

    lash.registry.watch = noted  # type: ignore[method-assign]
    return read


async def waits_once(lash: Lash, work: Task[[int], int], reads: list[list[str]]) -> Process[int]:
    """Wait for one outcome by a subscription that stands: the client has waited for what it submitted."""
    process = await work.submit(0)
    waiting = asyncio.create_task(process.outcome(timeout=60))
    await wait_until(lambda: len(reads) == 2, "it has read, subscribed and read again")
    await finish(lash, process, Success(0))
    assert await waiting == Success(0)
    reads.clear()
    return process


async def notes(lash: Lash, process: Process[Any]) -> bool:
    """Say whether the row of a process says that somebody waits."""
    (row,) = await lash.registry.rows([process.id])
    assert row is not None
    return b"w" in row.fields


async def test_what_follows_a_wait_is_submitted_with_the_note_and_never_read(
    lash: Lash, work: Task[[int], int], reads: list[list[str]]
) -> None:
    """The end may come after the wait began or before it."""
    async with lash:
        await waits_once(lash, work, reads)
        for number in (1, 2, 3):
            process = await work.submit(number)
            assert await notes(lash, process)
            waiting = asyncio.create_task(process.outcome(timeout=60))
            await asyncio.wait([waiting], timeout=0)
            await finish(lash, process, Success(number))
            assert await waiting == Success(number)
        early = await work.submit(4)
        await finish(lash, early, Failure("no", "early"))
        known = lash._sessions.current().waiter._announced._known
        await wait_until(lambda: isinstance(known[early.id], End), "the message has come")
        assert await early.outcome(timeout=60) == Failure("no", "early")
    assert reads == []


async def test_an_end_that_is_not_told_whole_is_read(
    lash: Lash, work: Task[[int], int], reads: list[list[str]]
) -> None:
    """A long result, before and after the wait began."""
    async with lash:
        await waits_once(lash, work, reads)
        for is_early in (False, True):
            reads.clear()
            process = await work.submit(1)
            waits = [] if is_early else [asyncio.create_task(process.outcome(timeout=60))]
            await asyncio.sleep(0)
            await finish(lash, process, Failure("long", "x" * 2000))
            known = lash._sessions.current().waiter._announced._known
            if is_early:
                await wait_until(lambda: known[process.id] is TO_BE_READ, "the message has come")  # noqa: B023
            for wait in waits or [asyncio.create_task(process.outcome(timeout=60))]:
                assert await wait == Failure("long", "x" * 2000)
            assert reads == [[process.id]]


async def test_who_never_waits_says_nothing(lash: Lash, work: Task[[int], int], reads: list[list[str]]) -> None:
    """A wait is worth one note: what is submitted after it and not waited for costs nothing more."""
    async with lash:
        assert not await notes(lash, await work.submit(1))
        await waits_once(lash, work, reads)
        assert [await notes(lash, await work.submit(number)) for number in range(3)] == [True, False, False]
        assert not await notes(lash, (await work.submit_many([(1,)]))[0])


async def test_what_stood_already_is_read(lash: Lash, work: Task[[int], int], reads: list[list[str]]) -> None:
    """Its row has no note of this submit, so that no message would come."""
    async with lash:
        chosen = work.options(process_id="chosen")
        await chosen.submit(1)
        await waits_once(lash, work, reads)
        process = await chosen.submit(1)
        waiting = asyncio.create_task(process.outcome(timeout=60))
        await wait_until(lambda: reads == [["chosen"]], "it is read")
        await finish(lash, process, Success(1))
        assert await waiting == Success(1)


async def test_a_subscription_that_was_lost_has_what_was_announced_read(
    lash: Lash, work: Task[[int], int], reads: list[list[str]], client: Any
) -> None:
    """What waits is read when the next one stands, and what is waited for later at once."""
    async with lash:
        assert await (await waits_once(lash, work, reads)).outcome(timeout=60) == Success(0)
        reads.clear()
        waited, later = await work.submit(1), await work.submit(2)
        waiter = lash._sessions.current().waiter
        waiting = asyncio.create_task(waited.outcome(timeout=60))
        await asyncio.wait([waiting], timeout=0)

        waiter._on_subscribed()

        await wait_until(lambda: reads == [[waited.id]], "what waits is read")
        for process in (waited, later):
            await finish(lash, process, Success(3))
        assert await waiting == Success(3)
        assert await later.outcome(timeout=60) == Success(3)
        assert reads == [[waited.id], [later.id]]


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_message_that_is_lost_is_made_up_for_within_a_second(
    lash: Lash, work: Task[[int], int], reads: list[list[str]], monkeypatch: pytest.MonkeyPatch, blocking: bool
) -> None:
    """What was announced is read once even if nothing is heard."""
    async with lash:
        if blocking:
            await _waits_once_blocking(lash, work)
        else:
            await waits_once(lash, work, reads)
        for module in (waiter_module, blocking_waiter):
            monkeypatch.setattr(module, "told_end", lambda _text: ("", None))
            monkeypatch.setattr(module, "FIRST_READ_S", 0.05)
        process: Any = await (asyncio.to_thread(work.blocking.submit, 1) if blocking else work.submit(1))
        await finish(lash, process, Success(1))
        wait: Coroutine[Any, Any, Any] = (
            asyncio.to_thread(process.outcome, timeout=60) if blocking else process.outcome(timeout=60)
        )
        assert await wait == Success(1)


async def test_only_what_was_left_unread_is_read_within_a_second(
    lash: Lash, work: Task[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a thread: what was read at first is read again with the slow reads, also while others of the call end."""
    async with lash:
        await _waits_once_blocking(lash, work)
        others = [await work.submit(number) for number in (1, 2)]
        first, second = (lash.blocking.process(each.id) for each in others)
        said: Any = await asyncio.to_thread(work.blocking.submit, 3)
        registry, read = lash._sessions._blocking.registry, list[list[str]]()
        watch = registry.watch

        def noted(process_ids: Any, name: str) -> Any:
            read.append(list(process_ids))
            return watch(process_ids, name)

        monkeypatch.setattr(registry, "watch", noted)
        monkeypatch.setattr(blocking_waiter, "FIRST_READ_S", 0.5)
        waits = asyncio.create_task(asyncio.to_thread(lambda: lash.blocking.gather(first, second, said, timeout=20)))
        await wait_until(lambda: read, "it reads what nobody announced")
        await finish(lash, others[0], Success(1))
        await wait_until(lambda: len(read) > 1, "it reads again")
        assert read == [[first.id, second.id], [said.id]]
        await finish(lash, others[1], Success(2))
        await finish(lash, said, Success(3))
        assert await waits == [1, 2, 3]


async def test_a_wait_for_what_was_announced_may_time_out(
    lash: Lash, work: Task[[int], int], reads: list[list[str]]
) -> None:
    """It is read before that, so that its error says where the process stands."""
    async with lash:
        await waits_once(lash, work, reads)
        process = await work.submit(1)
        with pytest.raises(TimeoutError, match=r"has not ended within 2 s \(it is queued"):
            await process.outcome(timeout=2)
        assert reads == [[process.id]]
        await finish(lash, process, Success(1))
        assert await process.outcome(timeout=60) == Success(1)


@pytest.mark.parametrize("blocking", [False, True])
async def test_an_outage_is_not_taken_for_not_yet(
    lash: Lash, work: Task[[int], int], reads: list[list[str]], monkeypatch: pytest.MonkeyPatch, blocking: bool
) -> None:
    """The server went away after the submit: nothing was read of what was announced, and no error says that it was."""

    def gone(_process_ids: Any, _name: str) -> Any:
        raise RegistryUnavailable("watch", "gone", maybe_applied=False)

    async with lash:
        if blocking:
            await _waits_once_blocking(lash, work)
        else:
            await waits_once(lash, work, reads)
        process: Any = await (asyncio.to_thread(work.blocking.submit, 1) if blocking else work.submit(1))
        registry = lash._sessions._blocking.registry if blocking else lash.registry
        monkeypatch.setattr(registry, "watch", gone)
        with pytest.raises(RegistryUnavailable, match="gone"):
            await (asyncio.to_thread(process.outcome, 0.5) if blocking else process.outcome(timeout=0.5))


async def test_in_a_thread_it_is_the_same(lash: Lash, work: Task[[int], int], monkeypatch: pytest.MonkeyPatch) -> None:
    """After a wait a submit makes the note, and its wait reads nothing."""
    async with lash:
        await _waits_once_blocking(lash, work)
        registry = lash._sessions._blocking.registry
        monkeypatch.setattr(registry, "watch", None)
        monkeypatch.setattr(registry, "rows", None)
        for is_early in (False, True, False):
            process = await asyncio.to_thread(work.blocking.submit, 1)
            with ThreadPoolExecutor(1) as threads:
                waits = [] if is_early else [threads.submit(process.outcome, 60)]
                await finish(lash, process, Success(1))
                known = lash._sessions._blocking.waiter._announced._known
                if is_early:
                    await wait_until(lambda: isinstance(known[process.id], End), "the message has come")  # noqa: B023
                for wait in waits or [threads.submit(process.outcome, 60)]:
                    assert await asyncio.wrap_future(wait) == Success(1)


async def _waits_once_blocking(lash: Lash, work: Task[[int], int]) -> None:
    process = await asyncio.to_thread(work.blocking.submit, 0)
    waiting = asyncio.create_task(asyncio.to_thread(process.outcome, 60))
    announced = lash._sessions._blocking.waiter._announced
    await wait_until(lambda: announced._is_heard, "it has subscribed")
    await begin(lash, process)
    (row,) = await lash.registry.rows([process.id])
    assert row is not None
    lease = row.lease()
    assert lease is not None
    await lash.registry.complete(lease, Success(0))
    assert await waiting == Success(0)


def test_a_wait_earns_a_note_and_no_more_are_kept_than_were_earned() -> None:
    """64 at most, however many outcomes were waited for."""
    announced = Announced()
    announced.subscribed()
    assert not announced.may_announce
    for number in range(100):
        assert announced.waited_for(f"w{number}") is TO_BE_READ
    count = 0
    while announced.may_announce:
        announced.announce(f"p{count}")
        count += 1
    assert count == 64
    announced.heard("p0", END)
    announced.heard("p1", None)
    announced.heard("other", END)
    assert [announced.waited_for(each) for each in ("p0", "p1", "p2", "other")] == [
        END, TO_BE_READ, UNHEARD, TO_BE_READ,
    ]  # fmt: skip
    assert announced.may_announce
    announced.unsubscribed()
    assert not announced.may_announce
    assert announced.waited_for("p3") is TO_BE_READ


def test_what_is_never_waited_for_is_forgotten() -> None:
    """A client that waits for others earns one note after the other, and what it heard of the first goes."""
    announced = Announced()
    announced.subscribed()
    for number in range(200):
        announced.waited_for("other")
        announced.announce(f"p{number}")
        announced.heard(f"p{number}", END)

    assert [announced.waited_for(f"p{number}") for number in (0, 135, 136, 199)] == [TO_BE_READ, TO_BE_READ, END, END]

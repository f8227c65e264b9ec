"""Waits for several processes, on an event loop and in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lash_redis.app import blocking_waiter
from lash_redis.app import waiter as waiter_module
from lash_redis.app.lash import Lash
from lash_redis.app.process import Process
from lash_redis.app.task import Task
from lash_redis.core.errors import LashError, OutcomePruned, SettingsError, UnknownProcess, WorkFailed
from lash_redis.core.outcomes import Failure, Success
from tests.app.working import finish, until_subscribed
from tests.support import block_until, wait_until

Handles = Sequence[Process[int]]


@pytest.fixture(autouse=True)
def no_slow_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no slow read find what a message has to bring."""
    for module in (waiter_module, blocking_waiter):
        monkeypatch.setattr(module, "reread_delay_s", lambda: 3600.0)


@pytest.fixture
def work(lash: Lash) -> Task[[int], int]:
    """Return a task."""

    @lash.task(recovery="rerunnable", name="work")
    def work(number: int) -> int:
        return number

    return work


@pytest.fixture(params=[False, True], ids=["async", "blocking"])
def blocking(request: pytest.FixtureRequest) -> bool:
    """Say whether the waits of a test block a thread."""
    return bool(request.param)


class Waits:
    """The waits of a ``Lash``, in a thread where they block."""

    def __init__(self, lash: Lash, *, blocking: bool) -> None:
        self.lash, self.blocking = lash, blocking

    async def gather(self, *handles: Process[int], **options: Any) -> list[Any]:
        """Wait for all."""
        if self.blocking:
            gather: Any = self.lash.blocking.gather
            return list(await asyncio.to_thread(gather, *(each.blocking for each in handles), **options))
        return list(await self.lash.gather(*handles, **options))

    async def as_completed(self, handles: Handles, **options: Any) -> tuple[list[tuple[str, Any]], Exception | None]:
        """Return what came, and the error at its end."""
        found: list[tuple[str, Any]] = []

        def block() -> None:
            for each, outcome in self.lash.blocking.as_completed([each.blocking for each in handles], **options):
                found.append((each.id, outcome))

        try:
            if self.blocking:
                await asyncio.to_thread(block)
            else:
                async for each, outcome in self.lash.as_completed(handles, **options):
                    found.append((each.id, outcome))
        except (LashError, TimeoutError) as error:
            return found, error
        return found, None


@pytest.fixture
def waits(lash: Lash, blocking: bool) -> Waits:
    """Return the waits of the test's Lash."""
    return Waits(lash, blocking=blocking)


async def test_results_are_gathered_in_their_order(lash: Lash, work: Task[[int], int], waits: Waits) -> None:
    """The first end without a result is raised, also one behind others that have not ended."""
    one, two, three, never = await work.submit_many([(1,), (2,), (3,), (4,)])
    await finish(lash, two, Success(2))
    await finish(lash, one, Success(1))
    await finish(lash, three, Failure("E"))

    assert await waits.gather(one, two, one, timeout=30) == [1, 2, 1]
    assert await waits.gather() == []
    with pytest.raises(WorkFailed):
        await waits.gather(never, three)


async def test_errors_stand_among_the_results_if_they_are_asked_for(
    lash: Lash, work: Task[[int], int], waits: Waits
) -> None:
    """As in ``asyncio.gather``: each error in the place of the result that there is not."""
    one, two, never = await work.submit_many([(1,), (2,), (3,)])
    await finish(lash, one, Success(1))
    await finish(lash, two, Failure("E"))

    found = await waits.gather(one, two, never, lash.process("nobody"), timeout=0.5, return_exceptions=True)

    assert found[0] == 1
    assert [type(each) for each in found[1:]] == [WorkFailed, TimeoutError, UnknownProcess]


async def test_processes_come_as_they_end(
    lash: Lash, work: Task[[int], int], client: Any, namespace: str, *, blocking: bool
) -> None:
    """Each with its outcome, and by a message: no other read would find it."""
    one, two = await work.submit_many([(1,), (2,)])
    await finish(lash, two, Success(2))
    came = threading.Event()

    def block() -> list[tuple[str, Any]]:
        found = []
        for each, outcome in lash.blocking.as_completed([one.blocking, two.blocking], timeout=60):
            found.append((each.id, outcome))
            came.set()
        return found

    async def iterate() -> list[tuple[str, Any]]:
        found = []
        async for each, outcome in lash.as_completed([one, two], timeout=60):
            found.append((each.id, outcome))
            came.set()
        return found

    waiting = asyncio.create_task(asyncio.to_thread(block) if blocking else iterate())
    await wait_until(came.is_set, "the first has come")
    await until_subscribed(client, namespace)
    await finish(lash, one, Success(1))

    assert await waiting == [(two.id, Success(2)), (one.id, Success(1))]


async def test_what_has_ended_comes_before_any_error(lash: Lash, work: Task[[int], int], waits: Waits) -> None:
    """Neither a process that is not there nor one that takes too long hides the others."""
    handles = await work.submit_many([(number,) for number in range(20)])
    for each in handles[1:]:
        await finish(lash, each, Success(1))
    ended = {(each.id, Success(1)) for each in handles[1:]}

    found, error = await waits.as_completed([lash.process("nobody"), *handles[1:]], timeout=30)
    late, too_late = await waits.as_completed(handles, timeout=0)

    assert (set(found), set(late)) == (ended, ended)
    assert isinstance(error, UnknownProcess)
    assert isinstance(too_late, TimeoutError)


async def test_a_pruned_one_says_how_it_ended(lash: Lash, work: Task[[int], int], waits: Waits) -> None:
    """As its handle does."""
    one = await work.options(process_id="one").submit(1)
    await finish(lash, one, Failure("E"))
    await lash.registry.prune(2**52)

    _, error = await waits.as_completed([one], timeout=30)

    assert isinstance(error, OutcomePruned)


async def test_a_thousand_are_read_by_pages(lash: Lash, work: Task[[int], int], waits: Waits) -> None:
    """And none is forgotten."""
    handles = await work.submit_many([(number,) for number in range(1001)])
    await lash.cancel_many(by="ops", task=work)

    found, error = await waits.as_completed(handles, timeout=60)

    assert error is None
    assert {process_id for process_id, _ in found} == {each.id for each in handles}


async def test_what_is_no_handle_is_refused(lash: Lash, work: Task[[int], int]) -> None:
    """With what is meant."""
    one: Any = await work.submit(1)

    with pytest.raises(SettingsError, match=r"a handle \(Process\), got \[.*\]: gather\(\*handles\) takes a list"):
        await lash.gather([one])  # type: ignore[call-overload]
    with pytest.raises(SettingsError, match=r"got 'p1': lash\.process\(id\) makes one"):
        await anext(lash.as_completed(["p1"]))  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"got <BlockingProcess .*>: it belongs to lash\.blocking\.gather"):
        await lash.gather(one.blocking)
    with pytest.raises(SettingsError, match=r"a handle \(BlockingProcess\), got .*takes process\.blocking"):
        await asyncio.to_thread(lash.blocking.gather, one)


async def test_who_waits_for_several_and_leaves_early_leaves_no_wait(lash: Lash, work: Task[[int], int]) -> None:
    """Neither one that ended without a result, nor a loop that is left, goes on waiting for what has not ended."""
    bad, good, never = await work.submit_many([(1,), (2,), (3,)])
    await finish(lash, bad, Failure("E"))
    await finish(lash, good, Success(2))

    def leave() -> None:
        for _, outcome in lash.blocking.as_completed([never.blocking, good.blocking]):
            assert outcome == Success(2)
            break

    with pytest.raises(WorkFailed):
        await lash.gather(never, bad)
    after_gather = dict(lash._sessions.current().waiter._waits)
    async with contextlib.aclosing(lash.as_completed([never, good])) as ended:  # type: ignore[type-var]
        assert (await anext(ended))[1] == Success(2)
    await asyncio.to_thread(leave)

    assert (after_gather, lash._sessions.current().waiter._waits) == ({}, {})
    assert lash._sessions._blocking.waiter._waits == {}


def test_a_blocking_wait_for_several_ends_when_its_lash_is_closed(lash: Lash, work: Task[[int], int]) -> None:
    """With an error that says so."""
    handles = work.blocking.submit_many([(1,), (2,)])

    with ThreadPoolExecutor(1) as threads:
        wait = threads.submit(lash.blocking.gather, *handles)
        block_until(lambda: len(lash._sessions._blocking.waiter._waits) == 2, "it waits")
        lash.blocking.close()

        with pytest.raises(LashError, match="closed while somebody waited"):
            wait.result(timeout=30)

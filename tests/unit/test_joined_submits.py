"""Submits at the same time share calls, and none hears of what became of another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from lash_redis.app.joined_submits import JoinedSubmits
from lash_redis.core.errors import RegistrationConflict, RegistryUnavailable
from lash_redis.core.model import ProcessRegistration
from lash_redis.core.terms import NO_TERMS, Terms
from tests.conformance.actors import work
from tests.support import wait_until


class Held:
    """A registry that answers when it is told to, and refuses some ids."""

    def __init__(self, *refused: str) -> None:
        self.calls: list[list[str]] = []
        self.held: list[asyncio.Future[None]] = []
        self._refused = set(refused)

    async def submit_all(
        self, batch: Sequence[ProcessRegistration], terms: Terms, waiter: str
    ) -> list[tuple[str, bool]]:
        """Register them once that is let go."""
        assert (terms, waiter) == (NO_TERMS, "desk")
        ids = [each.id for each in batch]
        self.calls.append(ids)
        self.held.append(asyncio.get_running_loop().create_future())
        await self.held[-1]
        if found := self._refused & set(ids):
            raise RegistrationConflict(sorted(found))
        return [(each, True) for each in ids]

    def partition_of(self, process_id: str) -> int:
        """Return the same for all whose name is of one case."""
        return int(process_id.isupper())

    async def let_go(self, number: int, error: Exception | None = None) -> None:
        """Answer the call of this number, once it has come."""
        await wait_until(lambda: len(self.held) > number, "the call has come")
        if error is not None:
            self.held[number].set_exception(error)
        else:
            self.held[number].set_result(None)


def joined(registry: Any) -> JoinedSubmits:
    """Return the submits of a task in this registry."""
    return JoinedSubmits(registry, lambda _: NO_TERMS, "desk")


def begun(submits: JoinedSubmits, *ids: str) -> list[asyncio.Task[str]]:
    """Begin a submit for each id."""

    async def submitted(name: str) -> str:
        stands, is_new = await submits.submit(work(name))
        assert is_new
        return stands

    return [asyncio.create_task(submitted(each)) for each in ids]


async def test_what_comes_while_calls_are_under_way_goes_in_one_call() -> None:
    """Two calls are sent at once; each other submit waits for the first of them to end, and gets its own answer."""
    registry = Held()
    tasks = begun(joined(registry), *"abcdef")
    for number in (0, 2, 1):
        await registry.let_go(number)

    assert await asyncio.gather(*tasks) == list("abcdef")
    assert registry.calls == [["a"], ["b"], ["c", "d", "e", "f"]]


async def test_submits_one_after_the_other_wait_for_nothing() -> None:
    """Each is a call, also after many that came at once."""
    registry = Held()
    submits = joined(registry)
    tasks = begun(submits, *"abcde")
    for number in (0, 2, 1):
        await registry.let_go(number)
    await asyncio.gather(*tasks)

    for number, name in enumerate("xyz", start=3):
        (task,) = begun(submits, name)
        await registry.let_go(number)
        assert await task == name
    assert registry.calls[3:] == [["x"], ["y"], ["z"]]


async def test_one_that_is_refused_is_refused_alone() -> None:
    """A batch is registered whole or not at all: each of one that was refused is sent by itself."""
    registry = Held("d")
    tasks = begun(joined(registry), *"abcde")
    for number in (0, 2, 3, 4, 5, 1):
        await registry.let_go(number)

    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [each for each in answers if isinstance(each, str)] == list("abce")
    assert isinstance(answers[3], RegistrationConflict)
    assert registry.calls[2] == ["c", "d", "e"]
    assert sorted(registry.calls[3:]) == [["c"], ["d"], ["e"]]


async def test_a_server_that_does_not_answer_is_told_to_all_of_a_call() -> None:
    """To each by an error of its own, which its caller may add to. What comes later asks again."""
    registry = Held()
    submits = joined(registry)
    tasks = begun(submits, *"abcd")
    await registry.let_go(0)
    unavailable = RegistryUnavailable("register", "no answer", maybe_applied=True)
    unavailable.__cause__ = cause = OSError("reset")
    await registry.let_go(2, unavailable)
    await registry.let_go(1)

    first, second, *errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, second) == ("a", "b")
    assert [type(each) for each in errors] == [RegistryUnavailable] * 2
    assert errors[0] is not errors[1]
    assert {str(each) for each in errors} == {str(unavailable)}
    assert [each.__cause__ for each in errors if isinstance(each, BaseException)] == [cause, cause]
    (later,) = begun(submits, "e")
    await registry.let_go(3)
    assert await later == "e"


async def test_a_partition_that_does_not_answer_is_told_to_those_alone_that_lie_there() -> None:
    """A batch for several partitions is several calls; after one that failed, each submit is sent by itself."""
    registry = Held()
    tasks = begun(joined(registry), "a", "b", "c", "D")
    await registry.let_go(0)
    unavailable = RegistryUnavailable("register", "no answer", maybe_applied=True)
    await registry.let_go(2, unavailable)
    await wait_until(lambda: len(registry.calls) == 5, "both are sent alone")
    for number, (name,) in enumerate(registry.calls[3:], start=3):
        await registry.let_go(number, unavailable if name == "D" else None)
    await registry.let_go(1)

    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers == ["a", "b", "c", unavailable]


async def test_one_that_is_cancelled_in_the_call_of_another_takes_no_other_along() -> None:
    """The call goes on."""
    registry = Held()
    tasks = begun(joined(registry), *"abcde")
    await registry.let_go(0)
    await wait_until(lambda: len(registry.calls) == 3, "c leads d and e")
    tasks[3].cancel()
    for number in (2, 1):
        await registry.let_go(number)

    assert await asyncio.gather(*(tasks[number] for number in (0, 1, 2, 4))) == ["a", "b", "c", "e"]
    assert tasks[3].cancelled()


async def test_where_one_is_cancelled_that_leads_the_next_one_leads() -> None:
    """Its call may have been applied, and what it brought is sent once more."""
    registry = Held()
    tasks = begun(joined(registry), *"abcde")
    await registry.let_go(0)
    await wait_until(lambda: len(registry.calls) == 3, "c leads d and e")
    tasks[2].cancel()
    for number in (3, 1):
        await registry.let_go(number)

    assert await asyncio.gather(*(tasks[number] for number in (0, 1, 3, 4))) == ["a", "b", "d", "e"]
    assert registry.calls[3] == ["d", "e"]


async def test_what_is_cancelled_while_it_waits_is_not_sent() -> None:
    """Nor does anybody wait for it to lead."""
    registry = Held()
    tasks = begun(joined(registry), *"abcde")
    await wait_until(lambda: len(registry.calls) == 2, "c, d and e wait")
    tasks[2].cancel()
    tasks[4].cancel()
    for number in (0, 2, 1):
        await registry.let_go(number)

    assert await asyncio.gather(*(tasks[number] for number in (0, 1, 3))) == ["a", "b", "d"]
    assert registry.calls[2:] == [["d"]]


async def test_one_that_is_cancelled_when_its_turn_has_come_passes_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it has sent anything."""
    registry = Held()
    submits = joined(registry)
    tasks = begun(submits, *"abcd")
    pass_on = submits._pass_on  # noqa: SLF001

    def and_cancel() -> None:
        pass_on()
        tasks[2].cancel()

    await wait_until(lambda: len(registry.calls) == 2, "c and d wait")
    monkeypatch.setattr(submits, "_pass_on", and_cancel)
    for number in (0, 2, 1):
        await registry.let_go(number)

    assert await asyncio.gather(*(tasks[number] for number in (0, 1, 3))) == ["a", "b", "d"]
    assert registry.calls[2:] == [["d"]]


async def test_one_that_is_cancelled_as_its_call_fails_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a time-out would be taken for a server that does not answer."""
    registry = Held()
    submits = joined(registry)
    tasks = begun(submits, *"abcd")
    pass_on, passed = submits._pass_on, 0  # noqa: SLF001

    def and_cancel() -> None:
        nonlocal passed
        pass_on()
        passed += 1
        if passed == 2:  # c has led, and told d
            tasks[3].cancel()

    await wait_until(lambda: len(registry.calls) == 2, "c and d wait")
    monkeypatch.setattr(submits, "_pass_on", and_cancel)
    await registry.let_go(0)
    await registry.let_go(2, RegistryUnavailable("register", "no answer", maybe_applied=True))
    await registry.let_go(1)

    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in answers[2:]] == [RegistryUnavailable, asyncio.CancelledError]


async def test_what_is_closed_while_it_waits_keeps_no_turn() -> None:
    """As its coroutine is by code that drives it without an asyncio task."""
    registry = Held()
    submits = joined(registry)
    tasks = begun(submits, *"ab")
    await wait_until(lambda: len(registry.calls) == 2, "two calls are under way")
    for name in "cd":
        waiting = submits.submit(work(name))
        waiting.send(None)
        waiting.close()
    for number in (0, 1):
        await registry.let_go(number)
    await asyncio.gather(*tasks)

    (later,) = begun(submits, "e")
    await registry.let_go(2)
    assert await later == "e"
    assert registry.calls[2:] == [["e"]]

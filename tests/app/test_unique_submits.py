"""Unique tasks as a program submits them: of what the key is made, and which handle comes back."""

from __future__ import annotations

import asyncio
import enum
from typing import Any, Final

import pytest

from lash_redis.app.lash import Lash
from lash_redis.core.errors import NotUnique, QueueFull, SettingsError
from lash_redis.core.unique import Unique

MARK: Final = object()


class Kind(enum.Enum):
    """What is stored is its value."""

    ALL = "all"


def wrong(value: Any) -> Any:
    """Return a value of another type than is declared, past the type checker."""
    return value


async def test_a_second_submit_gets_the_handle_of_the_first(lash: Lash) -> None:
    """All arguments make the key, however they are spelled."""

    @lash.task(recovery="rerunnable", name="index", unique=Unique())
    def index(customer: str, deep: bool = False) -> None: ...

    first = await index.submit("ada", deep=True)

    assert (await index.submit(customer="ada", deep=True)).id == first.id
    assert (await index.submit("ada")).id != first.id
    assert (await asyncio.to_thread(index.blocking.submit, "ada", True)).id == first.id
    again, other = await index.submit_many([("ada", True), ("bob", True)])
    assert again.id == first.id != other.id


async def test_a_parameter_may_be_the_key(lash: Lash) -> None:
    """Then the other arguments do not matter; also several may."""

    @lash.task(recovery="rerunnable", name="index")
    def index(customer: str, page: int = 0, *, kind: str = "all") -> None: ...

    by_customer = index.options(unique=Unique(by="customer"))
    by_both = index.options(unique=Unique(by=("customer", "kind"), on_duplicate="refuse"))

    first = await by_customer.submit("ada", 1)
    assert first.id.startswith("ada::p")
    assert (await by_customer.submit("ada", 2)).id == first.id
    one = await by_both.submit("ada", kind="new")
    await by_both.submit("ada", kind="old")
    with pytest.raises(NotUnique) as refusal:
        await by_both.submit("ada", 3, kind="new")
    assert refusal.value.process_id == one.id


def test_a_name_among_the_extra_arguments_is_no_parameter(lash: Lash) -> None:
    """What an argument is bound to is the parameter, whatever others are called."""

    @lash.task(recovery="rerunnable", name="index", unique=Unique(by="customer"))
    def index(customer: str = "all", /, **filters: str) -> None: ...

    made = index.registration(("ada",), {"customer": "bob"})

    assert made.unique is not None
    assert made.unique.key == "ada"
    assert key_of(index, customer="bob") == "all"


def key_of(task: Any, *args: Any, **kwargs: Any) -> str | None:
    """Return the unique key of a call."""
    unique = task.registration(args, kwargs).unique
    assert unique is not None
    key: str | None = unique.key
    return key


def test_what_a_call_leaves_out_counts_with_its_default(lash: Lash) -> None:
    """As it would be stored: whether the caller spells it out or not is the same work."""

    @lash.task(recovery="rerunnable", name="index", unique=Unique(by="kind"))
    def index(
        customer: str, kind: Kind = Kind.ALL, page: int = 0, since: str = wrong(None), *, mark: Any = MARK
    ) -> None: ...

    assert key_of(index, "ada") == key_of(index, "ada", Kind.ALL) == "all"
    by_page = index.options(unique=Unique(by="page"))
    assert key_of(by_page, "ada") == key_of(by_page, "bob", page=0) == "0" != key_of(by_page, "ada", page=1)
    both = index.options(unique=Unique(by=("customer", "kind")))
    assert key_of(both, "ada") == key_of(both, "ada", kind=Kind.ALL) != key_of(both, "bob")
    assert key_of(index.options(unique=Unique(by="since")), "ada")
    with pytest.raises(
        SettingsError, match="to pass mark, its unique key: a default cannot be one that no payload can"
    ):
        key_of(index.options(unique=Unique(by="mark")), "ada")


async def test_work_of_a_sequence_is_unique_by_the_key_of_that(lash: Lash) -> None:
    """With two partitions both keys would ask for a place of their own."""

    @lash.task(recovery="rerunnable", name="move", key="account", sequence=True, after_loss="halt")
    def move(account: str, amount: int) -> None: ...

    same = move.options(unique=Unique(by="account"))
    first = await same.submit("ada", 1)
    assert first.id.startswith("ada::p")
    assert (await same.submit("ada", 2)).id == first.id
    for amount in range(9):  # also those whose digest lies in that partition by chance
        with pytest.raises(SettingsError, match=r"in a sequence to be its key there, 'ada', got .* the same argument"):
            await move.options(unique=Unique(by="amount")).submit("ada", amount)


async def test_a_key_may_be_given(lash: Lash) -> None:
    """Whatever the arguments are; one that cannot stand in an id has a digest for its route."""

    @lash.task(recovery="rerunnable", name="index")
    def index(customer: str) -> None: ...

    nightly = index.options(unique=Unique(key="every night ☾"))

    first = await nightly.submit("ada")
    assert (await nightly.submit("bob")).id == first.id
    assert first.id.isascii()


async def test_a_unique_that_names_no_parameter_is_refused_where_it_is_written(lash: Lash) -> None:
    """With the parameters that there are."""
    with pytest.raises(SettingsError, match="by to name parameters of task index, which has customer, got 'tenant'"):

        @lash.task(recovery="rerunnable", name="index", unique=Unique(by="tenant"))
        def index(customer: str) -> None: ...

    @lash.task(recovery="rerunnable", name="other")
    def other(customer: str, page: int = 0) -> None: ...

    with pytest.raises(SettingsError, match="which has customer, page, got 'tenant'"):
        other.options(unique=Unique(by=("customer", "tenant")))
    for by in (3, [], [3], "no name"):
        with pytest.raises(SettingsError, match="expected by to be the name of a parameter, or several"):
            Unique(by=by)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="unique to be a Unique"):
        other.options(unique="customer")  # type: ignore[arg-type]


async def test_the_first_submit_to_a_declared_queue_stores_its_bound(lash: Lash, client: Any, namespace: str) -> None:
    """And is refused at once if it is full; another Lash is bound by it too."""

    @lash.task(recovery="rerunnable", name="load", queue="imports")
    def load(file: str) -> None: ...

    lash.queue("imports", most_waiting=2)
    for process_id in ("0", "4"):  # one in each of the two partitions
        await load.options(process_id=process_id).submit("a")

    with pytest.raises(QueueFull, match="'imports' is full: 1 of at most 1 processes wait there in this partition"):
        await load.submit_many([("b",)] * 3)
    async with Lash(client, namespace, 2) as other:
        with pytest.raises(QueueFull):
            await other.task(recovery="rerunnable", name="more", queue="imports")(lambda: None).submit()
    (stands,) = await lash.registry.bounds()
    assert (stands.bound.most_waiting, stands.waiting) == (2, 2)


async def test_opening_stores_the_bounds_of_declared_queues(lash: Lash) -> None:
    """As a pool does at its start."""
    lash.queue("imports", most_waiting=20)
    await lash.open()
    assert [each.bound.queue for each in await lash.registry.bounds()] == ["imports"]

    with pytest.raises(SettingsError, match="expected one bound of queue 'imports', got 20"):
        lash.queue("imports", most_waiting=30)
    lash.queue("imports", most_waiting=30, revision=2)


async def test_a_program_pauses_and_resumes_by_task_or_by_queue(lash: Lash) -> None:
    """With or without an event loop."""

    @lash.task(recovery="rerunnable", name="send")
    def send() -> None: ...

    paused = await lash.pause(task=send, by="ada", reason="the provider is down")
    assert (paused.task, paused.request.requested_by) == ("send", "ada")
    await asyncio.to_thread(lash.blocking.pause, queue="mail")
    assert [each.what for each in await lash.pauses()] == ["queue 'mail'", "task 'send'"]

    await asyncio.to_thread(lash.blocking.resume, task="send")
    await lash.resume(queue="mail")
    assert await asyncio.to_thread(lash.blocking.pauses) == []

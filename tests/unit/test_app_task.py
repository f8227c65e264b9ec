"""``@lash.task``: what it refuses at import, and what it makes of a function."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import fakeredis
import pytest

from lash_redis.app.lash import Lash
from lash_redis.core.errors import PayloadError, SettingsError
from lash_redis.core.model import RecoveryDisposition
from lash_redis.core.outcomes import Success
from lash_redis.tasks.catalogue import Catalogue
from lash_redis.worker.worker import Worker

NO_SERVER = "unix:///nowhere/s"  # any call to the server would fail


@pytest.fixture
def lash() -> Lash:
    """Return a Lash without a server."""
    return Lash(NO_SERVER)


def charge(order_id: str, amount: int = 1) -> str:
    """Charge an order."""
    return f"{order_id}: {amount}"


def refund(order_id: str) -> None:
    """Pay an order back."""


def test_a_missing_recovery_is_an_error_at_import(lash: Lash) -> None:
    """There is no default. The error lists the choices."""
    with pytest.raises(SettingsError, match=r"(?s)task charge.*there is no default.*rerunnable.*owner_bound"):
        lash.task()(charge)  # type: ignore[call-overload]


def test_the_bare_decorator_is_the_same_error(lash: Lash) -> None:
    """``@lash.task`` without parentheses declares no recovery either."""
    with pytest.raises(SettingsError, match=r"(?s)task charge.*there is no default.*rerunnable.*owner_bound"):
        lash.task(charge)  # type: ignore[call-overload]


def test_a_recovery_by_position_is_refused(lash: Lash) -> None:
    """The error shows the right form."""
    with pytest.raises(SettingsError, match=r"expected @lash\.task\(recovery=.*got @lash\.task\('rerunnable'\)"):
        lash.task("rerunnable")  # type: ignore[call-overload]


@pytest.mark.parametrize("recovery", ["retry", "externally_owned", None])
def test_another_recovery_is_refused(lash: Lash, recovery: Any) -> None:
    """The work of a function is rerunnable or owner-bound."""
    with pytest.raises(SettingsError, match="task charge"):
        lash.task(recovery=recovery)(charge)


def test_nothing_is_left_of_a_refused_task(lash: Lash) -> None:
    """A program that catches the error has no such task."""
    with pytest.raises(SettingsError):
        lash.task()(charge)  # type: ignore[call-overload]

    assert lash.tasks == ()


def test_calling_a_task_calls_the_function(lash: Lash) -> None:
    """A test of user code needs no server and no worker."""
    task = lash.task(recovery="owner_bound")(charge)

    assert task("o-17", amount=3) == "o-17: 3"


async def test_calling_an_async_task_gives_its_coroutine(lash: Lash) -> None:
    """A caller awaits it as before."""

    @lash.task(recovery="rerunnable")
    async def double(number: int) -> int:
        return 2 * number

    assert await double(4) == 8


def test_a_task_looks_like_its_function(lash: Lash) -> None:
    """Documentation tools and debuggers find the function."""
    task = lash.task(recovery="owner_bound")(charge)

    assert inspect.unwrap(task) is charge
    assert task.__doc__ == "Charge an order."
    assert inspect.signature(task) == inspect.signature(charge)


def test_a_task_carries_its_declaration(lash: Lash) -> None:
    """A worker reads the declaration."""
    task = lash.task(recovery="owner_bound", name="charge", queue="money", loss_limit=2)(charge)

    assert task.name == task.declaration.name == "charge"
    assert task.declaration.disposition is RecoveryDisposition.OWNER_BOUND
    assert (task.declaration.options.queue, task.declaration.options.loss_limit) == ("money", 2)
    assert Catalogue(lash.tasks).find("charge") is task.declaration


def test_tasks_are_listed_in_the_order_of_their_declaration(lash: Lash) -> None:
    """``options()`` adds no task to the list."""
    tasks = [lash.task(recovery="rerunnable", name=name)(lambda: None) for name in ("b", "c", "a")]
    tasks[0].options(queue="hurry")

    assert [task.name for task in lash.tasks] == ["b", "c", "a"]


def test_two_functions_of_one_name_are_refused(lash: Lash) -> None:
    """A worker could not know which function to call. The error has the location of both."""
    lash.task(recovery="rerunnable", name="charge")(charge)

    with pytest.raises(SettingsError, match=r"two tasks are named 'charge', at .*\.py:\d+ and at .*\.py:\d+"):
        lash.task(recovery="rerunnable", name="charge")(refund)


def test_a_function_defined_again_replaces_the_first(lash: Lash) -> None:
    """A reloaded module and a notebook cell that runs again do this."""

    def define(result: int) -> Any:
        @lash.task(recovery="rerunnable")
        def work() -> int:
            return result

        return work

    define(1)
    again = define(2)

    assert lash.tasks == (again,)


def anonymous(function: Any) -> Any:
    """Return a wrapper that does not say which function it wraps."""

    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


def test_the_wrappers_of_one_decorator_do_not_replace_each_other(lash: Lash) -> None:
    """Else the arguments of one task would go to the function of another. The error names ``functools.wraps``."""
    first = lash.task(recovery="rerunnable")(anonymous(charge))

    with pytest.raises(SettingsError, match=r"anonymous\.<locals>\.wrapper.*@functools\.wraps\(function\).*name="):
        lash.task(recovery="rerunnable")(anonymous(refund))
    with pytest.raises(SettingsError, match=r"@functools\.wraps"):
        Catalogue([first, Lash(NO_SERVER).task(recovery="rerunnable")(anonymous(refund))])

    again = lash.task(recovery="rerunnable")(anonymous(charge))  # a cell that runs again
    assert lash.tasks == (again,)


def test_a_bad_process_id_is_refused(lash: Lash) -> None:
    """The error comes from ``options()``, not from the submit."""
    task = lash.task(recovery="rerunnable")(charge)

    with pytest.raises(SettingsError, match="process_id"):
        task.options(process_id="")


def test_options_add_up(lash: Lash) -> None:
    """Options that are not given stay as they were."""
    task = lash.task(recovery="rerunnable", queue="money")(charge)

    registration = task.options(process_id="o-17").options(loss_limit=2).registration(("o-17",), {})

    assert (registration.id, registration.queue, registration.loss_limit) == ("o-17", "money", 2)


async def test_a_wrong_argument_is_refused_before_anything_is_sent(lash: Lash) -> None:
    """The async and the blocking submit both name the argument."""
    task = lash.task(recovery="rerunnable")(charge)

    with pytest.raises(PayloadError, match=r"argument amount: .*`int`"):
        await task.submit("o-17", amount="much")  # type: ignore[arg-type]
    with pytest.raises(PayloadError, match=r"argument amount: .*`int`"):
        task.blocking.submit("o-17", amount="much")  # type: ignore[arg-type]


def test_no_random_id_looks_like_an_option_of_a_command(lash: Lash) -> None:
    """It begins with a letter, which 128 random bits follow."""
    task = lash.task(recovery="rerunnable")(charge)

    ids = [task.registration(("o-17",), {}).id for _ in range(500)]

    assert len(set(ids)) == 500
    assert all(each[0].isalpha() and len(each) == 23 for each in ids)


async def test_a_parameter_may_have_any_name() -> None:
    """Names that our own methods use are the user's too: in a call, in both submits, and in the run."""
    lash = Lash(fakeredis.FakeAsyncRedis())

    @lash.task(recovery="rerunnable", name="named")
    def named(self: int, args: int, kwargs: int, function: int, written: int, **others: int) -> list[int]:
        return [self, args, kwargs, function, written, *others.values()]

    given = {"self": 1, "args": 2, "kwargs": 3, "function": 4, "written": 5, "call": 6, "task": 7}
    assert named(**given) == [1, 2, 3, 4, 5, 6, 7]
    async with lash:
        submitted = await named.submit(**given)
        from_a_thread = await asyncio.to_thread(lambda: named.blocking.submit(**given))
        await Worker(lash.registry, tasks=lash.tasks).drive_pending()
        for process in (submitted, from_a_thread):
            assert await lash.process(process.id).outcome(timeout=60) == Success([1, 2, 3, 4, 5, 6, 7])

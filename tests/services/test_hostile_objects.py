"""Objects of user code that raise when they are looked at: the run ends all the same (rule 11.7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from typing import Any

import pytest

from lash_redis.core.outcomes import Failure
from lash_redis.worker.ending import How
from tests.services.runs import BOTH, Runs


class RaisesOnEverything(type):
    """A metaclass that answers for every attribute of its classes."""

    def __getattribute__(cls, name: str) -> Any:
        raise SystemExit(f"asked for {name}")


class BadText(str):
    """A text whose own methods raise."""

    __slots__ = ()

    def __str__(self) -> str:
        raise ZeroDivisionError

    def __format__(self, _format: str) -> str:
        raise ZeroDivisionError

    def __eq__(self, _other: object) -> bool:
        raise ZeroDivisionError

    def __hash__(self) -> int:
        raise ZeroDivisionError

    def encode(self, *_how: Any) -> bytes:
        """Raise."""
        raise ZeroDivisionError


def raising(*_: object) -> Any:
    """Raise what no ``except Exception`` catches."""
    raise SystemExit(1)


def with_attributes(**attributes: Any) -> BaseException:
    """Return an exception of a class with these attributes."""
    error: BaseException = type("Odd", (Exception,), attributes)()
    return error


def with_hostile_metaclass() -> BaseException:
    """Return an exception whose class cannot be asked for anything."""

    class Odd(Exception, metaclass=RaisesOnEverything):
        pass

    return Odd()


def with_itself_as_cause() -> BaseException:
    """Return an exception that is its own cause and context."""
    error = ValueError("again")
    error.__cause__ = error.__context__ = error
    return error


def with_bad_note() -> BaseException:
    """Return an exception whose note has no text."""
    error = ValueError("noted")
    error.__notes__ = [BadText("note"), 3]  # type: ignore[list-item]
    return error


ERRORS: dict[str, Callable[[], BaseException]] = {
    "module": lambda: with_attributes(__module__=property(raising)),
    "module of another type": lambda: with_attributes(__module__=BadText("somewhere")),
    "name": lambda: with_attributes(__qualname__=BadText("Odd")),
    "metaclass": with_hostile_metaclass,
    "text": lambda: with_attributes(__str__=raising, __repr__=raising),
    "text of another type": lambda: with_attributes(__str__=lambda _self: BadText("odd")),
    "class": lambda: with_attributes(__class__=property(raising)),
    "cause": lambda: with_attributes(__cause__=property(raising), __context__=property(raising)),
    "traceback": lambda: with_attributes(__traceback__=property(raising)),
    "circle": with_itself_as_cause,
    "notes": with_bad_note,
}


@BOTH
@pytest.mark.parametrize("what", ERRORS)
async def test_whatever_an_exception_is_its_run_ends(kind: int, what: str) -> None:
    """As a failure, with a code and as much text as can be had."""
    error = ERRORS[what]()

    async def in_async() -> None:
        raise error

    def in_plain() -> None:
        raise error

    runs = Runs([in_async, in_plain][kind])
    runs.begin()
    end = await runs.end()
    assert end.how is How.RAISED
    assert isinstance(end.result, Failure)
    assert all(type(text) is str for text in (end.result.code, end.result.message, end.result.traceback))
    assert end.result.code.endswith(("Odd", "ValueError"))


@dataclass
class BadFields:
    """An object that cannot be read."""

    number: int

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(name)


class BadClass:
    """An object that does not say what it is."""

    @property
    def __class__(self) -> Any:
        raise SystemExit(1)

    @__class__.setter
    def __class__(self, _kind: Any) -> None:
        raise SystemExit(1)


class BadKey:
    """A key whose text cannot be made."""

    def __repr__(self) -> str:
        raise SystemExit(1)


RESULTS: dict[str, Callable[[], Any]] = {
    "fields": lambda: BadFields(1),
    "class": BadClass,
    "key": lambda: {BadKey(): 1},
    "wrong type": object,
    "metaclass": with_hostile_metaclass,
}


@BOTH
@pytest.mark.parametrize("what", RESULTS)
async def test_a_result_whose_class_raises_ends_its_run(kind: int, what: str) -> None:
    """Work is done whose result nobody can carry: one code, whatever the reason."""

    async def in_async() -> Any:
        return RESULTS[what]()

    def in_plain() -> Any:
        return RESULTS[what]()

    runs = Runs([in_async, in_plain][kind])
    runs.begin()
    result = await runs.result()
    assert isinstance(result, Failure)
    assert result.code == "lash_redis.PayloadError"


async def test_an_argument_whose_class_raises_fails_its_run_alone() -> None:
    """A class of the user is rebuilt before its function is called, and may raise anything."""

    class Odd(Exception, metaclass=RaisesOnEverything):
        pass

    def refuse(_self: Any) -> None:
        raise Odd

    order = make_dataclass("Order", [("number", int)], namespace={"__post_init__": refuse})

    async def work(order: Any) -> None:
        raise AssertionError("must not run")

    work.__annotations__["order"] = order
    runs = Runs(work)
    runs.begin({"number": 1})
    result = await runs.result()
    assert isinstance(result, Failure)
    assert result.code == "undecodable"

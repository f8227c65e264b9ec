"""Calls that another release of a task wrote, bound by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lash_redis.tasks.arguments import Undecodable, bind, unbind
from lash_redis.tasks.bare_parameters import BareParameters, decode_parameters
from lash_redis.tasks.declaration import Declaration, declare
from lash_redis.tasks.other_signatures import cannot_bind

Function = Callable[..., Any]


def declared(function: Function) -> Declaration:
    """Return the declaration of a function."""
    return declare(function, recovery="rerunnable", name="pay")


def parameters_of(function: Function) -> BareParameters:
    """Return the parameters of a function as another release finds them in the registry."""
    signature = declared(function).signature
    return decode_parameters(signature.named[signature.digest])


def run_by_other(theirs: Function, ours: Function, *args: Any, **kwargs: Any) -> Any:
    """Submit a call of one release, and run it on the other."""
    stored = bind(declared(theirs), args, kwargs)
    args_here, kwargs_here = unbind(declared(ours), stored.args, stored.kwargs, parameters_of(theirs))
    return ours(*args_here, **kwargs_here)


def shown(**arguments: Any) -> dict[str, Any]:
    """Return what a function was called with."""
    return arguments


@pytest.mark.parametrize(
    ("theirs", "ours", "args", "kwargs", "expected"),
    [
        (lambda src, to: 0, lambda to, src: shown(src=src, to=to), ("a", "b"), {}, shown(src="a", to="b")),
        (lambda a, b: 0, lambda *, a, b: shown(a=a, b=b), (1, 2), {}, shown(a=1, b=2)),
        (lambda *, a, b: 0, lambda b, a: shown(a=a, b=b), (), shown(a=1, b=2), shown(a=1, b=2)),
        (lambda a, c: 0, lambda a, b=5, c=6: shown(a=a, b=b, c=c), (1, 2), {}, shown(a=1, b=5, c=2)),
        (lambda a, b=5: 0, lambda a: shown(a=a), (1,), {}, shown(a=1)),
        (lambda a, b=5: 0, lambda a, c=6: shown(a=a, c=c), (1,), {}, shown(a=1, c=6)),
        (lambda a, b: 0, lambda a, **more: shown(a=a, **more), (1, 2), {}, shown(a=1, b=2)),
        (lambda **fields: 0, lambda a, **more: shown(a=a, **more), (), shown(a=1, b=2), shown(a=1, b=2)),
        (lambda a, /, b: 0, lambda b, a: shown(a=a, b=b), (1, 2), {}, shown(a=1, b=2)),
        (lambda a, b: 0, lambda a, /, c=3, b=4: shown(a=a, b=b, c=c), (1, 2), {}, shown(a=1, b=2, c=3)),
        (lambda a, *rest: 0, lambda a, *rest: shown(a=a, rest=rest), (1, 2, 3), {}, shown(a=1, rest=(2, 3))),
        (lambda a, *rest: 0, lambda b=2, a=3: shown(a=a, b=b), (1,), {}, shown(a=1, b=2)),
        (lambda a, /, **more: 0, lambda a, /, **more: shown(a_=a, **more), (1,), shown(a=2), shown(a_=1, a=2)),
    ],
    ids=["reordered", "by name now", "by position now", "one in the middle", "removed, not passed",
         "renamed, not passed", "into **kwargs", "out of **kwargs", "no longer by position only",
         "by position only now", "more for *args", "no *args, none passed", "a name twice"],
)  # fmt: skip
def test_a_call_of_another_signature_is_bound_by_name(
    theirs: Function, ours: Function, args: tuple[Any, ...], kwargs: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Each argument arrives under the name that it had where it was written."""
    assert run_by_other(theirs, ours, *args, **kwargs) == expected
    assert cannot_bind(declared(ours).signature, parameters_of(theirs)) == ""


@pytest.mark.parametrize(
    ("theirs", "ours", "args", "kwargs", "why"),
    [
        (lambda a, b: 0, lambda b, a, /: 0, (1, 2), {}, r"by position are \(a, b\) there and \(b, a\) here"),
        (lambda *, a: 0, lambda a=1, /, **more: 0, (), shown(a=2), "argument a is taken by position only"),
        (lambda b, a: 0, lambda b, c=1, a=2, /, **more: 0, (1, 2), {}, r"\(b, a\) there and \(b, c\) here"),
        (lambda a, *rest: 0, lambda a, b, *rest: 0, (1, 2, 3), {}, r"\(a\) there and \(a, b\) here"),
        (lambda a, *rest: 0, lambda a: 0, (1, 2), {}, "expected at most 1 arguments by position, got 2"),
        (lambda a, b=5: 0, lambda a: 0, (1, 2), {}, "unexpected argument b"),
        (lambda **fields: 0, lambda a: 0, (), {}, "argument a is missing"),
        (lambda a, /, **more: 0, lambda *, a, **more: 0, (1,), shown(a=2), "argument a is given twice"),
    ],
    ids=["swapped", "would be swallowed", "one in the middle", "rest would move", "no *args", "passed, and removed",
         "missing", "a name twice"],
)  # fmt: skip
def test_a_call_that_would_be_bound_otherwise_than_meant_is_refused(
    theirs: Function, ours: Function, args: tuple[Any, ...], kwargs: dict[str, Any], why: str
) -> None:
    """A swapped argument is worse than one that waits."""
    with pytest.raises(Undecodable, match=why):
        run_by_other(theirs, ours, *args, **kwargs)


@dataclass
class Item:
    """A part, as it was."""

    name: str


@dataclass
class PricedItem:
    """A part with one field more."""

    name: str
    price: int = 1


class Pair(msgspec.Struct, array_like=True):
    """An array, as it was."""

    left: int


class Triple(msgspec.Struct, array_like=True):
    """An array of more."""

    left: int
    right: int = 2


@pytest.mark.parametrize(
    ("theirs", "ours", "argument", "expected"),
    [
        (Item, PricedItem, Item("a"), PricedItem("a")),
        (PricedItem, Item, PricedItem("a"), r"argument x\.price: nothing here takes it, and it would be lost"),
        (dict[str, list[PricedItem]], dict[str, list[Item]], {"k": [PricedItem("a")]}, r"argument x\.k\[0\]\.price: "),
        (Pair, Triple, Pair(1), Triple(1)),
        (Triple, Pair, Triple(1, 5), r"argument x\[1\]: nothing here"),
        (list[int], set[int], [3, 1], {1, 3}),
        (list[int], set[int], [3, 3], r"argument x\[1\]: nothing here"),
        (date, date | None, date(2026, 7, 1), date(2026, 7, 1)),
    ],
)
def test_nothing_of_what_another_release_wrote_is_left_out(
    theirs: Any, ours: Any, argument: Any, expected: Any
) -> None:
    """A decoder passes over fields that a class does not have; here they may be a currency."""

    def there(x: Any) -> Any:
        return x

    def here(x: Any) -> Any:
        return x

    there.__annotations__["x"], here.__annotations__["x"] = theirs, ours
    if isinstance(expected, str):
        with pytest.raises(Undecodable, match=expected):
            run_by_other(there, here, argument)
    else:
        assert run_by_other(there, here, argument) == expected


@pytest.mark.parametrize(
    ("theirs", "ours", "why"),
    [
        (lambda a: 0, lambda a, b: 0, "argument b is missing"),
        (lambda a: 0, lambda a, *, b: 0, "argument b is missing"),
        (lambda a, b: 0, lambda a: 0, "unexpected argument b"),
        (lambda a, *, b: 0, lambda a: 0, "unexpected argument b"),
        (lambda a: 0, lambda b: 0, "argument b is missing"),
        (lambda **fields: 0, lambda a, /: 0, "argument a is missing"),
        (lambda *rest: 0, lambda a: 0, "argument a is missing"),
    ],
    ids=["added", "added by name", "removed", "removed by name", "renamed", "extras by position", "rest"],
)
def test_signatures_of_which_no_call_can_be_bound_are_told_apart(theirs: Function, ours: Function, why: str) -> None:
    """Their lanes are never claimed from."""
    assert cannot_bind(declared(ours).signature, parameters_of(theirs)) == why


@st.composite
def functions(draw: st.DrawFn) -> Function:
    """Return a function with any signature of up to four parameters besides ``*rest`` and ``**extras``."""
    kinds = st.sampled_from(
        [inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY]
    )
    names = draw(st.lists(st.sampled_from("abcd"), unique=True))
    drawn = [(draw(kinds), draw(st.booleans()), name) for name in names]
    parameters = [
        inspect.Parameter(name, kind, default="default" if has_default else inspect.Parameter.empty)
        for kind, has_default, name in sorted(
            drawn, key=lambda each: (each[0], each[1] and each[0] is not inspect.Parameter.KEYWORD_ONLY)
        )
    ]
    defaults = [
        each.default is not inspect.Parameter.empty for each in parameters if each.kind < inspect.Parameter.KEYWORD_ONLY
    ]
    if defaults != sorted(defaults):
        parameters = [each.replace(default=inspect.Parameter.empty) for each in parameters]
    by_position = [each for each in parameters if each.kind < inspect.Parameter.KEYWORD_ONLY]
    by_name = [each for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    rest = [inspect.Parameter("rest", inspect.Parameter.VAR_POSITIONAL)] if draw(st.booleans()) else []
    extras = [inspect.Parameter("extras", inspect.Parameter.VAR_KEYWORD)] if draw(st.booleans()) else []

    def function(*args: Any, **kwargs: Any) -> None:
        """Do nothing."""

    function.__signature__ = inspect.Signature([*by_position, *rest, *by_name, *extras])  # type: ignore[attr-defined]
    return function


@st.composite
def calls(draw: st.DrawFn, function: Function) -> tuple[list[str], dict[str, str]]:
    """Return a call of a function in which each argument is the name of what it is meant for."""
    args: list[str] = []
    kwargs: dict[str, str] = {}
    is_by_position = True
    for each in inspect.signature(function).parameters.values():
        is_passed = each.default is inspect.Parameter.empty or draw(st.booleans())
        if each.kind is inspect.Parameter.VAR_POSITIONAL and is_by_position:
            args += ["rest"] * draw(st.integers(0, 2))
        elif each.kind is inspect.Parameter.VAR_KEYWORD:
            taken = inspect.signature(function).parameters
            kwargs |= {name: name for name in draw(st.sets(st.sampled_from("abcdxy"))) if name not in taken}
        elif each.kind is inspect.Parameter.POSITIONAL_ONLY:
            is_by_position = is_by_position and is_passed
            args += [each.name] * is_by_position
        elif each.kind in {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY} and is_passed:
            is_by_position = (
                is_by_position and each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and draw(st.booleans())
            )
            if is_by_position:
                args.append(each.name)
            else:
                kwargs[each.name] = each.name
        elif each.kind is not inspect.Parameter.VAR_POSITIONAL:
            is_by_position = False
    return args, kwargs


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_no_argument_ever_arrives_under_another_name(data: st.DataObject) -> None:
    """And none is lost: a call of any signature is bound to any other as it was meant, or refused."""
    theirs, ours = data.draw(functions(), "theirs"), data.draw(functions(), "ours")
    args, kwargs = data.draw(calls(theirs), "call")
    stored = bind(declared(theirs), args, kwargs)
    try:
        args_here, kwargs_here = unbind(declared(ours), stored.args, stored.kwargs, parameters_of(theirs))
    except Undecodable:
        return
    assert cannot_bind(declared(ours).signature, parameters_of(theirs)) == ""
    arguments = inspect.signature(ours).bind(*args_here, **kwargs_here).arguments
    extras = arguments.pop("extras", {})
    rest = arguments.pop("rest", ())
    assert arguments | extras == {name: name for name in [*args, *kwargs] if name != "rest"}
    assert list(rest) == [value for value in args if value == "rest"]

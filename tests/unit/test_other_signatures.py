"""Calls that another release of a task wrote, bound by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

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

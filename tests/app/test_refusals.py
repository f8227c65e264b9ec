"""What the doors of a program refuse: in our words, before anything is sent, and never as a raw TypeError."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import fakeredis
import pytest

from lash_redis import ExternalOwner, Lash, LashError, Success, Worker


@pytest.fixture
def lash() -> Lash:
    """Return a Lash with one task."""
    lash = Lash(fakeredis.FakeAsyncRedis())

    @lash.task(recovery="owner_bound", name="charge")
    def charge(order_id: str) -> None: ...

    return lash


def wrong(value: Any) -> Any:
    """Return a value of another type than is declared, past the type checker."""
    return value


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda lash: lash.expect("a", metadata=wrong(5)), "expected metadata to be a dict, got 5"),
        (lambda lash: lash.expect("a", metadata=wrong([1])), "expected metadata to be a dict, got [1]"),
        (lambda lash: lash.expect("a", grantee=wrong(7)), "expected grantee to be text of 1 to 256 bytes, got 7"),
        (lambda lash: lash.process("a").request_cancel(by=""), "expected by (requested_by) to be text of 1 to 256"),
        (lambda lash: lash.expect("a", grantee="\ud800"), "expected grantee to be text that UTF-8 can hold"),
        (lambda lash: lash.expect("a", metadata={"x": {1}}), "metadata['x']: expected a plain value (None, bool, int"),
        (lambda lash: lash.expect("é"), "expected process id to be 1 to 256 characters of [A-Za-z0-9._:/@+-], got 'é'"),
        (lambda lash: lash.tasks[0].submit_many(wrong(5)), "expected calls to be an iterable of tuples of arguments"),
        (lambda lash: lash.tasks[0].submit_many(wrong("ab")), "expected calls to be an iterable of tuples of argum"),
        (lambda lash: lash.registry.register_many(wrong(5)), "expected registrations to be an iterable of ProcessReg"),
        (
            lambda lash: Worker(lash.registry, tasks=wrong(5)),
            "expected tasks to be an iterable of what @lash.task made",
        ),
        (lambda lash: Worker(lash.registry, tasks=lash.tasks[0]), "expected tasks to be an iterable of what @lash.t"),
        (lambda lash: lash.complete_external("a", Success(), wrong("desk")), "expected authority to be an ExternalOw"),
        (lambda lash: lash.complete_external(wrong(5), Success(), ExternalOwner("d")), "expected process id to be 1"),
        (lambda lash: lash.process("a").request_cancel(by="x", reason="y" * 5000), "text of at most 4096 bytes"),
    ],
)
async def test_a_wrong_value_is_named_with_what_is_allowed(lash: Lash, call: Callable[[Lash], Any], says: str) -> None:
    """And with the value that came."""

    async def called() -> None:
        made = call(lash)
        if inspect.isawaitable(made):
            await made

    with pytest.raises(LashError) as refused:
        await called()
    assert says in str(refused.value)
    assert "annotate" not in str(refused.value)
    await lash.aclose()

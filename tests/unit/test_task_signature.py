"""What a function can be called with, and the digests of a rolling deploy."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

import msgspec
import pytest

from lash_redis.core.errors import SettingsError
from lash_redis.tasks.signature import Signature, signature_of

if TYPE_CHECKING:
    from decimal import Decimal


def signature(function: Callable[..., Any]) -> Signature:
    """Read a signature as a declaration does."""
    return signature_of(function, "shop.charge")


@dataclass
class Attachment:
    """Hold what no payload can."""

    file: Path


class Left(msgspec.Struct):
    """Look like ``Right`` in a payload."""

    n: int


class Right(msgspec.Struct):
    """Look like ``Left`` in a payload."""

    n: int


class Tree(msgspec.Struct):
    """Hold others of its kind."""

    children: list[Tree]


def test_a_digest_is_the_same_for_ever() -> None:
    """Rows are filed under it: a change would leave them behind."""
    order_id = b"\x93\xa8order_id\xb5POSITIONAL_OR_KEYWORD\xc2"  # a name, a kind, and that it has no default
    amount = b"\x93\xa6amount\xacKEYWORD_ONLY\xc3"
    written_by_hand = hashlib.sha256(b"\x92" + order_id + amount).hexdigest()[:16]
    assert signature(lambda order_id, *, amount=1: (order_id, amount)).digest == written_by_hand == "e052c30d36ce4ce4"


def test_a_digest_is_sixteen_hex_digits() -> None:
    """It stands in the name of a lane."""
    assert re.fullmatch("[0-9a-f]{16}", signature(lambda a: a).digest)


@pytest.mark.parametrize(
    "other",
    [
        lambda b: b,
        lambda a=1: a,
        lambda *, a: a,
        lambda a, /: a,
        lambda a, b: (a, b),
        lambda *a: a,
        lambda **a: a,
    ],
    ids=["name", "default", "by name only", "by position only", "one more", "args", "kwargs"],
)
def test_a_digest_tells_calls_apart_that_do_not_fit(other: Callable[..., Any]) -> None:
    """A worker of the other version would call it wrongly."""
    assert signature(other).digest != signature(lambda a: a).digest


def test_a_digest_knows_no_types_and_no_values_of_defaults() -> None:
    """Types are checked when an argument is decoded; a default belongs to whoever runs the task."""

    def before(a: int, b: int = 1) -> int:
        return a + b

    def after(a: str, b: str = "2") -> str:
        return a + b

    assert signature(before).digest == signature(after).digest


def test_the_order_of_parameters_counts() -> None:
    """Arguments by position would be swapped."""
    assert signature(lambda a, b: (a, b)).digest != signature(lambda b, a: (a, b)).digest


def test_a_worker_serves_older_signatures_without_its_trailing_defaults() -> None:
    """A parameter added with a default leaves what is queued runnable."""
    now = signature(lambda a, b=1, *, c=2: (a, b, c))
    assert now.served == (
        now.digest,
        signature(lambda a, b=1: (a, b)).digest,
        signature(lambda a: a).digest,
        "",
    )


def test_a_worker_does_not_serve_a_newer_signature() -> None:
    """It would not know what to do with the added argument."""
    assert signature(lambda a, b=1: (a, b)).digest not in signature(lambda a: a).served


def test_what_was_registered_without_the_function_is_served_by_all() -> None:
    """Its digest is empty."""
    assert signature(lambda: None).served[-1] == ""


def test_an_annotation_that_is_not_there_at_run_time_is_named() -> None:
    """The usual cause is an import for the type checker only."""

    def charge(order_id: str, amount: Decimal) -> None: ...

    with pytest.raises(SettingsError, match=r"task shop\.charge: the annotation 'Decimal' of 'amount'.*TYPE_CHECKING"):
        signature(charge)


def test_an_unresolved_return_annotation_is_named() -> None:
    """Results are converted by it."""

    def charge() -> Decimal:
        raise NotImplementedError

    with pytest.raises(SettingsError, match="'Decimal' of 'return'"):
        signature(charge)


def send_path(target: Path) -> None:
    """Ask for what no payload can hold."""


def send_attachment(target: list[Attachment]) -> None:
    """Ask for it further inside."""


def send_either(target: Left | Right) -> None:
    """Ask for what a payload cannot tell apart."""


def send_two_texts(target: str | UUID) -> None:
    """Ask for two types of the same form."""


def send_callable(target: Callable[[], int]) -> None:
    """Ask for code."""


@pytest.mark.parametrize("function", [send_path, send_attachment, send_either, send_two_texts, send_callable])
def test_a_type_that_no_payload_can_carry_is_refused_at_import(function: Callable[..., Any]) -> None:
    """Else every submit would fail, or every run."""
    with pytest.raises(SettingsError, match=r"task shop\.charge: parameter target: .* cannot be carried"):
        signature(function)


def test_a_result_that_no_payload_can_carry_is_refused_at_import() -> None:
    """Else each run would fail after its work is done."""

    def charge() -> Iterator[int]:
        return iter([1])

    with pytest.raises(SettingsError, match=r"the result: .*Iterator"):
        signature(charge)


def test_a_type_that_holds_itself_is_fine() -> None:
    """Looking for what cannot be carried comes to an end."""

    def plant(tree: Tree) -> Tree:
        return tree

    assert signature(plant).parameters[0].name == "tree"


def test_a_task_may_never_return() -> None:
    """Its result is what a task without annotation returns."""

    def run() -> NoReturn:
        raise NotImplementedError

    assert signature(run).returns.from_stored("anything") == "anything"


def test_the_text_shows_no_default() -> None:
    """A default may be a secret, and this text stands in errors."""
    assert signature(lambda a, /, b="s3cret", *rest, c, **more: None).text == "(a, /, b=..., *rest, c, **more)"

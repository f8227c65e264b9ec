"""Signatures of functions, and their digests during a rolling deploy."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Union
from uuid import UUID

import msgspec
import pytest

from lash_redis.core.errors import SettingsError
from lash_redis.tasks.signature import Signature, signature_of

if TYPE_CHECKING:
    from decimal import Decimal


def signature(function: Callable[..., Any]) -> Signature:
    """Return the signature of a function as a declaration reads it."""
    return signature_of(function, "shop.charge")


@dataclass
class Attachment:
    """A class with a field that no payload can hold."""

    part: Fraction


class Left(msgspec.Struct):
    """A struct that looks like ``Right`` in a payload."""

    n: int


class Right(msgspec.Struct):
    """A struct that looks like ``Left`` in a payload."""

    n: int


class Tree(msgspec.Struct):
    """A struct that contains others of its type."""

    children: list[Tree]


def test_a_digest_is_the_same_for_ever() -> None:
    """The lanes of queued rows contain it. A change would leave those rows behind."""
    # A name, a kind, that it has no default, and the text of its type.
    order_id = b"\x94\xa8order_id\xb5POSITIONAL_OR_KEYWORD\xc2\xa3any"
    amount = b"\x94\xa6amount\xacKEYWORD_ONLY\xc3\xa3any"
    written_by_hand = hashlib.sha256(b"\x92" + order_id + amount).hexdigest()[:16]
    assert signature(lambda order_id, *, amount=1: (order_id, amount)).digest == written_by_hand == "79f016ebfe3e0c1d"


def test_a_digest_is_sixteen_hex_digits() -> None:
    """It is part of the name of a lane."""
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
def test_functions_that_need_different_calls_have_different_digests(other: Callable[..., Any]) -> None:
    """A worker of the other version would call the function wrongly."""
    assert signature(other).digest != signature(lambda a: a).digest


def test_another_type_makes_another_digest() -> None:
    """What one release submitted the other may not be able to decode. What a default is does not matter."""

    def before(a: int, b: int = 1) -> int:
        return a + b

    def after(a: str, b: int = 2) -> str:
        return f"{a}{b}"

    def respelled(a: Annotated[int, msgspec.Meta(title="a number")], b: Union[int] = 3) -> None:  # noqa: UP007
        """Do nothing."""

    assert signature(before).digest != signature(after).digest
    assert signature(before).digest == signature(respelled).digest


def test_the_order_of_parameters_counts() -> None:
    """In another order arguments by position would be swapped."""
    assert signature(lambda a, b: (a, b)).digest != signature(lambda b, a: (a, b)).digest


def test_a_worker_serves_older_signatures_without_its_trailing_defaults() -> None:
    """After a parameter with a default was added, queued rows can still run."""
    now = signature(lambda a, b=1, *, c=2: (a, b, c))
    assert now.served == (
        now.digest,
        signature(lambda a, b=1: (a, b)).digest,
        signature(lambda a: a).digest,
        "",
    )


def test_a_worker_does_not_serve_a_newer_signature() -> None:
    """It has no parameter for the added argument."""
    assert signature(lambda a, b=1: (a, b)).digest not in signature(lambda a: a).served


def test_rows_registered_without_the_function_are_served_by_all() -> None:
    """Their digest is empty."""
    assert signature(lambda: None).served[-1] == ""


def test_the_error_names_an_annotation_that_is_missing_at_run_time() -> None:
    """The usual cause is an import for the type checker only."""

    def charge(order_id: str, amount: Decimal) -> None: ...

    with pytest.raises(SettingsError, match=r"task shop\.charge: the annotation 'Decimal' of 'amount'.*TYPE_CHECKING"):
        signature(charge)


def test_the_error_names_an_unresolved_return_annotation() -> None:
    """The annotation converts results."""

    def charge() -> Decimal:
        raise NotImplementedError

    with pytest.raises(SettingsError, match="'Decimal' of 'return'"):
        signature(charge)


def send_fraction(target: Fraction) -> None:
    """Take a value that no payload can hold."""


def send_attachment(target: list[Attachment]) -> None:
    """Take such a value inside another."""


def send_either(target: Left | Right) -> None:
    """Take one of two types that look alike in a payload."""


def send_two_texts(target: str | UUID) -> None:
    """Take one of two types with the same plain form."""


def send_callable(target: Callable[[], int]) -> None:
    """Take a function."""


def send_files(target: dict[Path, int]) -> None:
    """Take keys that no payload can hold."""


@pytest.mark.parametrize(
    "function", [send_fraction, send_files, send_attachment, send_either, send_two_texts, send_callable]
)
def test_a_type_that_no_payload_can_carry_is_refused_at_import(function: Callable[..., Any]) -> None:
    """Otherwise every submit or every run would fail."""
    with pytest.raises(SettingsError, match=r"task shop\.charge: parameter target: .* cannot be carried"):
        signature(function)


def test_a_result_that_no_payload_can_carry_is_refused_at_import() -> None:
    """Otherwise each run would fail after its work is done."""

    def charge() -> Iterator[int]:
        return iter([1])

    with pytest.raises(SettingsError, match=r"the result: .*Iterator"):
        signature(charge)


def test_a_type_that_contains_itself_is_accepted() -> None:
    """The search for unsupported types ends."""

    def plant(tree: Tree) -> Tree:
        return tree

    assert signature(plant).parameters[0].name == "tree"


def test_a_task_may_never_return() -> None:
    """Its result is converted like that of a task without annotation."""

    def run() -> NoReturn:
        raise NotImplementedError

    assert signature(run).returns.from_stored("anything") == "anything"


def test_the_text_shows_no_default() -> None:
    """A default may be a secret, and this text is part of errors."""
    assert signature(lambda a, /, b="s3cret", *rest, c, **more: None).text == "(a, /, b=..., *rest, c, **more)"

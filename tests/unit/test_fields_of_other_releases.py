"""No field that another release wrote is passed over, however its class is made and wherever it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict

import msgspec
import pytest

from lash_redis.tasks.arguments import Undecodable
from tests.unit.test_other_signatures import run_by_other


@dataclass
class Pay:
    """A payment, as this release has it."""

    amount: int = 0


class PayDict(TypedDict):
    """The same as a dict."""

    amount: int


class PayPart(TypedDict, total=False):
    """A dict of which nothing is required."""

    amount: int


class PayPair(NamedTuple):
    """An array."""

    amount: int = 0


@dataclass
class WithCurrency:
    """A field more, with a default."""

    amount: int = 0
    currency: str = "EUR"


@dataclass
class Renamed:
    """The field has another name."""

    sum_of: int = 0


@dataclass
class WithRequired:
    """A field more that every call has."""

    amount: int
    currency: str


class CurrencyDict(TypedDict):
    """A field more that a call may have."""

    amount: int
    currency: NotRequired[str]


class RenamedDict(TypedDict):
    """That field has another name."""

    amount: int
    money: NotRequired[str]


class CurrencyPart(TypedDict, total=False):
    """The same of a dict of which nothing is required."""

    amount: int
    currency: str


class CurrencyPair(NamedTuple):
    """An array that is longer."""

    amount: int = 0
    currency: str = "EUR"


def struct(*more: tuple[str, type, Any], **options: Any) -> Any:
    """Return a struct with an amount and more fields."""
    return msgspec.defstruct("Pay", [("amount", int, 0), *more], **options)


CURRENCY = ("currency", str, "EUR")
KINDS: dict[str, tuple[Any, Any, Any]] = {  # the type there, the type here, and what was submitted
    "a field more": (WithCurrency, Pay, WithCurrency(5, "USD")),
    "a field more with its default": (WithCurrency, Pay, WithCurrency(5)),
    "a required field more": (WithRequired, Pay, WithRequired(5, "USD")),
    "a field renamed": (Renamed, Pay, Renamed(5)),
    "a TypedDict": (CurrencyDict, PayDict, {"amount": 5, "currency": "USD"}),
    "a TypedDict whose field was renamed": (CurrencyDict, RenamedDict, {"amount": 5, "currency": "USD"}),
    "a TypedDict that requires nothing": (CurrencyPart, PayPart, {"currency": "USD"}),
    "a NamedTuple": (CurrencyPair, PayPair, CurrencyPair(5, "USD")),
    "a struct": (struct(CURRENCY), struct(), {"amount": 5, "currency": "USD"}),
    "a struct as an array": (struct(CURRENCY, array_like=True), struct(array_like=True), [5, "USD"]),
    "a struct with aliases": (struct(CURRENCY, rename="upper"), struct(rename="upper"), {"CURRENCY": "USD"}),
    "another alias": (struct(rename={"amount": "sum"}), struct(), {"sum": 5}),
    "a struct that takes nothing else": (
        struct(CURRENCY, forbid_unknown_fields=True), struct(forbid_unknown_fields=True), {"currency": "USD"},
    ),
    "a struct with a tag": (struct(CURRENCY, tag="pay"), struct(tag="pay"), {"type": "pay", "currency": "USD"}),
    "one of two with a tag": (
        struct(CURRENCY, tag="pay") | msgspec.defstruct("Refund", [], tag="refund"),
        struct(tag="pay") | msgspec.defstruct("Refund", [], tag="refund"),
        {"type": "pay", "currency": "USD"},
    ),
    "a tag that is unknown here": (struct(tag="card"), struct(tag="pay"), {"type": "card", "amount": 5}),
    "a class for a TypedDict": (CurrencyDict, Pay, {"amount": 5, "currency": "USD"}),
    "a class for a dict": (dict[str, int], Pay, {"amount": 5, "fee": 1}),
}  # fmt: skip
PLACES: dict[str, tuple[str, Callable[[Any], Any]]] = {  # the type there, of a kind K, and a value of it
    "itself": ("K", lambda value: value),
    "a list": ("list[K]", lambda value: [value]),
    "a Sequence": ("Sequence[K]", lambda value: [value]),
    "a tuple": ("tuple[int, K]", lambda value: (1, value)),
    "a tuple of any length": ("tuple[K, ...]", lambda value: (value,)),
    "values of a dict": ("dict[str, K]", lambda value: {"k": value}),
    "values of a Mapping": ("Mapping[int, K]", lambda value: {7: value}),
    "Optional": ("K | None", lambda value: value),
    "Annotated": ("Annotated[K, msgspec.Meta(description='a payment')]", lambda value: value),
    "deep down": ("dict[str, list[K | None]]", lambda value: {"k": [None, value]}),
    "a field": ("make_dataclass('Order', [('pay', K)])", lambda value: {"pay": value}),
}
KNOWN: dict[str, Any] = {
    "Annotated": Annotated,
    "Mapping": Mapping,
    "Sequence": Sequence,
    "make_dataclass": make_dataclass,
    "msgspec": msgspec,
}


def with_type(kind: Any, place: str) -> Callable[..., Any]:
    """Return a function of one parameter in whose type that kind stands."""

    def charge(pay: Any) -> Any:
        return pay

    charge.__annotations__["pay"] = eval(PLACES[place][0], KNOWN | {"K": kind})  # noqa: S307 - written above
    return charge


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", KINDS)
def test_a_field_that_a_class_here_lacks_is_passed_over_nowhere(name: str, place: str) -> None:
    """Run without it, the charge would be of another currency, or of nothing. So the row waits for its own release."""
    there, here, value = KINDS[name]
    with pytest.raises(Undecodable):
        run_by_other(with_type(there, place), with_type(here, place), PLACES[place][1](value))


@pytest.mark.parametrize("place", PLACES)
def test_a_field_that_only_the_class_here_has_gets_its_default(place: str) -> None:
    """The release that knows more reads what the other wrote."""
    value = PLACES[place][1](Pay(5))
    read = run_by_other(with_type(Pay, place), with_type(WithCurrency, place), value)
    assert "WithCurrency(amount=5, currency='EUR')" in repr(read)
    with pytest.raises(Undecodable, match="currency"):
        run_by_other(with_type(Pay, place), with_type(WithRequired, place), value)

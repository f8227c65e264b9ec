"""A field that was left out and the same field with its default are the same content, however the class is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import pytest

from lash_redis.core.model import TaskInput
from lash_redis.tasks.arguments import bind
from lash_redis.tasks.declaration import declare


@dataclass
class Address:
    """Whose default stands in the class."""

    street: str
    country: str = "FR"
    notes: list[str] = field(default_factory=list)
    kind: str = field(default="home", init=False)


@dataclass(frozen=True)
class Frozen:
    """One that may stand in a set."""

    street: str
    country: str = "FR"


@dataclass(slots=True)
class Slotted:
    """Whose instances hold all their fields."""

    street: str
    country: str = "FR"


class Letter(msgspec.Struct):
    """A struct around one."""

    to: Address
    copies: int = 1


class Pair(NamedTuple):
    """A tuple around one."""

    to: Address
    copies: int = 1


@dataclass
class Order:
    """A dataclass around one."""

    to: Address
    again: Order | None = None


WHOLE = {"street": "B", "country": "FR", "notes": [], "kind": "home"}
BARE = {"street": "B"}


def stored(kind: Any, value: Any) -> Any:
    """Return what is stored of an argument."""

    def mail(to: Any) -> None:
        """Do nothing."""

    mail.__annotations__["to"] = kind
    found = bind(declare(mail, recovery="rerunnable", name="mail"), (value,), {})
    assert isinstance(found, TaskInput)
    return found.args[0]


@pytest.mark.parametrize(
    ("kind", "bare", "built"),
    [
        (Address, BARE, Address("B")),
        (Address | None, BARE, Address("B")),
        (list[Address], [BARE], [Address("B")]),
        (dict[str, Address], {"k": BARE}, {"k": Address("B")}),
        (tuple[int, Address], (1, BARE), (1, Address("B"))),
        (set[Frozen], [BARE], {Frozen("B")}),
        (dict[str, list[Frozen | None]], {"k": [None, BARE]}, {"k": [None, Frozen("B")]}),
        (Slotted, BARE, Slotted("B")),
        (Letter, {"to": BARE}, Letter(Address("B"))),
        (Pair, [BARE], Pair(Address("B"))),
        (Order, {"to": BARE, "again": {"to": BARE}}, Order(Address("B"), Order(Address("B")))),
    ],
    ids=map(str, range(11)),
)
def test_a_field_that_is_left_out_is_the_same_content_as_its_default(kind: Any, bare: Any, built: Any) -> None:
    """A submit sent again under one id must not be a conflict, whether it passes a dict or an instance."""
    assert stored(kind, bare) == stored(kind, built)


def test_the_defaults_stand_in_what_is_stored() -> None:
    """A default that changes with a deploy changes nothing of what was submitted before."""
    assert stored(Frozen, BARE) == {"street": "B", "country": "FR"}
    assert stored(Order, {"to": BARE})["to"].items() <= WHOLE.items()

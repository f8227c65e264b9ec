"""The canonical text of a type: equal for equal types, and another where something else can be decoded."""

from __future__ import annotations

import enum
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, TypedDict, Union

import msgspec
import pytest

from lash_redis.tasks.conversion import conversion_of


def text(annotation: Any) -> str:
    """Return the text of a type as a signature has it."""
    return conversion_of(annotation).type_text


class Colour(enum.Enum):
    """Two colours."""

    RED = "red"
    BLUE = "blue"


class Paint(enum.Enum):
    """The same values under other names, in another order."""

    AZURE = "blue"
    SCARLET = "red"


class Lenient(enum.Enum):
    """A class of enums that takes other spellings."""

    @classmethod
    def _missing_(cls, value: object) -> Any:
        return cls(str(value).lower()) if value != str(value).lower() else None


class Spelled(Lenient):
    """The two colours in any spelling."""

    RED = "red"
    BLUE = "blue"


class Grown(enum.Enum):
    """One more."""

    RED = "red"
    BLUE = "blue"
    GREEN = "green"


@dataclass
class Line:
    """A line of an order."""

    item: str
    count: int = 1


@dataclass
class Row:
    """The same fields in another class, in another order, with another default."""

    count: int = field(default=7, kw_only=True)
    item: str


class DictLine(TypedDict):
    """As a dict of which both are required."""

    item: str
    count: int


class Pair(NamedTuple):
    """An array."""

    item: str
    number: int = 1


class Tree(msgspec.Struct):
    """A struct that contains itself."""

    children: list[Tree] = []


class Plant(msgspec.Struct):
    """Another one."""

    children: list[Plant] = []


class Plus(msgspec.Struct, tag=True):
    """One of two that contain each other."""

    left: Plus | Minus | int


class Minus(msgspec.Struct, tag=True):
    """The other one."""

    left: Minus | int | Plus


OrderId = NewType("OrderId", str)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Optional[int], int | None),  # noqa: UP045 - the older spelling is the point
        (Union[int, str], str | int),  # noqa: UP007
        (typing.List[int], list[int]),  # noqa: UP006
        (typing.Dict[str, Any], dict[str, Any]),  # noqa: UP006
        (list, list[Any]),
        (Sequence[int], list[int]),
        (Mapping[str, int], dict[str, int]),
        (OrderId, str),
        (Any, object),
        (Literal["a", "b"], Literal["b", "a"]),
        (Colour, Paint),
        (Line, Row),
        (Line, msgspec.defstruct("Line", [("item", str), ("count", int, 1)])),
        (Tree, Plant),
        (Plus | Minus, Minus | Plus),
        (Annotated[str, msgspec.Meta(description="words")], str),
        (make_dataclass("Line", [("item", str), ("count", int, 1)]), Line),
    ],
    ids=map(str, range(17)),
)
def test_equal_types_have_one_text_however_they_are_spelled(one: Any, other: Any) -> None:
    """A class may be renamed and moved, and its fields may stand in another order."""
    assert text(one) == text(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (str, list[str]),
        (str, int),
        (int, int | None),
        (date, datetime),
        (Any, str),
        (list[int], list[str]),
        (dict[str, int], dict[int, str]),
        (tuple[int, str], tuple[str, int]),
        (tuple[int], tuple[int, ...]),
        (Annotated[int, msgspec.Meta(ge=0)], int),
        (Annotated[int, msgspec.Meta(ge=0)], Annotated[int, msgspec.Meta(ge=1)]),
        (Literal["a"], Literal["a", "b"]),
        (Literal[1], Literal["1"]),
        (Colour, Grown),
        (Colour, Spelled),
        (Line, DictLine),
        (Line, Pair),
        (Line, make_dataclass("Line", [("item", str), ("count", str, "1")])),
        (Line, make_dataclass("Line", [("item", str)])),
        (Line, make_dataclass("Line", [("item", str), ("count", int)])),
        (list[Line], list[Pair]),
        (msgspec.defstruct("A", [("n", int)]), msgspec.defstruct("A", [("n", int)], tag="a")),
        (msgspec.defstruct("A", [("n", int)]), msgspec.defstruct("A", [("n", int)], forbid_unknown_fields=True)),
        (msgspec.defstruct("A", [("n", int)]), msgspec.defstruct("A", [("n", int)], array_like=True)),
        (msgspec.defstruct("A", [("n", int)]), msgspec.defstruct("A", [("n", int)], rename={"n": "m"})),
    ],
    ids=map(str, range(25)),
)
def test_types_of_which_one_decodes_what_the_other_does_not_have_two_texts(one: Any, other: Any) -> None:
    """Else a worker would fail rows of another release as undecodable."""
    assert text(one) != text(other)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int | None, "one of[int, none]"),
        (list[Path], "list[path]"),
        (dict[str, list[Colour]], 'dict[str, list[enum["blue", "red"]]]'),
        (Line, 'object{"count"?: int, "item": str}'),
        (Pair, 'namedtuple{"item": str, "number"?: int}'),
        (Tree, 'object{"children"?: list[#0]}'),
        (tuple[Line, Line], 'tuple[object{"count"?: int, "item": str}, #0]'),
        (Annotated[str, msgspec.Meta(min_length=1, pattern="^a")], 'str(min_length=1, pattern="^a")'),
        (
            Plus,
            'object{tag "type" "Plus", "left": one of[int, object{tag "type" "Minus", "left": one of[int, #1, #0]}, #0]}',  # noqa: E501 - one text
        ),
    ],
    ids=map(str, range(9)),
)
def test_a_text_is_the_same_for_ever(annotation: Any, expected: str) -> None:
    """Lanes of queued rows are named by it, on every Python."""
    assert text(annotation) == expected

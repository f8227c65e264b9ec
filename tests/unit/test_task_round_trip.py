"""Every argument arrives at the function equal to what was submitted, and of the declared type."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import math
import uuid
from typing import Any, NamedTuple, TypedDict

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lash_redis.core.model import TaskInput
from lash_redis.tasks.arguments import bind, decode_result, encode_result, unbind
from lash_redis.tasks.declaration import declare


class Colour(enum.Enum):
    """An enum."""

    RED = "red"
    BLUE = "blue"


class Span(TypedDict):
    """A dict with known keys."""

    start: dt.date
    length: dt.timedelta


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    name: str


@dataclasses.dataclass(frozen=True)
class Label:
    """An object that a set can hold."""

    text: str
    colours: frozenset[Colour]


class Parcel(msgspec.Struct):
    """A struct with a field of every supported kind."""

    id: uuid.UUID
    sent: dt.datetime
    at: dt.time
    price: decimal.Decimal
    blob: bytes
    buffer: bytearray
    label: Label
    span: Span
    point: Point
    numbers: set[int]
    colour: Colour | None
    pairs: tuple[tuple[int, str], ...]
    by_key: dict[uuid.UUID, list[Point]]
    by_number: dict[int, bytes]


def send(parcel: Parcel, labels: set[Label], *more: Point, when: dt.datetime | None = None) -> None:
    """Take arguments of every supported kind."""


def take(*args: Any, **kwargs: Any) -> None:
    """Take any plain arguments."""


SEND = declare(send, recovery="rerunnable")
TAKE = declare(take, recovery="rerunnable")

# A slow machine must not fail these tests.
without_deadline = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

int64 = st.integers(-(2**63), 2**64 - 1)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
points = st.builds(Point, int64, text)
labels = st.builds(Label, text, st.frozensets(st.sampled_from(Colour)))
moments = st.datetimes(timezones=st.none() | st.just(dt.UTC) | st.just(dt.timezone(dt.timedelta(hours=5, minutes=30))))
parcels = st.builds(
    Parcel,
    sent=moments,
    price=st.decimals(allow_nan=False),
    buffer=st.binary(max_size=8).map(bytearray),
    label=labels,
    span=st.fixed_dictionaries({"start": st.dates(), "length": st.timedeltas()}),
    point=points,
    numbers=st.sets(int64, max_size=3),
    pairs=st.lists(st.tuples(int64, text), max_size=3).map(tuple),
    by_key=st.dictionaries(st.uuids(), st.lists(points, max_size=2), max_size=2),
    by_number=st.dictionaries(int64, st.binary(max_size=4), max_size=2),
)
scalars = st.none() | st.booleans() | int64 | st.floats(allow_nan=False) | text | st.binary(max_size=8)
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text | int64, inner, max_size=3),
    max_leaves=12,
)


def read_by_worker(stored: TaskInput) -> TaskInput:
    """Return the input as a worker decodes it."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(stored), type=TaskInput)


@without_deadline
@given(parcels, st.sets(labels, max_size=3), st.lists(points, max_size=2), moments | st.none())
def test_typed_arguments_arrive_as_they_were(parcel: Parcel, some: Any, more: Any, when: dt.datetime | None) -> None:
    """They are equal and of the same types, and a time keeps its offset."""
    stored = read_by_worker(bind(SEND, (parcel, some, *more), {"when": when}))
    args, kwargs = unbind(SEND, stored.args, stored.kwargs)
    assert args == [parcel, some, *more]
    assert kwargs == {"when": when}
    assert args[0].sent.utcoffset() == parcel.sent.utcoffset()
    assert type(args[0].buffer) is bytearray


@without_deadline
@given(st.lists(plain, max_size=3), st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), plain, max_size=3))
def test_plain_arguments_arrive_as_they_were(args: list[Any], kwargs: dict[str, Any]) -> None:
    """A parameter without annotation takes any plain value."""
    stored = read_by_worker(bind(TAKE, args, kwargs))
    assert unbind(TAKE, stored.args, stored.kwargs) == (args, kwargs)


@without_deadline
@given(parcels, st.sets(labels, max_size=1))
def test_arguments_that_arrived_are_stored_the_same_again(parcel: Parcel, some: Any) -> None:
    """The stored form is canonical, so that a second submit is no conflict. Structs in a set have no order."""
    stored = bind(SEND, (parcel, some), {})
    args, kwargs = unbind(SEND, *((read := read_by_worker(stored)).args, read.kwargs))
    assert bind(SEND, args, kwargs) == stored


@without_deadline
@given(parcels)
def test_a_typed_result_arrives_as_it_was(parcel: Parcel) -> None:
    """Results are converted in the same way."""

    def work() -> Parcel: ...  # type: ignore[empty-body]

    declared = declare(work, recovery="rerunnable", name="work")
    payload = msgspec.msgpack.encode(encode_result(declared, parcel))
    assert decode_result(declared, msgspec.msgpack.decode(payload)) == parcel


def test_nan_and_infinity_arrive() -> None:
    """They are floats like others."""
    stored = read_by_worker(bind(TAKE, (math.nan, math.inf), {}))
    (nan, infinity), _ = unbind(TAKE, stored.args, stored.kwargs)
    assert math.isnan(nan)
    assert infinity == math.inf


def test_a_class_of_attrs_arrives_as_it_was() -> None:
    """Msgspec can rebuild classes of attrs."""
    attrs: Any = pytest.importorskip("attrs")
    box: Any = attrs.make_class("Box", {"n": attrs.field(type=int)})

    def keep(it: Any) -> None: ...

    keep.__annotations__["it"] = box
    declared = declare(keep, recovery="rerunnable", name="keep")
    stored = read_by_worker(bind(declared, (box(3),), {}))
    assert unbind(declared, stored.args, stored.kwargs) == ([box(3)], {})

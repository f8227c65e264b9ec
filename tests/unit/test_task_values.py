"""Values that are converted or refused with care: paths, times, and the words of a refusal."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
import zoneinfo
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest

from lash_redis.core.errors import PayloadError
from lash_redis.tasks.arguments import decode_result, encode_result
from tests.unit.test_task_arguments import Colour, Item, Order, arrived, refusal, returning


class Wish(TypedDict, total=False):
    """What a caller may get wrong, in msgspec's words and in ours."""

    numbers: list[int]
    of: dict[str, int] | None
    maybe: int | None
    pair: tuple[int, str]
    colour: Colour
    id: uuid.UUID
    price: decimal.Decimal
    at: dt.datetime
    wait: dt.timedelta
    item: Item | None
    blob: bytes


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("numbers", "a", "expected `list`, got `str`"),
        ("numbers", {}, "expected `list`, got `dict`"),
        ("of", [], "expected `dict | None`, got `list`"),
        ("maybe", "a", "expected `int | None`, got `str`"),
        ("pair", [1], "expected `list` of length 2, got 1"),
        ("colour", "blue", "expected one of the declared values, got 'blue'"),
        ("id", "a", "expected a UUID, got a text that is none"),
        ("id", 1, "expected `UUID`, got `int`"),
        ("price", "a", "expected a Decimal, got a text that is none"),
        ("price", [], "expected `Decimal`, got `list`"),
        ("at", "noon", "expected a datetime, got a text that is none (as RFC 3339 writes it)"),
        ("wait", "long", "expected a timedelta, got a text that is none (as ISO 8601 writes it)"),
        ("item", {"price": 1}, "the field `sku` is missing"),
        ("blob", "!", "expected `bytes`, got `str`"),
    ],
)
def test_the_words_of_an_error_are_those_of_python(field: str, value: Any, says: str) -> None:
    """No user has to know what an encoding calls a list, None or a dict."""

    def wish(it: Wish) -> None: ...

    assert refusal(wish, {field: value}) == f"task shop.do: argument it.{field}: {says}"


def test_an_offset_with_seconds_is_refused() -> None:
    """It would come back in whole minutes, which is another instant; so would a result's."""

    def meet(when: dt.datetime, others: list[Any]) -> None: ...

    odd = dt.datetime(1800, 1, 1, tzinfo=dt.timezone(dt.timedelta(minutes=53, seconds=28)))
    says = (
        "expected a datetime whose offset is in whole minutes, got 0:53:28 (text cannot hold the seconds; carry it in"
    )
    assert f"argument when: {says}" in refusal(meet, odd, [])
    assert "argument others[0]: expected a plain value" in refusal(meet, odd.replace(tzinfo=dt.UTC), [odd])
    for result in (odd, [{"at": odd}], {odd: 1}, Order(odd, [])):  # type: ignore[arg-type]
        with pytest.raises(PayloadError, match="whose offset is in whole minutes"):
            encode_result(returning(Any), result)

    def book(order: dict[str, list[Annotated[dt.time, "of a day"]]]) -> None: ...

    late = dt.time(1, tzinfo=dt.timezone(dt.timedelta(seconds=1)))
    assert "argument order['a'][1]: expected a time whose offset" in refusal(book, {"a": [dt.time(1), late]})


def test_a_time_of_day_in_a_zone_is_refused() -> None:
    """Its offset depends on the date, so that it would come back without any."""

    def meet(at: dt.time) -> None: ...

    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    assert "argument at: expected a time without a zone or with a fixed offset, got one in zoneinfo" in refusal(
        meet, dt.time(1, tzinfo=berlin)
    )


def test_a_path_arrives_as_a_path() -> None:
    """Where it is declared, also inside another type; a result too."""

    def tidy(folder: Path, files: list[Path], by: dict[str, Path | None]) -> None: ...

    assert arrived(tidy, Path("/a"), [Path("b")], {"c": Path("d")}) == (
        [Path("/a"), [Path("b")], {"c": Path("d")}],
        {},
    )
    assert "argument folder: expected `Path`, got `int` (declared as Path)" in refusal(tidy, 1, [], {})
    assert "UTF-8" in refusal(tidy, Path("\udcff"), [], {})
    assert decode_result(returning(Path), encode_result(returning(Path), Path("/a"))) == Path("/a")
    assert encode_result(returning(Any), Path("/a")) == "/a"

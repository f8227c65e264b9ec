"""From a call to a task's input and back: placing, checking, converting, and what the errors say."""

from __future__ import annotations

import datetime as dt
import enum
import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import msgspec
import pytest

from lash_redis.core.errors import PayloadError
from lash_redis.core.model import TaskInput
from lash_redis.tasks.arguments import Undecodable, bind, decode_result, encode_result, unbind
from lash_redis.tasks.declaration import Declaration, declare


class Item(msgspec.Struct):
    """Be a part of an order."""

    sku: str
    price: float = 0.0


@dataclass
class Order:
    """Be an argument of more than one level."""

    id: int
    items: list[Item]


class Colour(enum.StrEnum):
    """Be text and something more."""

    RED = "red"


class Level(enum.IntEnum):
    """Be an int and something more."""

    HIGH = 3


class Point(NamedTuple):
    """Be a tuple and something more."""

    x: int
    y: int


class Metres(float):
    """Be a float and something more."""


class Refusing(msgspec.Struct):
    """Check itself, as a user's class may."""

    n: int

    def __post_init__(self) -> None:
        if self.n < 0:
            raise RuntimeError("negative")


def task(function: Callable[..., Any]) -> Declaration:
    """Declare a function under a short name."""
    return declare(function, recovery="rerunnable", name="shop.do")


def charge(order_id: str, amount: int = 1, *, note: str | None = None) -> None:
    """Have parameters of the usual kinds."""


def anything(value) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Have a parameter without annotation."""


def place(order: Order) -> None:
    """Have a parameter of more than one level."""


def collect(a, /, b=2, *rest: int, c=3, **more: float) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Have parameters of all kinds."""


def refusal(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """Return what a submit says to a wrong call."""
    with pytest.raises(PayloadError) as refused:
        bind(task(function), args, kwargs)
    return str(refused.value)


def unpacked(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return what a worker calls the function with, the payload's encoding in between."""
    declared = task(function)
    payload = msgspec.msgpack.encode(bind(declared, args, kwargs))
    stored = msgspec.msgpack.decode(payload, type=TaskInput)
    return unbind(declared, stored.args, stored.kwargs)


def nested(levels: int) -> list[Any]:
    """Return a list of that many levels."""
    return functools.reduce(lambda inner, _: [inner], range(levels - 1), [])


# Placing


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [(("o-1", 5), {}), (("o-1",), {"amount": 5}), ((), {"amount": 5, "order_id": "o-1"})],
    ids=["by position", "mixed", "by name"],
)
def test_the_same_call_is_the_same_input_however_it_is_spelled(args: Any, kwargs: Any) -> None:
    """Registering an id again must find the same content."""
    assert bind(task(charge), args, kwargs) == TaskInput("shop.do", ("o-1", 5), {})


def test_defaults_are_left_to_whoever_runs_the_task() -> None:
    """A default that changes with a deploy is no conflict."""
    assert bind(task(charge), ("o-1",), {}) == TaskInput("shop.do", ("o-1",), {})


def test_what_follows_a_gap_goes_by_name_in_the_order_of_the_parameters() -> None:
    """The order in which a caller wrote them is no content."""
    bound = bind(task(collect), (1,), {"z": 1.5, "c": 5, "y": 2.5})
    assert (bound.args, list(bound.kwargs.items())) == ((1,), [("c", 5), ("y", 2.5), ("z", 1.5)])


def test_arguments_past_the_parameters_go_to_args() -> None:
    """Each of them is converted by the annotation of ``*args``."""
    assert bind(task(collect), (1, 2, 3, 4), {}).args == (1, 2, 3, 4)
    assert "argument rest[1]: expected `int`, got `str`" in refusal(collect, 1, 2, 3, "4")


def test_a_name_that_is_positional_only_may_stand_in_kwargs() -> None:
    """Python allows it too."""
    assert bind(task(collect), (1,), {"a": 2.0}) == TaskInput("shop.do", (1,), {"a": 2.0})


def test_extra_arguments_by_name_are_converted_too() -> None:
    """Each of them by the annotation of ``**kwargs``."""
    assert "argument z: expected `float`, got `str`" in refusal(collect, 1, z="much")


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((), {}, "argument order_id is missing"),
        ((), {"amount": 1}, "argument order_id is missing"),
        (("o-1",), {"amout": 1}, "unexpected argument amout"),
        (("o-1",), {"order_id": "o-2"}, "argument order_id is given twice, by position and by name"),
        (("o-1", 1, None), {}, "expected at most 2 arguments by position, got 3"),
    ],
)
def test_a_call_that_does_not_fit_says_why_and_what_would(args: Any, kwargs: Any, says: str) -> None:
    """The message names the task, the argument and the parameters."""
    assert refusal(charge, *args, **kwargs) == f"task shop.do: {says}; it takes (order_id, amount=..., *, note=...)"


def test_a_parameter_by_name_only_can_be_missing() -> None:
    """It has no default and nobody gave it."""
    assert "argument b is missing" in refusal(lambda a, *, b: (a, b), 1)


def test_a_parameter_by_position_only_is_not_reached_by_name() -> None:
    """Python refuses it too."""
    assert "unexpected argument a" in refusal(lambda a, /: a, a=1)


# Checking


def test_a_wrong_argument_is_named_with_what_was_expected() -> None:
    """No worker ever sees it."""
    assert refusal(charge, 17) == "task shop.do: argument order_id: expected `str`, got `int`"


def test_a_wrong_field_is_named_with_its_path() -> None:
    """The one price in a large order can be found."""
    order = {"id": 1, "items": [{"sku": "a", "price": "much"}]}
    assert refusal(place, order) == "task shop.do: argument order.items[0].price: expected `float`, got `str`"


def test_an_object_whose_fields_are_wrong_is_refused_too() -> None:
    """A dataclass checks nothing by itself."""
    wrong: Any = "much"
    assert "argument order.items[0].price: expected" in refusal(place, Order(1, [Item("a", wrong)]))


def test_a_whole_object_of_the_wrong_type_is_told_what_was_declared() -> None:
    """The word of the encoding alone, object, would say little."""
    assert "argument order: expected `object`, got `str` (declared as Order)" in refusal(place, "o-1")


def test_a_wrong_key_is_named() -> None:
    """A dict's keys have a type too."""

    def count(stock: dict[str, int]) -> None: ...

    assert "argument stock: expected `str`, got `int` as a key" in refusal(count, {1: 2})


def test_a_constraint_is_checked() -> None:
    """Annotations can say more than a type."""

    def wait(seconds: Annotated[int, msgspec.Meta(ge=0)]) -> None: ...

    assert "argument seconds: expected `int` >= 0" in refusal(wait, -1)


def test_a_bool_is_no_int() -> None:
    """Python lets it pass; a payload tells them apart."""
    assert "expected `int`, got `bool`" in refusal(charge, "o-1", True)


def test_text_is_no_bytes() -> None:
    """It would be read as base64 where bytes have no form of their own."""

    def store(blob: bytes) -> None: ...

    assert "expected `bytes`, got `str`" in refusal(store, "aGk=")


def test_what_a_class_says_about_its_own_fields_is_passed_on() -> None:
    """Whatever it raises."""

    def take(it: Refusing) -> None: ...

    assert "argument it: RuntimeError: negative" in refusal(take, {"n": -1})


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1])
def test_an_integer_beyond_64_bits_is_refused(number: int) -> None:
    """A payload has no form for it."""
    assert "argument amount: expected an integer from -2**63 to 2**64 - 1" in refusal(charge, "o-1", number)


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63)])
def test_an_integer_of_64_bits_is_carried(number: int) -> None:
    """The limit itself is allowed."""
    assert unpacked(charge, "o-1", number) == (["o-1", number], {})


def test_text_that_utf8_cannot_hold_is_refused() -> None:
    """A surrogate would fail only when the payload is written."""
    assert "argument order_id: expected text that UTF-8 can hold" in refusal(charge, "o-\ud800")


def test_nesting_has_a_limit() -> None:
    """A payload of 64 levels is carried, one of 65 refused."""
    assert bind(task(anything), (nested(64),), {}).args == (nested(64),)
    assert refusal(anything, nested(65)).endswith("nested deeper than 64 levels")


def test_nesting_has_the_same_limit_inside_a_typed_object() -> None:
    """It is counted in the payload, not in the annotation."""

    @dataclass
    class Box:
        content: Any

    def send(box: Any) -> None: ...

    send.__annotations__["box"] = Box
    bind(task(send), (Box(nested(63)),), {})
    assert "nested deeper than 64 levels" in refusal(send, Box(nested(64)))


def test_what_holds_itself_is_refused() -> None:
    """It would have no end."""
    loop: list[Any] = []
    loop.append(loop)
    assert "nested deeper than 64 levels" in refusal(anything, loop)


@pytest.mark.parametrize("value", [{1}, dt.date(2026, 1, 1), Item("a"), Point(1, 2), object(), 1j])
def test_without_annotation_only_plain_values_are_carried(value: Any) -> None:
    """Else they would silently arrive as something else."""
    said = refusal(anything, {"deep": [value]})
    assert "argument value['deep'][0]: expected a plain value" in said
    assert f"got `{type(value).__qualname__}`; annotate it" in said


def test_where_an_annotation_says_what_it_expects_so_does_the_error() -> None:
    """It is the better advice."""

    def tag(names: list[str]) -> None: ...

    assert "argument names[1]: expected `str`, got `object`" in refusal(tag, ["a", object()])


def test_a_typed_argument_that_holds_something_foreign_is_refused() -> None:
    """With the type that cannot be carried."""
    assert "argument order: a `object` cannot be carried" in refusal(place, Order(1, [object()]))  # type: ignore[list-item]


# Converting


def test_a_field_left_out_is_the_same_content_as_its_default() -> None:
    """The function gets the same object."""
    declared = task(place)
    short = bind(declared, ({"id": 1, "items": [{"sku": "a"}]},), {})
    assert short == bind(declared, (Order(1, [Item("a", 0.0)]),), {})


def test_a_set_is_the_same_content_in_any_order() -> None:
    """The order of a set of text differs from one OS process to the next."""

    def tag(names: set[str]) -> None: ...

    assert bind(task(tag), ({"c", "a", "b"},), {}).args == (["a", "b", "c"],)


def test_a_set_of_what_does_not_compare_is_carried_all_the_same() -> None:
    """Then its order is as it comes."""

    def tag(names: set[int | str]) -> None: ...

    assert unpacked(tag, {1, "a"}) == ([{1, "a"}], {})


def test_a_dict_keeps_its_order() -> None:
    """Columns and headers have one."""
    assert list(bind(task(anything), ({"z": 1, "a": 2},), {}).args[0]) == ["z", "a"]


@pytest.mark.parametrize(
    ("given", "arrives"),
    [
        ((1, 2), [1, 2]),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Metres(1.5), 1.5),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(int, a=1), {"a": 1}),
        (bytearray(b"a"), b"a"),
        (memoryview(b"a"), b"a"),
        ({(1, "a"): None}, {(1, "a"): None}),
    ],
)
def test_without_annotation_a_value_arrives_as_the_plain_one_that_it_equals(given: Any, arrives: Any) -> None:
    """A tuple arrives as a list, the one exception."""
    ((value,), _) = unpacked(anything, given)
    assert value == arrives
    assert type(value) is type(arrives)


def test_an_int_for_a_float_arrives_as_a_float() -> None:
    """And is the same content as the float."""

    def wait(seconds: float) -> None: ...

    ((seconds,), _) = unpacked(wait, 2)
    assert type(seconds) is float


def test_an_argument_is_stored_as_it_was_at_the_submit() -> None:
    """What its caller does to it later changes nothing."""
    given = [1]
    bound = bind(task(anything), (given,), {})
    given.append(2)
    assert bound.args == ([1],)


def test_stored_arguments_that_do_not_fit_are_undecodable() -> None:
    """The text becomes the message of the failure."""
    with pytest.raises(Undecodable, match=r"task shop\.do: argument order\.id: expected `int`, got `str`"):
        unbind(task(place), ({"id": "1", "items": []},), {})


def test_stored_arguments_that_the_function_does_not_take_are_undecodable() -> None:
    """They were registered without the function."""
    with pytest.raises(Undecodable, match="unexpected argument size; it takes"):
        unbind(task(charge), ("o-1",), {"size": 1})


def test_a_worker_with_one_more_default_runs_what_was_stored_before() -> None:
    """This is what serving an older digest means."""
    assert unbind(task(charge), ("o-1",), {}) == (["o-1"], {})


# Results


def returning(annotation: Any) -> Declaration:
    """Declare a task that returns what ``annotation`` says."""

    def work() -> Any: ...

    work.__annotations__["return"] = annotation
    return task(work)


def test_a_result_comes_back_as_the_type_that_is_declared() -> None:
    """The caller reads what the function returned."""
    order = Order(1, [Item("a", 2.0)])
    stored = encode_result(returning(Order), order)
    assert stored == {"id": 1, "items": [{"sku": "a", "price": 2.0}]}
    assert decode_result(returning(Order), stored) == order


@pytest.mark.parametrize("annotation", [None, Any, object])
def test_a_result_without_a_declared_type_comes_back_as_it_is_stored(annotation: Any) -> None:
    """Plain values, whatever was returned."""
    declared = returning(annotation)
    assert decode_result(declared, encode_result(declared, Item("a"))) == {"sku": "a", "price": 0.0}


def test_a_result_is_not_checked_where_the_work_was_done() -> None:
    """The work is done; to call that a failure would invite a second run."""
    assert encode_result(returning(int), "text") == "text"


def test_a_result_of_another_type_than_declared_is_told_to_who_reads_it() -> None:
    """With the task and what was expected."""
    with pytest.raises(PayloadError, match=r"task shop\.do: result: expected `int`, got `str`"):
        decode_result(returning(int), "text")


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (object(), "result: a `object` cannot be carried"),
        ([{"n": 2**64}], r"result\[0\]\['n'\]: expected an integer"),
        (nested(65), "nested deeper than 64 levels"),
        ({"\ud800": 1}, "UTF-8"),
    ],
)
def test_a_result_that_cannot_be_carried_is_refused(result: Any, says: str) -> None:
    """The message names its type and where it stands."""
    with pytest.raises(PayloadError, match=says):
        encode_result(returning(Any), result)

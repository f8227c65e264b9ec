"""The conversion of a call into a task's input and back: binding, checks, conversions and their errors."""

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
    """A part of an order."""

    sku: str
    price: float = 0.0


@dataclass
class Order:
    """An argument with nested parts."""

    id: int
    items: list[Item]


class Colour(enum.StrEnum):
    """An enum whose members are texts."""

    RED = "red"


class Level(enum.IntEnum):
    """An enum whose members are ints."""

    HIGH = 3


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    y: int


class Metres(float):
    """A subclass of float."""


class Refusing(msgspec.Struct):
    """A class that checks itself, as a user's class may."""

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


def buy(order: Order) -> None:
    """Have a parameter with nested parts."""


def collect(a, /, b=2, *rest: int, c=3, **more: float) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Have parameters of all kinds."""


def refusal(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """Return the error text of a submit with wrong arguments."""
    with pytest.raises(PayloadError) as refused:
        bind(task(function), args, kwargs)
    return str(refused.value)


def arrived(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments with which a worker calls the function, after encoding and decoding the payload."""
    declared = task(function)
    payload = msgspec.msgpack.encode(bind(declared, args, kwargs))
    stored = msgspec.msgpack.decode(payload, type=TaskInput)
    return unbind(declared, stored.args, stored.kwargs)


def nested(levels: int) -> list[Any]:
    """Return a list with this many levels."""
    return functools.reduce(lambda inner, _: [inner], range(levels - 1), [])


# Binding


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [(("o-1", 5), {}), (("o-1",), {"amount": 5}), ((), {"amount": 5, "order_id": "o-1"})],
    ids=["by position", "mixed", "by name"],
)
def test_the_same_call_is_the_same_input_however_it_is_spelled(args: Any, kwargs: Any) -> None:
    """A submit sent again under one id must have the same content."""
    assert bind(task(charge), args, kwargs) == TaskInput("shop.do", ("o-1", 5), {})


def test_defaults_are_applied_where_the_task_runs() -> None:
    """A default that changes with a deploy causes no conflict."""
    assert bind(task(charge), ("o-1",), {}) == TaskInput("shop.do", ("o-1",), {})


def test_arguments_behind_a_gap_are_stored_by_name_in_the_order_of_the_parameters() -> None:
    """The order in which a caller wrote them does not matter."""
    bound = bind(task(collect), (1,), {"z": 1.5, "c": 5, "y": 2.5})
    assert (bound.args, list(bound.kwargs.items())) == ((1,), [("c", 5), ("y", 2.5), ("z", 1.5)])


def test_more_arguments_by_position_than_parameters_go_to_args() -> None:
    """The annotation of ``*args`` converts each of them."""
    assert bind(task(collect), (1, 2, 3, 4), {}).args == (1, 2, 3, 4)
    assert "argument rest[1]: expected `int`, got `str`" in refusal(collect, 1, 2, 3, "4")


def test_the_name_of_a_positional_only_parameter_may_stand_in_kwargs() -> None:
    """Python allows it too."""
    assert bind(task(collect), (1,), {"a": 2.0}) == TaskInput("shop.do", (1,), {"a": 2.0})


def test_extra_arguments_by_name_are_converted_too() -> None:
    """The annotation of ``**kwargs`` converts each of them."""
    assert "argument z: expected `float`, got `str`" in refusal(collect, 1, z="much")


@pytest.mark.parametrize(
    ("args", "kwargs", "problem"),
    [
        ((), {}, "argument order_id is missing"),
        ((), {"amount": 1}, "argument order_id is missing"),
        (("o-1",), {"amout": 1}, "unexpected argument amout"),
        (("o-1",), {"order_id": "o-2"}, "argument order_id is given twice, by position and by name"),
        (("o-1", 1, None), {}, "expected at most 2 arguments by position, got 3"),
    ],
)
def test_the_error_for_a_call_that_does_not_fit_says_why_and_what_fits(args: Any, kwargs: Any, problem: str) -> None:
    """The message names the task, the argument and the parameters."""
    assert refusal(charge, *args, **kwargs) == f"task shop.do: {problem}; it takes (order_id, amount=..., *, note=...)"


def test_an_argument_by_name_only_can_be_missing() -> None:
    """It has no default and the caller did not pass it."""
    assert "argument b is missing" in refusal(lambda a, *, b: (a, b), 1)


def test_a_positional_only_parameter_takes_no_argument_by_name() -> None:
    """Python refuses it too."""
    assert "unexpected argument a" in refusal(lambda a, /: a, a=1)


# Checks


def test_the_error_for_a_wrong_argument_names_it_and_what_was_expected() -> None:
    """The argument never reaches a worker."""
    assert refusal(charge, 17) == "task shop.do: argument order_id: expected `str`, got `int`"


def test_the_error_for_a_wrong_field_has_its_path() -> None:
    """The path leads to the one wrong price in a large order."""
    order = {"id": 1, "items": [{"sku": "a", "price": "much"}]}
    assert refusal(buy, order) == "task shop.do: argument order.items[0].price: expected `float`, got `str`"


def test_an_object_whose_fields_are_wrong_is_refused_too() -> None:
    """A dataclass checks nothing by itself."""
    wrong: Any = "much"
    assert "argument order.items[0].price: expected" in refusal(buy, Order(1, [Item("a", wrong)]))


def test_the_error_for_a_whole_object_of_the_wrong_type_has_the_declared_type() -> None:
    """That a dict would do as well says too little."""
    assert "argument order: expected `dict`, got `str` (declared as Order)" in refusal(buy, "o-1")


def test_the_error_for_a_wrong_key_says_that_it_is_a_key() -> None:
    """The keys of a dict have a type too."""

    def count(stock: dict[str, int]) -> None: ...

    assert "argument stock: expected `str`, got `int` as a key" in refusal(count, {1: 2})


def test_a_constraint_is_checked() -> None:
    """Annotations can say more than a type."""

    def wait(seconds: Annotated[int, msgspec.Meta(ge=0)]) -> None: ...

    assert "argument seconds: expected `int` >= 0" in refusal(wait, -1)


def test_a_bool_is_no_int() -> None:
    """Python accepts it. A payload distinguishes them."""
    assert "expected `int`, got `bool`" in refusal(charge, "o-1", True)


def test_text_is_no_bytes() -> None:
    """Formats without bytes would decode the text as base64."""

    def store(blob: bytes) -> None: ...

    assert "expected `bytes`, got `str`" in refusal(store, "aGk=")


def test_the_error_of_a_class_about_its_own_fields_is_passed_on() -> None:
    """A user's class may raise any exception."""

    def take(it: Refusing) -> None: ...

    assert "argument it: RuntimeError: negative" in refusal(take, {"n": -1})


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1])
def test_an_integer_beyond_64_bits_is_refused(number: int) -> None:
    """A payload cannot hold it."""
    assert "argument amount: expected an integer from -2**63 to 2**64 - 1" in refusal(charge, "o-1", number)


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63)])
def test_an_integer_of_64_bits_is_carried(number: int) -> None:
    """The limit itself is allowed."""
    assert arrived(charge, "o-1", number) == (["o-1", number], {})


def test_text_that_utf8_cannot_hold_is_refused() -> None:
    """Without the check a surrogate would fail later, when the payload is encoded."""
    assert "argument order_id: expected text that UTF-8 can hold" in refusal(charge, "o-\ud800")


def test_nesting_has_a_limit() -> None:
    """A payload of 64 levels is carried, one of 65 refused."""
    assert bind(task(anything), (nested(64),), {}).args == (nested(64),)
    assert refusal(anything, nested(65)).endswith("nested deeper than 64 levels")


def test_nesting_has_the_same_limit_inside_a_typed_object() -> None:
    """The levels of the payload count, not those of the annotation."""

    @dataclass
    class Box:
        content: Any

    def send(box: Any) -> None: ...

    send.__annotations__["box"] = Box
    bind(task(send), (Box(nested(63)),), {})
    assert "nested deeper than 64 levels" in refusal(send, Box(nested(64)))


def test_a_value_that_contains_itself_is_refused() -> None:
    """Its plain value would have no end."""
    loop: list[Any] = []
    loop.append(loop)
    assert "nested deeper than 64 levels" in refusal(anything, loop)


@pytest.mark.parametrize("value", [{1}, dt.date(2026, 1, 1), Item("a"), Point(1, 2), object(), 1j])
def test_without_annotation_only_plain_values_are_carried(value: Any) -> None:
    """Other values would silently arrive as something else."""
    text = refusal(anything, {"deep": [value]})
    assert "argument value['deep'][0]: expected a plain value" in text
    assert f"got `{type(value).__qualname__}`; annotate the parameter" in text


def test_where_an_annotation_expects_a_type_the_error_names_it() -> None:
    """That is better advice than to annotate the value."""

    def tag(names: list[str]) -> None: ...

    assert "argument names[1]: expected `str`, got `object`" in refusal(tag, ["a", object()])


def test_a_typed_argument_with_a_part_of_an_unsupported_type_is_refused() -> None:
    """The error names that type."""
    assert "argument order: an `object` cannot be carried" in refusal(buy, Order(1, [object()]))  # type: ignore[list-item]


# Conversions


def test_a_field_left_out_is_the_same_content_as_its_default() -> None:
    """The function gets the same object in both cases."""
    declared = task(buy)
    short = bind(declared, ({"id": 1, "items": [{"sku": "a"}]},), {})
    assert short == bind(declared, (Order(1, [Item("a", 0.0)]),), {})


def test_a_set_is_the_same_content_in_any_order() -> None:
    """The order of a set of texts differs between OS processes."""

    def tag(names: set[str]) -> None: ...

    assert bind(task(tag), ({"c", "a", "b"},), {}).args == (["a", "b", "c"],)


def test_a_set_whose_members_do_not_compare_is_carried_in_any_order() -> None:
    """It has no canonical form."""

    def tag(names: set[int | str]) -> None: ...

    assert arrived(tag, {1, "a"}) == ([{1, "a"}], {})


def test_a_dict_keeps_its_order() -> None:
    """The order of columns or headers may matter."""
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
def test_without_annotation_a_value_arrives_as_the_plain_value_that_it_equals(given: Any, arrives: Any) -> None:
    """The one exception is a tuple, which arrives as a list."""
    ((value,), _) = arrived(anything, given)
    assert value == arrives
    assert type(value) is type(arrives)


def test_an_int_for_a_float_arrives_as_a_float() -> None:
    """It is the same content as the float."""

    def wait(seconds: float) -> None: ...

    ((seconds,), _) = arrived(wait, 2)
    assert type(seconds) is float


def test_an_argument_is_stored_as_it_was_at_the_submit() -> None:
    """Changes that its caller makes later have no effect."""
    given = [1]
    bound = bind(task(anything), (given,), {})
    given.append(2)
    assert bound.args == ([1],)


def test_stored_arguments_that_do_not_fit_are_undecodable() -> None:
    """The text of the error becomes the message of the failure."""
    with pytest.raises(Undecodable, match=r"task shop\.do: argument order\.id: expected `int`, got `str`"):
        unbind(task(buy), ({"id": "1", "items": []},), {})


def test_stored_arguments_that_the_function_does_not_take_are_undecodable() -> None:
    """Other code may have registered them."""
    with pytest.raises(Undecodable, match="unexpected argument size; it takes"):
        unbind(task(charge), ("o-1",), {"size": 1})


def test_a_worker_with_one_more_default_runs_what_was_stored_before() -> None:
    """So a worker can serve the digest from before the default was added."""
    assert unbind(task(charge), ("o-1",), {}) == (["o-1"], {})


# Results


def returning(annotation: Any) -> Declaration:
    """Declare a task that returns what ``annotation`` says."""

    def work() -> Any: ...

    work.__annotations__["return"] = annotation
    return task(work)


def test_a_result_comes_back_as_the_type_that_is_declared() -> None:
    """The caller gets what the function returned."""
    order = Order(1, [Item("a", 2.0)])
    stored = encode_result(returning(Order), order)
    assert stored == {"id": 1, "items": [{"sku": "a", "price": 2.0}]}
    assert decode_result(returning(Order), stored) == order


@pytest.mark.parametrize("annotation", [None, Any, object])
def test_a_result_without_a_declared_type_comes_back_as_a_plain_value(annotation: Any) -> None:
    """Also if the function returned an object."""
    declared = returning(annotation)
    assert decode_result(declared, encode_result(declared, Item("a"))) == {"sku": "a", "price": 0.0}


def test_a_result_is_not_checked_where_the_work_was_done() -> None:
    """The work is done. A failure would invite a second run."""
    assert encode_result(returning(int), "text") == "text"


def test_a_result_of_another_type_than_declared_is_an_error_for_its_reader() -> None:
    """The error names the task, what was declared and what was returned, and how to read it all the same."""
    with pytest.raises(PayloadError) as refused:
        decode_result(returning(int), "text")

    assert str(refused.value) == (
        "task shop.do: the function declares that it returns int, and returned 'text': result: expected `int`, got "
        "`str`. The process is completed all the same; (await process.record()).outcome has the result as it is stored"
    )
    with pytest.raises(PayloadError, match=r"returned \['x+….*result\[0\]: expected `int`"):
        decode_result(returning(list[int]), ["x" * 1000])


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (object(), "result: an `object` cannot be carried"),
        ([{"n": 2**64}], r"result\[0\]\['n'\]: expected an integer"),
        (nested(65), "nested deeper than 64 levels"),
        ({"\ud800": 1}, "UTF-8"),
    ],
)
def test_a_result_that_cannot_be_carried_is_refused(result: Any, problem: str) -> None:
    """The message has the path and the type."""
    with pytest.raises(PayloadError, match=problem):
        encode_result(returning(Any), result)

"""Options are data: one struct is checked, registered, kept in the row and read back, whole."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest

from lash_redis.app.lash import Lash
from lash_redis.core.errors import SettingsError
from lash_redis.core.model import ProcessRecord, ProcessRegistration, RecoveryDisposition, TaskInput
from lash_redis.core.options import (
    OPTIONS,
    WORDS,
    ChosenOptions,
    ProcessOptions,
    ShownOptions,
    options_in_row,
    row_fields,
    with_options,
)
from lash_redis.registry.keys import ROW_FIELDS


def registered(**options: Any) -> ProcessRegistration:
    """Return a registration with these options."""
    return ProcessRegistration("p", TaskInput("work"), RecoveryDisposition.RERUNNABLE, **options)


def test_a_type_checker_sees_the_options_as_they_are() -> None:
    """People give lengths of time in their words; what a row shows has the names and types of the struct."""
    hints = get_type_hints(ChosenOptions)
    words = {word: option for word, (option, _) in WORDS.items()}

    assert get_type_hints(ShownOptions) == {name: field.type for name, field in OPTIONS.items()}
    assert {words.get(name, name) for name in hints} == set(OPTIONS)
    assert all(hint == OPTIONS[name].type for name, hint in hints.items() if name not in words)
    assert tuple(OPTIONS) == ProcessOptions.__struct_fields__


def test_every_default_is_allowed() -> None:
    """Who gives no option gets what the check lets pass."""
    for name, field in OPTIONS.items():
        assert field.checked(name, field.default) == field.default


@pytest.mark.parametrize("struct", [ProcessRegistration, ProcessRecord])
def test_registration_and_record_have_every_option(struct: type[ProcessOptions]) -> None:
    """By inheritance: a new option needs no line there."""
    assert set(OPTIONS) <= set(struct.__struct_fields__)


def test_a_default_takes_no_space_in_the_row() -> None:
    """A million plain rows keep no option."""
    assert row_fields(ProcessOptions()) == []
    assert row_fields(registered()) == []


def test_the_row_gives_back_what_was_registered() -> None:
    """Also the default, which it does not hold."""
    chosen = registered(queue="mail", loss_limit=2)

    assert row_fields(chosen) == [b"ll", 2]
    assert options_in_row("mail", {b"ll": b"2"}) == ProcessOptions(queue="mail", loss_limit=2)
    assert options_in_row("mail", {}) == ProcessOptions(queue="mail")


def test_a_row_may_hold_what_a_newer_release_allows() -> None:
    """Reading checks nothing: a row that one release wrote must not stop the sweep of another."""
    assert options_in_row("mail", {b"ll": b"2000000"}).loss_limit == 2_000_000


def test_every_option_has_a_place_of_its_own_in_the_row() -> None:
    """The data dictionary lists the field. The queue stands in the lane, and an expiry as the moment that it gives."""
    fields = [field.about.row_field for field in OPTIONS.values() if field.about.row_field]

    assert [name for name, field in OPTIONS.items() if not field.about.row_field] == ["queue", "expires_in_ms"]
    assert len(set(fields)) == len(fields)
    assert set(fields) <= ROW_FIELDS.keys()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("queue", "a|b", r"expected queue to be 1 to 64 characters of \[A-Za-z0-9._:/@\+-\], got 'a|b'"),
        ("loss_limit", 0, "expected loss_limit to be an integer from 1 to 1000000, got 0"),
        ("loss_limit", True, "expected loss_limit to be an integer from 1 to 1000000, got True"),
        ("colour", 1, "expected an option .*to be one of .*loss_limit, priority.*, got 'colour'"),
    ],
)
def test_a_bad_or_unknown_option_is_refused_with_what_is_allowed(name: str, value: Any, said: str) -> None:
    """Where it is given: by the decorator and by ``options``."""
    lash = Lash("unix:///nowhere/s")
    task = lash.task(recovery="rerunnable", name="known")(lambda: None)

    for give in (
        lambda: with_options(ProcessOptions(), {name: value}),
        lambda: lash.task(recovery="rerunnable", name="other", **{name: value})(lambda: None),
        lambda: task.options(**{name: value}),
    ):
        with pytest.raises(SettingsError, match=said):
            give()


@pytest.mark.parametrize("after", [[["p"]], [{}], [None], ["a b"], "p", 1, [str(each) for each in range(101)]])
def test_what_is_awaited_is_checked_where_it_is_given(after: Any) -> None:
    """Handles and process ids, in any iterable."""
    task = Lash("unix:///nowhere/s").task(recovery="rerunnable", name="known")(lambda: None)

    with pytest.raises(SettingsError, match=r"expected (each of )?after to be"):
        task.options(after=after, if_failed="run")


async def given_later() -> None:
    """Stand for a submit that is not awaited."""


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ([given_later], "each of after to be a handle or a process id, got <function.*: submit it first"),
        ([None], "each of after to be a handle or a process id, got None$"),
        (
            [str(each) for each in range(101)],
            r"at most 100 .*, got 101: make what is waited for members of lash\.group",
        ),
    ],
)
def test_what_is_no_handle_says_what_is_missing(after: Any, said: str) -> None:
    """An await, a submit, or a group."""
    task = Lash("unix:///nowhere/s").task(recovery="rerunnable", name="known")(lambda: None)

    with pytest.raises(SettingsError, match=said):
        task.options(after=after, if_failed="run")
    with pytest.raises(SettingsError, match=r"got <coroutine object .*: is an await missing"):
        task.options(after=[given_later()], if_failed="run")  # type: ignore[list-item]


def test_an_option_that_is_given_as_none_stays() -> None:
    """So that a wrapper can pass on what it was not given."""
    task = Lash("unix:///nowhere/s").task(recovery="rerunnable", name="known", queue="mail")(lambda: None)

    assert task.options(queue=None).registration((), {}).queue == "mail"  # type: ignore[arg-type]

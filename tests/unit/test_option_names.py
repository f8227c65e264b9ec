"""An option where it does not belong: the message lists those that do, and says where the other one is given."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import fakeredis
import pytest

from lash_redis import Lash, SettingsError
from lash_redis.app.task import Task
from lash_redis.tasks.option_names import DECLARED, SUBMITTED


def lash() -> Lash:
    """Return an app without a server."""
    return Lash(fakeredis.FakeAsyncRedis())


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ("max_retries", r": did you mean 'retries'\?"),
        ("bind", ""),
        ("delay", r": a submit says it: task\.options\(delay=\.\.\.\)"),
        ("process_id", ": a submit says it.*"),
    ],
)
def test_a_declaration_lists_its_options(option: str, advice: str) -> None:
    """Those of retries, keys and sequences too."""
    match = rf"an option of a task to be one of recovery, .*retries.*, got '{option}'{advice}$"
    with pytest.raises(SettingsError, match=match):
        lash().task(recovery="rerunnable", name="work", **{option: 3})(lambda: None)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ("countdown", ""),
        ("queu", r": did you mean 'queue'\?"),
        ("retries", r": the task declares it: @lash\.task\(retries=\.\.\.\)"),
        ("sequence", ": the task declares .*"),
    ],
)
def test_a_submit_lists_its_options(option: str, advice: str) -> None:
    """And says of what is declared where that is done."""
    task = lash().task(recovery="rerunnable", name="work")(lambda: None)
    match = rf"an option of a submit to be one of process_id, .*delay.*, got '{option}'{advice}$"
    with pytest.raises(SettingsError, match=match):
        task.options(**{option: 3})  # type: ignore[arg-type]


def named(function: Callable[..., object]) -> set[str]:
    """Return the arguments of a function that are given by name alone."""
    return {each.name for each in inspect.signature(function).parameters.values() if each.kind is each.KEYWORD_ONLY}


def test_the_lists_name_what_the_functions_take() -> None:
    """Neither forgets an argument of its function."""
    assert named(Task.options) <= {*SUBMITTED}
    assert named(Lash.task) <= {*DECLARED}

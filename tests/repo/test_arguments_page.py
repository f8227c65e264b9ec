"""The page of arguments and results: each cell of its table is tried."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from lash_redis.core.errors import LashError
from lash_redis.core.model import TaskInput
from lash_redis.tasks.arguments import bind, decode_result, encode_result, unbind
from lash_redis.tasks.declaration import Declaration, declare
from tests.repo.test_tables import rows
from tests.repo.tree import ROOT, read

PAGE = "docs/arguments.md"
HEADER = "| value | declared as | arrives as | without annotation | a result without annotation |"
NAMES: dict[str, Any] = {"__name__": __name__}
(PRELUDE,) = re.findall(r"^```python\n(.*?)^```", read(ROOT / PAGE), re.DOTALL | re.MULTILINE)
exec(compile(PRELUDE, PAGE, "exec"), NAMES)  # noqa: S102 - our own page


def shown(cell: str) -> Any:
    """Return what a cell shows."""
    return eval(cell.strip("`"), NAMES)  # noqa: S307 - our own page


def task_of(annotation: Any) -> Declaration:
    """Return a task with one parameter, and a result, of this annotation; None: without one."""

    def work(it): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202

    work.__annotations__ = {} if annotation is None else {"it": annotation, "return": annotation}
    return declare(work, recovery="rerunnable", name="work")


def as_argument(annotation: Any, value: Any) -> Any:
    """Return what a task gets."""
    declared = task_of(annotation)
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(bind(declared, (value,), {})), type=TaskInput)
    ((arrived,), _) = unbind(declared, stored.args, stored.kwargs)
    return arrived


def as_result(annotation: Any, value: Any) -> Any:
    """Return what the reader of a result gets."""
    declared = task_of(annotation)
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(encode_result(declared, value)))
    return decode_result(declared, stored)


def check(cell: str, value: Any, arrives: Callable[[], Any]) -> None:
    """Compare a cell with what arrives."""
    if cell == "refused":
        with pytest.raises(LashError):
            arrives()
        return
    arrived, expected = arrives(), value if cell == "the same" else shown(cell)
    assert (arrived, type(arrived)) == (expected, type(expected))
    assert getattr(arrived, "tzinfo", None) == getattr(expected, "tzinfo", None)


@pytest.mark.parametrize("row", rows(PAGE, HEADER), ids=lambda row: row[0].strip("`"))
def test_what_goes_in_comes_back_as_the_page_says(row: list[str]) -> None:
    """As an argument and as a result, with an annotation and without."""
    value, annotation = shown(row[0]), shown(row[1])
    typed, argument, result = row[2:]

    check(typed, value, lambda: as_argument(annotation, value))
    check(typed, value, lambda: as_result(annotation, value))
    check(argument, value, lambda: as_argument(None, value))
    check(result, value, lambda: as_result(None, value))

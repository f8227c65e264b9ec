"""What ``lash.schedule`` declares, and what it refuses."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from lash_redis import Lash, PayloadError, SettingsError, Unique

URL = "redis://localhost:1"


def lash_with(**options: Any) -> tuple[Lash, Any]:
    """Return a ``Lash`` and a task of it."""
    lash = Lash(URL)

    @lash.task(recovery="rerunnable", name="report", **options)
    def report(what: str, key: str = "") -> str:
        return what + key

    return lash, report


def test_a_task_carries_its_schedules() -> None:
    """So that a worker which is given the task stores them. The options of the task are those of its ticks."""
    lash, report = lash_with()
    lash.schedule(
        "daily", report.options(queue="slow", priority=2), ("sales",), cron="0  3 * * *", zone="Europe/Berlin"
    )
    (declared,) = report.schedules
    assert (declared.name, declared.task, declared.revision) == ("daily", "report", 1)
    assert (declared.rule.spec, declared.rule.zone) == ("cron 0 3 * * *", "Europe/Berlin")
    assert (declared.registration.queue, declared.registration.priority) == ("slow", 2)
    assert declared.location.startswith(__file__)


def test_two_schedules_of_one_name_are_refused() -> None:
    """Both places are named. The same line may run again, and the same content be said in two places."""
    lash, report = lash_with()
    for seconds in (5, 6):
        lash.schedule("daily", report, ("sales",), every=seconds)
    assert report.schedules[0].rule.spec == "every 6000"
    lash.schedule("daily", report, ("sales",), every=6)
    with pytest.raises(SettingsError, match=r"two schedules are named 'daily', at .*\.py:\d+ and at .*\.py:\d+"):
        lash.schedule("daily", report, ("sales",), every=5)


MODULE = """
from tests.unit.test_schedule_declarations import SHARED

lash, report = SHARED
lash.schedule("nightly", report, ("sales",), every={seconds})
"""
SHARED: Any = None


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return what modules in a folder of the test declare for."""
    monkeypatch.setattr(sys.modules[__name__], "SHARED", lash_with())
    monkeypatch.syspath_prepend(tmp_path)
    yield SHARED
    for name in ("declaring", "another"):
        sys.modules.pop(name, None)


def test_a_module_that_is_edited_and_reloaded_declares_its_schedules_anew(shared: Any, tmp_path: Path) -> None:
    """Whatever line they stand on now. Two lines of it are two places, also then."""
    _, report = shared
    file = tmp_path / "declaring.py"
    file.write_text(MODULE.format(seconds=5))
    module = importlib.import_module("declaring")
    file.write_text("# A line more.\n" + MODULE.format(seconds=100))
    importlib.reload(module)
    (declared,) = report.schedules
    assert (declared.rule.spec, declared.location) == ("every 100000", f"{file}:6")
    again = MODULE.format(seconds=200) + 'lash.schedule("nightly", report, ("sales",), every=3000)\n'
    file.write_text(again)
    with pytest.raises(SettingsError, match=rf"'nightly', at {file}:5 and at {file}:6"):
        importlib.reload(module)


def test_two_modules_that_declare_one_schedule_are_refused(shared: Any, tmp_path: Path) -> None:
    """With both places."""
    for name, seconds in (("declaring", 5), ("another", 60)):
        (tmp_path / f"{name}.py").write_text(MODULE.format(seconds=seconds))
    importlib.import_module("declaring")
    with pytest.raises(SettingsError, match=r"'nightly', at .*declaring\.py:5 and at .*another\.py:5"):
        importlib.import_module("another")
    (declared,) = shared[1].schedules
    assert declared.rule.spec == "every 5000"


def test_an_edited_cell_of_a_notebook_declares_its_schedule_anew() -> None:
    """Each run of a cell has a file name of its own. Two functions of the main program are two places."""
    lash, report = lash_with()
    here: dict[str, Any] = {"__name__": "__main__", "lash": lash, "report": report}

    def cell(number: int, code: str) -> None:
        exec(compile(code, f"/tmp/ipykernel_1/{number}.py", "exec"), here)  # noqa: S102 - as a notebook does

    for number in (5, 6):
        cell(number, f'lash.schedule("daily", report, ("sales",), every={number})')
        assert report.schedules[0].rule.spec == f"every {number}000"
    cell(7, 'def declare(every): lash.schedule("weekly", report, ("sales",), every=every)\ndeclare(5)\ndeclare(6)')
    cell(8, 'def declare(every):\n  lash.schedule("weekly", report, ("sales",), every=every)\ndeclare(7)')
    assert report.schedules[1].rule.spec == "every 7000"
    with pytest.raises(SettingsError, match=r"'weekly', at .*/8\.py:2 and at .*/9\.py:1"):
        cell(9, 'def other(): lash.schedule("weekly", report, ("sales",), every=8)\nother()')


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a::b", {}, "expected the name of a schedule to be 1 to 200 characters"),
        ("a:", {}, "expected the name of a schedule"),
        ("s", {"process_id": "p"}, "to have no process_id, got 'p': each tick is a process of its own, s::"),
        (
            "s",
            {"unique": Unique(key="report")},
            "to be without the option unique, got .*: a tick is submitted once anyway",
        ),
    ],
)
def test_what_no_tick_can_have_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    """With the reason."""
    lash, report = lash_with()
    with pytest.raises(SettingsError, match=message):
        lash.schedule(name, report.options(**options) if options else report, ("sales",), every=5)


def test_what_cannot_be_called_is_refused() -> None:
    """When it is declared, not each night."""
    lash, report = lash_with()
    with pytest.raises(PayloadError, match="what"):
        lash.schedule("s", report, every=5)
    with pytest.raises(PayloadError, match="arguments of schedule 's' to be at most 16384 bytes once encoded, got 2"):
        lash.schedule("s", report, ("x" * 20_000,), every=5)
    with pytest.raises(SettingsError, match="expected the task of a schedule to be what @lash"):
        lash.schedule("s", print, every=5)  # type: ignore[arg-type]
    for args in ("sales", 5, {"what": "sales"}, {"sales"}, iter(["sales"])):
        with pytest.raises(
            SettingsError, match=r"expected args to be a tuple or list of arguments, got .*: write \(…,\)"
        ):
            lash.schedule("s", report, args, every=5)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="expected kwargs to be a dict"):
        lash.schedule("s", report, (), ["sales"], every=5)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="expected revision to be an integer from 1"):
        lash.schedule("s", report, ("sales",), every=5, revision=0)


def test_a_sequence_has_no_schedule() -> None:
    """Its rows stand where their key says."""
    lash, report = lash_with(key="key", sequence=True, after_loss="halt")
    with pytest.raises(SettingsError, match="expected the task of schedule 's' to be no sequence, got report"):
        lash.schedule("s", report, ("sales", "ada"), every=5)

"""What ``lash.schedule`` declares, and what it refuses."""

from __future__ import annotations

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
    """Both places are named. The same line may run again, as in a notebook."""
    lash, report = lash_with()
    for seconds in (5, 6):
        lash.schedule("daily", report, ("sales",), every=seconds)
    assert report.schedules[0].rule.spec == "every 6000"
    with pytest.raises(SettingsError, match=r"two schedules are named 'daily', at .*\.py:\d+ and at .*\.py:\d+"):
        lash.schedule("daily", report, ("sales",), every=5)


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
    for args in ("sales", 5):
        with pytest.raises(SettingsError, match="expected args to be an iterable of arguments"):
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

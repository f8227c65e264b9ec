"""The tasks that a worker knows, and the lanes that it serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from lash_redis.core.errors import SettingsError
from lash_redis.core.lanes import lane, lane_parts
from lash_redis.tasks.catalogue import Catalogue
from lash_redis.tasks.declaration import Declaration, declare


def charge(order_id: str, amount: int = 1) -> None:
    """Do nothing."""


def refund(order_id: str) -> None:
    """Do nothing."""


def task(function: Any, name: str) -> Declaration:
    """Declare a function under a short name."""
    return declare(function, recovery="rerunnable", name=name)


@dataclass
class Wrapped:
    """An object with a declaration, as the decorator returns it."""

    declaration: Declaration


def test_a_lane_and_its_parts_are_inverse() -> None:
    """One module writes and reads the names of lanes."""
    assert lane("mail", "shop.charge", "00ff") == "mail|shop.charge|00ff"
    assert lane_parts("mail|shop.charge|00ff") == ("mail", "shop.charge", "00ff")


def test_the_lane_without_a_task_is_the_queue_alone() -> None:
    """Work without a task waits in it."""
    assert lane("mail") == "mail||"
    assert lane_parts("mail||") == ("mail", "", "")


@pytest.mark.parametrize("text", ["", "mail", "mail|", "||", "a|b|c|d"])
def test_a_text_that_is_no_lane_is_refused(text: str) -> None:
    """A part of a lane must not be taken for a queue."""
    with pytest.raises(SettingsError, match=r"queue\|task\|digest"):
        lane_parts(text)


def test_a_task_is_found_by_its_name() -> None:
    """A row has the name of its task."""
    declared = task(charge, "charge")
    assert Catalogue([declared]).find("charge") is declared


def test_an_unknown_task_is_not_found() -> None:
    """A worker leaves its work to one that knows it."""
    assert Catalogue([task(charge, "charge")]).find("refund") is None


def test_the_objects_that_the_decorator_returns_are_accepted() -> None:
    """A user passes them to a worker."""
    declared = task(charge, "charge")
    assert Catalogue([Wrapped(declared)]).find("charge") is declared


def test_a_bare_function_is_no_task() -> None:
    """It declares no recovery."""
    not_declared: Any = charge
    with pytest.raises(SettingsError, match=r"made by @lash\.task, got <function charge"):
        Catalogue([not_declared])


def test_two_functions_with_one_task_name_are_refused() -> None:
    """Only one of them could run. The error has the source location of both."""
    one, other = task(charge, "pay"), task(refund, "pay")
    with pytest.raises(SettingsError, match="'pay'") as refused:
        Catalogue([one, other])
    assert one.location in str(refused.value)
    assert other.location in str(refused.value)


def test_the_same_task_twice_is_one_task() -> None:
    """A program may collect its tasks from several modules."""
    assert len(Catalogue([task(charge, "charge"), task(charge, "charge")]).lanes(["mail"])[0]) == 4


def test_each_queue_has_a_lane_for_every_signature_and_one_without_a_task() -> None:
    """The worker never sees rows in other lanes."""
    declared = task(charge, "charge")
    newest, older, _ = declared.signature.served
    assert Catalogue([declared]).lanes(["a", "b"]) == [
        [f"a|charge|{newest}", f"a|charge|{older}", "a|charge|", "a||"],
        [f"b|charge|{newest}", f"b|charge|{older}", "b|charge|", "b||"],
    ]


def test_a_worker_without_tasks_serves_work_without_a_task() -> None:
    """Work with ``ExternalInput`` that the pool may run has no task."""
    assert Catalogue().lanes(["mail"]) == [["mail||"]]


def test_a_queue_that_would_break_a_lane_is_refused() -> None:
    """The parts of the lane could not be separated."""
    with pytest.raises(SettingsError, match="expected queue to be"):
        Catalogue().lanes(["a|b"])


def test_a_task_serves_the_lanes_of_its_former_names() -> None:
    """With the same signatures, in every queue, and it is one task."""
    renamed = declare(charge, recovery="owner_bound", name="shop.charge", aliases=["charge", "app.charge"])
    catalogue = Catalogue([renamed])
    digest = renamed.signature.digest

    lanes = catalogue.lanes(["mail"])[0]

    assert {lane("mail", name, digest) for name in ("shop.charge", "charge", "app.charge")} <= set(lanes)
    assert catalogue.find("charge") is catalogue.find("shop.charge") is renamed
    assert (catalogue.task_count, catalogue.declarations) == (1, [renamed])
    assert catalogue.owner_bound == ["shop.charge", "charge", "app.charge"]


def test_two_tasks_go_by_no_name_of_each_other() -> None:
    """A row under it would run as either."""
    one = declare(charge, recovery="rerunnable", name="charge", aliases=["pay"])
    for other in (
        declare(refund, recovery="rerunnable", name="pay"),
        declare(refund, recovery="rerunnable", name="refund", aliases=["pay"]),
        declare(refund, recovery="rerunnable", name="refund", aliases=["charge"]),
    ):
        with pytest.raises(SettingsError, match=r"two tasks go by the name '(pay|charge)': 'charge' at .* and '"):
            Catalogue([one, other])


@pytest.mark.parametrize("aliases", ["charge", ["a b"], ["pay", "pay"], ["charge"], [1]])
def test_what_can_be_no_alias_is_refused(aliases: Any) -> None:
    """Where the task is declared."""
    with pytest.raises(SettingsError, match=r"alias|task name"):
        declare(charge, recovery="rerunnable", name="charge", aliases=aliases)

"""What a task may declare of a sequence, and what one call has for it."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.app.lash import Lash
from lash_redis.core.errors import SettingsError
from lash_redis.core.policies import Policy
from tests.conformance.actors import outside


@pytest.fixture
def lash() -> Lash:
    """Return a Lash that makes no call."""
    return Lash("redis://nowhere")


def task(lash: Lash, recovery: Any = "owner_bound", **options: Any) -> Any:
    """Declare a task."""

    @lash.task(recovery=recovery, name="transfer", **options)
    def run(account: str = "bank", cents: int = 1) -> None:
        """Do nothing."""

    return run


@pytest.mark.parametrize("recovery", ["owner_bound", "rerunnable"])
@pytest.mark.parametrize(
    ("options", "scopes"),
    [
        ({"sequence": True, "after_loss": "halt"}, "!=transfer,"),
        ({"sequence": True, "after_loss": "continue"}, "~=transfer,"),
        ({"sequence": "money", "after_loss": "halt"}, "!money,"),
        ({"sequence": True, "after_loss": "halt", "within": Policy("api", False, 3)}, "!=transfer,api"),
    ],
)
def test_a_task_declares_a_sequence(lash: Lash, recovery: str, options: Any, scopes: str) -> None:
    """Its own, or one that several tasks share; of work that may run again and of work that may not."""
    registration = task(lash, recovery, key="account", **options).registration(("ada", 5), {})

    assert (registration.scopes, registration.key) == (scopes, "ada")
    assert registration.id.startswith("ada::p")


@pytest.mark.parametrize("after_loss", [None, "stop", True])
def test_what_follows_a_loss_has_no_default(lash: Lash, after_loss: Any) -> None:
    """The error has both choices, and what they mean."""
    with pytest.raises(SettingsError, match=r"(?s)no default, got .*'halt': nothing of its key.*'continue': the next"):
        task(lash, key="account", sequence=True, after_loss=after_loss)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"limit": 2}, "no limit beside its sequence, got 2: a key runs one at a time"),
        ({"rate": (1, 60)}, "no rate beside its sequence"),
        ({"cost": 2}, "no cost beside its sequence"),
        ({"fair": True}, "no fair beside its sequence"),
        ({"priority": 3}, "no priority beside its sequence, got 3: the order is that of the submits"),
        ({"within": Policy("api", True, 3)}, "a limit that all keys share beside its sequence, got limit 'api'"),
        ({"sequence": "a b"}, "expected sequence to be"),
    ],
)
def test_what_a_sequence_leaves_no_room_for_is_refused(lash: Lash, options: Any, says: str) -> None:
    """Where it is declared, with the reason."""
    with pytest.raises(SettingsError, match=says):
        task(lash, **({"key": "account", "sequence": True, "after_loss": "halt"} | options))


def test_after_loss_alone_is_refused(lash: Lash) -> None:
    """It would mean nothing."""
    with pytest.raises(SettingsError, match="to have sequence=True, got after_loss='halt' alone"):
        task(lash, key="account", after_loss="halt")


def test_a_priority_of_one_submit_is_refused(lash: Lash) -> None:
    """It would break the order."""
    ordered = task(lash, key="account", sequence=True, after_loss="halt")
    with pytest.raises(SettingsError, match="expected priority to be 0 of work in a sequence"):
        ordered.options(priority=1).registration(("ada",), {})


def test_a_submit_without_a_key_is_refused(lash: Lash) -> None:
    """A task that declares no parameter for it needs one at each submit."""
    ordered = task(lash, sequence=True, after_loss="halt")
    with pytest.raises(SettingsError, match="needs a key"):
        ordered.registration(("ada",), {})
    assert ordered.options(key="ada").registration(("bob",), {}).key == "ada"


@pytest.mark.parametrize("key", ["a b", "a::b", "x" * 250])
def test_a_key_that_cannot_be_a_route_makes_no_id(lash: Lash, key: str) -> None:
    """The id is as that of any other work; where there are several partitions the submit is refused."""
    ordered = task(lash, key="account", sequence=True, after_loss="halt")
    registration = ordered.registration((key,), {})

    assert (registration.key, registration.id[0], "::" in registration.id) == (key, "p", False)


def test_a_schedule_of_a_sequence_is_refused(lash: Lash) -> None:
    """The id of a tick begins with the schedule's name, and that of work in a sequence with its key."""
    ordered = task(lash, key="account", sequence=True, after_loss="halt")
    with pytest.raises(SettingsError, match="schedule a task that submits to it"):
        lash.schedule("nightly", ordered, ("bob",), every=60)


def test_what_runs_outside_stands_in_no_sequence() -> None:
    """Nobody claims it, so that nothing could keep its order."""
    with pytest.raises(SettingsError, match="expected scopes to be empty, since externally owned work"):
        outside("x", scopes="!work,", key="ada")

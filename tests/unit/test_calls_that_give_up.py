"""Operations of several calls that end without what was asked for, since others were faster each time."""

from __future__ import annotations

import collections
from collections.abc import Generator
from typing import Any

import pytest

from lash_redis.core.errors import OutcomePruned, RegistryUnavailable
from lash_redis.core.model import ProcessRegistration, RecoveryDisposition, TaskInput
from lash_redis.core.schedules import DueSchedule, ScheduleRule
from lash_redis.registry.calls import registration, schedules
from lash_redis.registry.calls.call import Namespace

NAMESPACE = Namespace("shop", 1)


def answered(answer: Any) -> Any:
    """Return an operation that answers at once, without a call."""

    def operation(*_args: object) -> Generator[Any, Any, Any]:
        yield from ()
        return answer

    return operation


def test_a_schedule_that_is_due_again_each_time_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller may do it again, and is told so as by a server that does not answer."""
    monkeypatch.setattr(schedules, "tick_schedules", answered([]))
    due = DueSchedule("nightly", 1, 0, 1, ScheduleRule("every 1000 ms", "UTC", "skip", 60_000))
    steps = schedules.pause_schedule(NAMESPACE, "nightly")
    next(steps)

    with pytest.raises(RegistryUnavailable, match="due again each time") as caught:
        collections.deque((steps.send(due) for _ in range(100)), maxlen=0)
    assert not caught.value.maybe_applied


def test_what_was_pruned_while_it_was_registered_has_no_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is gone, and so is what is kept of it: nobody can say how it ended."""
    for name, answer in {"submit_many": ["p"], "get": None, "tombstones": [None]}.items():
        monkeypatch.setattr(registration, name, answered(answer))
    asked = ProcessRegistration("p", TaskInput("shop.charge"), RecoveryDisposition.RERUNNABLE)

    with pytest.raises(OutcomePruned) as caught:
        next(registration.register(NAMESPACE, asked))
    assert caught.value.process_id == "p"

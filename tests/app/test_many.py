"""Many processes at once, as a program asks for it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from lash_redis.app.lash import Lash
from lash_redis.core.errors import SettingsError
from lash_redis.core.outcomes import Failure
from lash_redis.registry.calls.replaying import replay_id
from tests.app.working import finish


async def test_a_program_cancels_and_submits_again_by_task_and_label(lash: Lash) -> None:
    """A task is named by itself or by its name."""

    @lash.task(recovery="rerunnable", name="send")
    async def send(to: str) -> str:
        return to

    labelled = send.options(labels={"tenant": "42"})
    waits = await labelled.submit("a")
    bad = await labelled.submit("b")
    await finish(lash, bad, Failure("E", "no"))

    counted = await lash.cancel_many(task=send, by="ops", older_than=dt.timedelta(0), only_count=True)
    cancelled = await lash.cancel_many(labels={"tenant": "42"}, phase="queued", by="ops", reason="enough")
    again = await lash.replay_many("failed", task="send")

    assert (counted.found, cancelled.done, again.done) == (1, {"cancelled": 1}, {"submitted": 1})
    assert (await waits.record()).labels == {"tenant": "42"}
    assert (await lash.process(replay_id(bad.id)).record()).replay_of == bad.id


@pytest.mark.parametrize(
    ("meant", "said"),
    [
        ({}, "at least one of queue, task, phase, labels or older_than"),
        ({"colour": 1}, "expected a filter to be one of queue, task, labels, older_than, got 'colour'"),
        ({"phase": "odd"}, "expected phase to be one of 'queued'.*, got 'odd'"),
        ({"older_than": -1}, "expected older_than to be a number of seconds or a timedelta"),
    ],
)
def test_what_means_nothing_is_refused(lash: Lash, meant: dict[str, Any], said: str) -> None:
    """With what is allowed, also without an event loop."""
    with lash.blocking, pytest.raises(SettingsError, match=said):
        lash.blocking.cancel_many(by="ops", **meant)
    with lash.blocking, pytest.raises(SettingsError, match="expected state to be one of 'completed'"):
        lash.blocking.replay_many("running")

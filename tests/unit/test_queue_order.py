"""The order of the queues in a claim: as listed, or by weight."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from lash_redis.core.errors import SettingsError
from lash_redis.worker.queue_order import QueueOrder
from lash_redis.worker.settings import WorkerSettings, settings_from


def test_queues_without_weights_are_taken_in_their_order() -> None:
    """Always, and nothing is drawn."""
    settings = WorkerSettings(queues=("high", "low"))

    assert settings.queue_names == ("high", "low")
    assert QueueOrder(settings.queues).next() == ()


def test_a_queue_is_first_as_often_as_its_weight_says() -> None:
    """And one of the least weight is first now and then, so that it is never starved."""
    settings = settings_from({"queues": {"high": 8, "mid": 3, "low": 1}})
    order = QueueOrder(settings.queues)

    drawn = [order.next() for _ in range(6000)]

    assert settings.queue_names == ("high", "mid", "low")
    assert {tuple(sorted(each)) for each in drawn} == {("high", "low", "mid")}
    first = Counter(each[0] for each in drawn)
    assert first["high"] == pytest.approx(4000, rel=0.1)
    assert first["mid"] == pytest.approx(1500, rel=0.2)
    assert first["low"] == pytest.approx(500, rel=0.3)


@pytest.mark.parametrize("queues", [{"high": 5, "low": 1}, ["high=5", "low=1"], ("high=05", "low=1")])
def test_weights_are_given_as_numbers_or_as_text(queues: Any) -> None:
    """As programs and command lines write them."""
    assert WorkerSettings(queues=queues).queues == ("high=5", "low=1")


@pytest.mark.parametrize(
    ("queues", "said"),
    [
        ({"high": 0}, "weight of a queue to be an integer from 1 to 1000, got 0"),
        ({"high": True}, "weight of a queue to be an integer from 1 to 1000, got True"),
        (["high=", "low=1"], "weight of a queue to be an integer from 1 to 1000, got ''"),
        (["high=1.5"], "weight of a queue to be an integer from 1 to 1000, got '1.5'"),
        (["high=5", "low"], "expected queues to have a weight each or none at all, got high=5,low"),
        (["high=5", "high=6"], "expected queues to be distinct, got high,high"),
        ({}, "expected queues to name at least one queue, got none"),
        ({"a b": 1}, "expected queue to be 1 to 64 characters"),
    ],
)
def test_what_is_no_weight_is_refused(queues: Any, said: str) -> None:
    """With what is allowed."""
    with pytest.raises(SettingsError, match=said):
        WorkerSettings(queues=queues)

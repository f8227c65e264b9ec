"""The name under which a list of lanes is stored."""

from __future__ import annotations

import pytest

from lash_redis.registry import served_lanes
from lash_redis.registry.served_lanes import ServedLanes


def test_a_list_that_is_stored_in_another_way_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or two releases that run beside each other would find each other's lists incomplete for ever."""
    queues = [("default", ["default|mail|"])]
    now = ServedLanes(queues).name
    monkeypatch.setattr(served_lanes, "_FORMAT", "2")
    later = ServedLanes(queues).name
    assert now != later
    assert {now.rpartition(".")[2], later.rpartition(".")[2]} == {"1"}

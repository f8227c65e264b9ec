"""What the id of a process says of its schedule."""

from __future__ import annotations

import pytest

from lash_redis.core.current import CurrentProcess
from lash_redis.core.tick_ids import run_id, schedule_in, tick_id


@pytest.mark.parametrize(
    ("process_id", "found", "tick_ms"),
    [
        (tick_id("nightly", 1_795_822_440_000), ("nightly", 1_795_822_440_000), 1_795_822_440_000),
        (run_id("nightly", "x9"), ("nightly", None), None),
        ("plain", None, None),
        ("::7", None, None),
        ("order::7x", None, None),
        ("order::\u0667", None, None),
        (f"order::{'7' * 16}", None, None),
    ],
)
def test_an_id_says_of_which_time_of_its_schedule_a_process_is(
    process_id: str, found: tuple[str, int | None] | None, tick_ms: int | None
) -> None:
    """If it is that of a tick."""
    assert schedule_in(process_id) == found
    assert CurrentProcess(process_id, "report", 1).tick_ms == tick_ms

"""The name of a lane, ``queue|task|digest``.

A lane is one ordered set of queued rows that the same workers may run (rule 9.1). No part of it holds a ``|``. The
digest is empty for rows that were registered without the task's function. The task is empty too for work that has
none (``ExternalInput``).

Rows that have lost an owner twice stand in a lane of their own beside it, whose name ends in ``|alone``: a worker runs
one of them at a time (rule 4.6).
"""

from __future__ import annotations

from typing import Final

from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError

ALONE: Final = "|alone"
ALONE_LOSSES: Final = 2  # from so many losses on a row runs alone


def lane(queue: str, task: str = "", digest: str = "") -> str:
    """Return the lane of rows of ``task`` with this signature in ``queue``; the caller has checked all three."""
    return f"{queue}|{task}|{digest}"


def plain_lane(lane: str) -> str:
    """Return the lane without the mark of rows that run alone."""
    return lane.removesuffix(ALONE)


def runs_alone(lane: str) -> bool:
    """Say whether a worker runs the rows of a lane one at a time."""
    return lane.endswith(ALONE)


def lane_parts(lane: str) -> tuple[str, str, str]:
    """Return queue, task and digest of a lane, whether its rows run alone or not.

    Raises:
        SettingsError: the text is no lane.
    """
    parts = plain_lane(lane).split("|")
    if len(parts) != 3 or not parts[0]:
        raise SettingsError(f"expected a lane to be queue|task|digest, got {shown(lane)}")
    queue, task, digest = parts
    return queue, task, digest

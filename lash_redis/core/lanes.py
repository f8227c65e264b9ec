"""The name of a lane, ``queue|task|digest``.

A lane is one ordered set of queued rows that the same workers may run (rule 9.1). No part of it holds a ``|``. The
digest is empty for rows that were registered without the task's function. The task is empty too for work that has
none (``ExternalInput``).
"""

from __future__ import annotations

from lash_redis.core.errors import SettingsError

MAX_LANES = 500


def lane(queue: str, task: str = "", digest: str = "") -> str:
    """Return the lane of rows of ``task`` with this signature in ``queue``; the caller has checked all three."""
    return f"{queue}|{task}|{digest}"


def lane_parts(lane: str) -> tuple[str, str, str]:
    """Return queue, task and digest of a lane.

    Raises:
        SettingsError: the text is no lane.
    """
    parts = lane.split("|")
    if len(parts) != 3 or not parts[0]:
        raise SettingsError(f"expected a lane to be queue|task|digest, got {lane!r}")
    queue, task, digest = parts
    return queue, task, digest

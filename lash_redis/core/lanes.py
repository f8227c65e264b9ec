"""The names of lanes: ``queue|task|digest``, and of keyed ones ``queue|task|digest|scopes``.

A lane is one ordered set of queued rows that the same workers may run (rule 9.1). No part of it holds a ``|``. The
digest is empty for rows that were registered without the task's function. The task is empty too for work that has
none (``ExternalInput``).

The rows of a *keyed* lane have a key, and keys take turns (rule 9.12). Its scopes are ``BY_KEY,FOR_ALL``: the policy
that each key passes by itself, and the limit that all keys share; either may be empty. What a row of it says of its
lane goes on with ``|key``, which may hold anything.

Rows that have lost an owner twice stand in a lane of their own beside it, whose name ends in ``|alone``: a worker runs
one of them at a time (rule 4.6).
"""

from __future__ import annotations

from typing import Final

from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError

ALONE: Final = "|alone"
ALONE_LOSSES: Final = 2  # from so many losses on a row runs alone
_PLAIN_PARTS: Final = 3


def lane(queue: str, task: str = "", digest: str = "", scopes: str = "") -> str:
    """Return the lane of rows of ``task`` with this signature in ``queue``; the caller has checked all of it."""
    return f"{queue}|{task}|{digest}|{scopes}" if scopes else f"{queue}|{task}|{digest}"


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
    is_keyed = len(parts) == _PLAIN_PARTS + 1 and parts[-1].count(",") == 1
    if not (is_keyed or len(parts) == _PLAIN_PARTS) or not parts[0]:
        raise SettingsError(f"expected a lane to be queue|task|digest, got {shown(lane)}")
    queue, task, digest = parts[:_PLAIN_PARTS]
    return queue, task, digest


def scopes_of(lane: str) -> str:
    """Return the scopes of a keyed lane; empty for a plain one."""
    parts = plain_lane(lane).split("|")
    return parts[_PLAIN_PARTS] if len(parts) > _PLAIN_PARTS else ""


def unkeyed(lane: str) -> str:
    """Return the plain lane of the same queue, task and digest."""
    return "|".join(lane_parts(lane))


def with_key(lane: str, key: str) -> str:
    """Return what a row of a keyed lane says of its lane."""
    return f"{lane}|{key}"


def split_key(text: str) -> tuple[str, str | None]:
    """Return the lane and the key in what a row says of its lane; no key for a plain row."""
    parts = text.split("|", _PLAIN_PARTS + 1)
    if len(parts) <= _PLAIN_PARTS + 1:
        return text, None
    return "|".join(parts[:-1]), parts[-1]

"""Limits and rates as they stand, for people and as data, and which of them a queued process waits for."""

from __future__ import annotations

from typing import TypedDict

from lash_redis.core.policies import PolicyState
from lash_redis.operate.row_views import Plain


class LimitView(TypedDict):
    """A limit or a rate, and what waits for it."""

    name: str
    keyed: bool  # each key has it by itself
    limit: int | None  # how many slots may be taken at once
    starts: int | None  # in a window
    window_ms: int | None
    revision: int
    taken: int | None  # slots; None: each key has its own
    waiting: int  # queued processes in its lanes
    running_keys: int
    parked_keys: int


def limit_view(state: PolicyState) -> Plain:
    """Return a limit as data."""
    policy = state.policy
    view: LimitView = {
        "name": policy.scope,
        "keyed": policy.keyed,
        "limit": policy.limit or None,
        "starts": policy.starts or None,
        "window_ms": policy.window_ms or None,
        "revision": policy.revision,
        "taken": None if policy.keyed else state.taken,
        "waiting": state.waiting,
        "running_keys": state.running_keys,
        "parked_keys": state.parked_keys,
    }
    return dict(view)


def in_words(state: PolicyState) -> str:
    """Return a limit in one line."""
    policy = state.policy
    taken = "" if policy.keyed else f", {state.taken} taken"
    waits = "1 waits" if state.waiting == 1 else f"{state.waiting} wait"
    number = state.running_keys + state.parked_keys
    keys = f" of {number} key{'' if number == 1 else 's'}, {state.parked_keys} of them parked" if policy.keyed else ""
    return f"{policy.named}: {policy.text}{taken}; {waits}{keys} (revision {policy.revision})"

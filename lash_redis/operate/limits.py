"""Limits and rates as they stand, for people and as data: what they allow, what is taken, and which keys wait."""

from __future__ import annotations

from typing import Final, TypedDict

import msgspec

from lash_redis.core.lanes import lane_parts, scopes_of
from lash_redis.core.policies import Policy
from lash_redis.core.sequences import sequence_in
from lash_redis.core.times_in_words import ago
from lash_redis.operate.row_views import Plain
from lash_redis.registry.policy_states import KeyState, KeyStates, PolicyState
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row

MOST_KEYS: Final = 100  # that are read of a limit in each partition


class PolicyView(TypedDict):
    """What a limit or a rate allows."""

    name: str
    keyed: bool  # each key has it by itself
    limit: int | None  # how many slots may be taken at once
    starts: int | None  # in a window
    window_ms: int | None
    revision: int


class LimitView(PolicyView):
    """A limit or a rate, and what waits for it."""

    taken: int | None  # slots; None: each key has its own
    waiting: int  # queued processes in its lanes
    running_keys: int
    parked_keys: int
    otherwise: Plain | None  # the last declaration that does not hold: policy, at_ms
    keys: list[Plain]  # key, taken, uncertain, starts, why, detail; those with the most slots first
    keys_are_cut: bool  # more keys wait than were read


class Limit(msgspec.Struct, frozen=True):
    """A limit or a rate with the keys that wait for it; none if all keys share it."""

    state: PolicyState
    keys: KeyStates

    @property
    def is_cut(self) -> bool:
        """More keys wait than were read."""
        return self.keys.number > len(self.keys.keys)


async def limits_of(registry: ProcessRegistry, name: str = "") -> list[Limit]:
    """Read all limits, or those of this name, with the keys that wait for them."""
    found = []
    for state in await registry.limits(*((name, f"={name}") if name else ())):
        waits = state.policy.keyed and state.running_keys + state.parked_keys
        keys = await registry.keys_of_limit(state.policy.scope, MOST_KEYS) if waits else KeyStates([], 0)
        found.append(Limit(state, keys))
    return found


async def passed_by(registry: ProcessRegistry, row: Row) -> tuple[Policy, ...]:
    """Return the limits and rates that a row passes, as they stand."""
    scopes = [each for each in scopes_of(row.lane).split(",") if each and not sequence_in(each)]
    return tuple(state.policy for state in await registry.limits(*scopes)) if scopes else ()


def policy_view(policy: Policy) -> PolicyView:
    """Return what a limit allows, as data."""
    return {
        "name": policy.scope,
        "keyed": policy.keyed,
        "limit": policy.limit or None,
        "starts": policy.starts or None,
        "window_ms": policy.window_ms or None,
        "revision": policy.revision,
    }


def limit_view(limit: Limit) -> Plain:
    """Return a limit as data."""
    state, other = limit.state, limit.state.otherwise
    view: LimitView = {
        **policy_view(state.policy),
        "taken": None if state.policy.keyed else state.taken,
        "waiting": state.waiting,
        "running_keys": state.running_keys,
        "parked_keys": state.parked_keys,
        "otherwise": {"policy": policy_view(other.policy), "at_ms": other.at_ms} if other else None,
        "keys": [msgspec.to_builtins(each) for each in limit.keys.keys],
        "keys_are_cut": limit.is_cut,
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


def otherwise_in_words(state: PolicyState, now_ms: int) -> str:
    """Say what was declared and does not hold; empty if nothing was."""
    other = state.otherwise
    if other is None:
        return ""
    declared = f"{other.policy.text} (revision {other.policy.revision})"
    raise_it = f"raise its revision above {state.policy.revision} if it is to hold"
    return f"{ago(other.at_ms, now_ms)} a program declared {declared}, which does not hold: {raise_it}"


def key_in_words(key: KeyState, policy: Policy) -> str:
    """Return a key in one line: what it has, and why it is parked."""
    parts = [f"{key.taken} of {policy.limit} taken"] if policy.limit else []
    parts += [f"{key.uncertain} of them by uncertain work"] if key.uncertain else []
    parts += [f"{key.starts} of {policy.starts} started"] if policy.starts else []
    match key.why:
        case "slots":
            parts.append("parked until a slot is free")
        case "turn":
            queue, task, _ = lane_parts(key.detail)
            parts.append(f"parked: task {task} in queue {queue} is next")
        case "window":
            parts.append(f"parked until its window ends, in {int(key.detail) / 1000:.1f} s")
    return f"{key.key}: {', '.join(parts)}"

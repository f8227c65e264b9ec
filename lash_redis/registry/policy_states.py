"""Policies and the keys that wait for them, as they stand in the registry. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from lash_redis.core.policies import Policy


class Otherwise(msgspec.Struct, frozen=True):
    """A policy that was declared and does not hold, since another one of its revision or of a higher one stands.

    Attributes:
        policy: what was declared.
        at_ms: when, last.
    """

    policy: Policy
    at_ms: int


class PolicyState(msgspec.Struct, frozen=True):
    """A policy as it stands, and what waits for it.

    Attributes:
        policy: of all partitions together.
        taken: the slots that are taken, if all keys share them.
        waiting: queued rows in its lanes, 100 lanes at most of each partition.
        running_keys: keys of which a row may start.
        parked_keys: keys of which none may.
        otherwise: what was declared last and does not hold.
    """

    policy: Policy
    taken: int
    waiting: int
    running_keys: int
    parked_keys: int
    otherwise: Otherwise | None = None

    def with_share(self, other: PolicyState) -> PolicyState:
        """Return this with what stands in another partition."""
        here, there = self.otherwise, other.otherwise
        if here and there:
            here = Otherwise(_both(here.policy, there.policy), max(here.at_ms, there.at_ms))
        return PolicyState(
            _both(self.policy, other.policy),
            self.taken + other.taken,
            self.waiting + other.waiting,
            self.running_keys + other.running_keys,
            self.parked_keys + other.parked_keys,
            here or there,
        )


def _both(mine: Policy, theirs: Policy) -> Policy:
    return msgspec.structs.replace(
        mine,
        limit=mine.limit + theirs.limit,
        starts=mine.starts + theirs.starts,
        revision=max(mine.revision, theirs.revision),
    )


class KeyState(msgspec.Struct, frozen=True):
    """A key with rows that wait for a limit by key.

    Attributes:
        key: the key.
        taken: how many slots it has.
        uncertain: how many of them uncertain rows have: these are free once somebody says what became of the rows.
        starts: in the window that is open.
        why: why none of its rows may start; empty: one may. ``slots``: they are taken; ``turn``: another lane that
            shares them is next; ``window``: until its window ends.
        detail: the lane that is next, or how long until the window ends, ms.
    """

    key: str
    taken: int
    uncertain: int
    starts: int
    why: str = ""
    detail: str = ""

    def with_share(self, other: KeyState) -> KeyState:
        """Return this with what the key has in another partition."""
        why, detail = (self.why, self.detail) if self.why else (other.why, other.detail)
        taken, uncertain = self.taken + other.taken, self.uncertain + other.uncertain
        return KeyState(self.key, taken, uncertain, self.starts + other.starts, why, detail)


class KeyStates(msgspec.Struct, frozen=True):
    """Keys with rows that wait for a limit by key, those with the most slots and starts first.

    Attributes:
        keys: those that were read.
        number: how many there are; one that was not read counts in each lane in which it has rows.
    """

    keys: list[KeyState]
    number: int


_WORDS: Final = 5


def policy_text(policy: Policy) -> str:
    """Return the text that stands under the scope of a policy in a partition: its part there."""
    return f"{policy.revision} {int(policy.keyed)} {policy.limit} {policy.starts} {policy.window_ms}"


def stored_policy(scope: str, text: str) -> Policy:
    """Return what a partition's text says: its share."""
    revision, keyed, limit, starts, window_ms = map(int, text.split(" ")[:_WORDS])
    return Policy(scope, keyed == 1, limit, starts, window_ms, revision)


def stored_otherwise(scope: str, text: str) -> Otherwise | None:
    """Return what a partition's text says of the declaration that does not hold; None if there is none."""
    words = text.split(" ")[_WORDS:]
    return Otherwise(stored_policy(scope, " ".join(words)), int(words[_WORDS])) if len(words) > _WORDS else None

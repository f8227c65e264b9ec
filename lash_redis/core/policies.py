"""What a task, or a limit that several tasks share, allows to run at once and to start within a time. Pure.

A policy stands in the registry under its scope, with a revision, where the scripts read it (rule 9.12). Each partition
has its share of it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from lash_redis.core.errors import SettingsError
from lash_redis.core.shares import part_of

_TASK: Final = "="
MOST_SLOTS: Final = 1_000_000


class Policy(msgspec.Struct, frozen=True):
    """What stands under one scope.

    Attributes:
        scope: the limit's name, or ``=`` and the task's name for a policy that a task declares for itself.
        keyed: each key has it by itself; else all share it.
        limit: how many slots may be taken at once; 0: any number.
        starts: how many starts a window has; 0: any number.
        window_ms: how long a window is, from its first start on.
        revision: a higher one replaces what stands; with the same, what stands stays.
    """

    scope: str
    keyed: bool
    limit: int = 0
    starts: int = 0
    window_ms: int = 0
    revision: int = 1

    @property
    def named(self) -> str:
        """Whose it is, in words."""
        return scope_named(self.scope)

    @property
    def text(self) -> str:
        """What it allows, in words."""
        parts = [f"{self.limit} at once"] if self.limit else []
        parts += [f"{self.starts} in {self.window_ms / 1000:g} s"] if self.starts else []
        return f"{' and '.join(parts)}{' of each key' if self.keyed else ''}"

    def share(self, partition: int, partitions: int) -> str:
        """Return what stands in one partition.

        Raises:
            SettingsError: there are more partitions than slots or starts.
        """
        limit = part_of(f"limit of {self.named}", self.limit, partition, partitions)
        starts = part_of(f"the starts of rate of {self.named}", self.starts, partition, partitions)
        return f"{self.revision} {int(self.keyed)} {limit} {starts} {self.window_ms if self.starts else 0}"

    def check_cost(self, cost: int, partitions: int) -> None:
        """Refuse a cost that is above the share of a partition, which could never start as it is.

        Raises:
            SettingsError: it is, or the limit has less than one for each partition.
        """
        self.share(0, partitions)
        least = self.limit // partitions
        if self.limit and cost > least:
            where = f" in each of {partitions} partitions" if partitions > 1 else ""
            raise SettingsError(f"expected cost to be at most {least}, {self.named}{where}, got {cost}")


def scope_of_task(task: str) -> str:
    """Return the scope of what a task declares for itself. No limit can have such a name."""
    return f"{_TASK}{task}"


def scope_named(scope: str) -> str:
    """Return whose policy stands under a scope, in words."""
    return f"the limit of task {scope[1:]!r}" if scope.startswith(_TASK) else f"limit {scope!r}"


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
        number: how many there are.
    """

    keys: list[KeyState]
    number: int


_WORDS: Final = 5


def stored_policy(scope: str, text: str) -> Policy:
    """Return what a partition's text says: its share."""
    revision, keyed, limit, starts, window_ms = map(int, text.split(" ")[:_WORDS])
    return Policy(scope, keyed == 1, limit, starts, window_ms, revision)


def stored_otherwise(scope: str, text: str) -> Otherwise | None:
    """Return what a partition's text says of the declaration that does not hold; None if there is none."""
    words = text.split(" ")[_WORDS:]
    return Otherwise(stored_policy(scope, " ".join(words)), int(words[_WORDS])) if len(words) > _WORDS else None

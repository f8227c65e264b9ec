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

    def part_of(self, partition: int, partitions: int) -> Policy:
        """Return what stands in one partition: all parts together are the limit, and the starts.

        Raises:
            SettingsError: there are more partitions than slots or starts.
        """
        limit = part_of(f"limit of {self.named}", self.limit, partition, partitions)
        starts = part_of(f"the starts of rate of {self.named}", self.starts, partition, partitions)
        window_ms = self.window_ms if self.starts else 0
        return Policy(self.scope, self.keyed, limit, starts, window_ms, self.revision)

    def check_cost(self, cost: int, partitions: int) -> None:
        """Refuse a cost that is above the share of a partition, which could never start as it is.

        Raises:
            SettingsError: it is, or the limit has less than one for each partition.
        """
        self.part_of(0, partitions)
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

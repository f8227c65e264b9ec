"""Runs without a worker: attempts that are begun, and what came of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from lash_redis.core.model import ProcessLease
from lash_redis.core.outcomes import Failure, Success
from lash_redis.tasks.catalogue import Catalogue
from lash_redis.tasks.declaration import declare
from lash_redis.worker.attempt import Attempt
from lash_redis.worker.lanes import Lanes
from lash_redis.worker.run_contexts import RunContexts
from lash_redis.worker.run_end import RunEnd
from lash_redis.worker.runner import Runner
from tests.conformance.actors import ADA, claimed_row
from tests.support import wait_until

BOTH = pytest.mark.parametrize("kind", [0, 1], ids=["async", "plain"])


_numbers = itertools.count(1)


def attempt_at(*args: Any, task: str = "work", bound: bool = False) -> Attempt:
    """Return an attempt at calling a task."""
    lease = ProcessLease(f"p{next(_numbers)}", ADA, "token", 1, 0, 1)
    return Attempt(lease, claimed_row(lease, *args, task=task, bound=bound), 0)


class Runs:
    """Runs attempts and keeps what came of them."""

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        tasks = [] if function is None else [declare(function, recovery="rerunnable", name="work")]
        self.ends: list[RunEnd] = []
        self.changes: list[None] = []
        self.is_original = True
        self.runner = Runner(
            Catalogue(tasks),
            Lanes(Catalogue(tasks), ["default"]),
            lambda _attempt, end: self.ends.append(end),
            contexts=RunContexts(),
            on_change=lambda: self.changes.append(None),
            may_act=lambda: self.is_original,
        )

    def begin(self, *args: Any) -> Attempt:
        """Begin one attempt."""
        attempt = attempt_at(*args)
        self.runner.begin(attempt)
        return attempt

    async def result(self) -> Success | Failure:
        """Wait for the end and return what the code itself says."""
        return (await self.end()).result

    async def end(self) -> RunEnd:
        """Wait for one end, the only one, and return it."""
        await wait_until(lambda: self.ends, "it has ended")
        self.runner.close()
        assert len(self.ends) == 1
        return self.ends[0]

    async def results(self, count: int) -> list[Success | Failure]:
        """Wait for so many ends, and return what the code of each says."""
        await wait_until(lambda: len(self.ends) >= count, f"{count} have ended")
        self.runner.close()
        return [end.result for end in self.ends]

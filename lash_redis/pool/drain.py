"""The times of a pool's drain: when it began, whether it hurries, and how long each side may take."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from lash_redis.core.timing import boottime_ms, sleep
from lash_redis.worker.settings import WorkerSettings

T = TypeVar("T")

# The margin of ``must_allow_s``, 3 s, covers all of these, one after the other.
_WORKER_EXTRA_MS = 600  # a worker process may exceed its phases by this: to report, and for last calls without a phase
FINISH_MS = 500  # the supervisor may take this long after that
_LEAST_TELLING_S = 0.1  # the connection is closed before, in as much
_LEAVE_MS = 400  # for the end of the supervisor's own OS process
_SPARE_MS = 1_000  # nobody's: a busy machine is late with everything
_MOST_TELLING_S = 2.0

_POLL_S = 0.25


class PoolDrain:
    """The drain of one pool. A second signal shortens its grace to nothing; it is still a drain (rule 7.4)."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._workers_end_at_ms: int | None = None
        self._must_end_at_ms: int | None = None
        self.begun = asyncio.Event()
        self.hurried = False

    @property
    def has_begun(self) -> bool:
        """Whether the pool drains."""
        return self.begun.is_set()

    def begin(self) -> None:
        """Begin the drain."""
        if not self.has_begun:
            now_ms = boottime_ms()
            self._workers_end_at_ms = now_ms + self._settings.grace_ms + self._after_grace_ms()
            self._must_end_at_ms = now_ms + self._settings.must_allow_s * 1000 - _LEAVE_MS - _SPARE_MS
            self.begun.set()

    def hurry(self) -> None:
        """End the grace, and begin the drain if it has not begun."""
        self.begin()
        if not self.hurried and self._workers_end_at_ms is not None:
            self.hurried = True
            self._workers_end_at_ms = min(self._workers_end_at_ms, boottime_ms() + self._after_grace_ms())

    def _after_grace_ms(self) -> int:
        return self._settings.interrupt_ms + self._settings.last_writes_ms + _WORKER_EXTRA_MS

    @property
    def workers_left_s(self) -> float:
        """Seconds until a worker process that has not reported is killed; infinite before the drain."""
        return self._left_ms() / 1000

    @property
    def pool_left_s(self) -> float:
        """Seconds until the supervisor gives up what it could not write; infinite before the drain."""
        return self._left_ms(FINISH_MS) / 1000

    @property
    def finish_ms(self) -> int:
        """How long the supervisor may take to finish a drain that it cut short, ms."""
        return int(min(FINISH_MS, self._left_ms(FINISH_MS)))

    @property
    def telling_s(self) -> float:
        """Seconds that the report may take to be written: what is left of the time that the pool asked for."""
        left_ms = 0 if self._must_end_at_ms is None else self._must_end_at_ms - boottime_ms()
        return min(max(left_ms / 1000, _LEAST_TELLING_S), _MOST_TELLING_S)

    def _left_ms(self, extra_ms: int = 0) -> float:
        if self._workers_end_at_ms is None:
            return float("inf")
        return max(self._workers_end_at_ms + extra_ms - boottime_ms(), 0)

    async def in_time(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for ``work``, and stop it when the pool's own time is over.

        Raises:
            TimeoutError: the time was over first.
        """
        working = asyncio.ensure_future(work)
        timeout = asyncio.ensure_future(self._wait_for_pool_timeout())
        try:
            await asyncio.wait({working, timeout}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise TimeoutError("the registry did not answer in time")
            return working.result()
        finally:
            working.cancel()
            timeout.cancel()

    async def _wait_for_pool_timeout(self) -> None:
        await self.begun.wait()
        while self.pool_left_s > 0:
            await sleep(min(self.pool_left_s, _POLL_S))  # a second signal moves the end

"""How a pool leaves: when its drain began, whether it hurries, and until when a worker process may take."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from lash_redis.core.timing import boottime_ms, sleep
from lash_redis.worker.settings import WorkerSettings

T = TypeVar("T")

# Both, and the end of the supervisor's own OS process, are within the margin of ``must_allow_s``, which is 3 s.
_LATE_MS = 1_250  # what a worker process may take past its phases: its last calls may begin at their very end
FINISH_MS = 1_250  # what the supervisor may take after that

_LOOK_EVERY_S = 0.25


class PoolDrain:
    """The drain of one pool. A second signal shortens its grace to nothing; it is still a drain."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._ends_at_ms: int | None = None
        self.begun = asyncio.Event()
        self.hurried = False

    @property
    def has_begun(self) -> bool:
        """The pool drains."""
        return self.begun.is_set()

    def begin(self) -> None:
        """Begin the drain."""
        if not self.has_begun:
            self._ends_at_ms = boottime_ms() + self._settings.grace_ms + self._rest_ms()
            self.begun.set()

    def hurry(self) -> None:
        """End the grace, beginning the drain if need be."""
        self.begin()
        if not self.hurried and self._ends_at_ms is not None:
            self.hurried = True
            self._ends_at_ms = min(self._ends_at_ms, boottime_ms() + self._rest_ms())

    def _rest_ms(self) -> int:
        return self._settings.cancel_ms + self._settings.drain_ms + _LATE_MS

    @property
    def left_s(self) -> float:
        """Seconds until a worker process that has not reported is ended."""
        return self._left_ms() / 1000

    @property
    def closing_s(self) -> float:
        """Seconds until the supervisor gives up what it could not write."""
        return self._left_ms(FINISH_MS) / 1000

    @property
    def finish_ms(self) -> int:
        """How long the supervisor may take to finish a drain that it cut short, ms."""
        return int(min(FINISH_MS, self._left_ms(FINISH_MS)))

    def _left_ms(self, and_ms: int = 0) -> float:
        return float("inf") if self._ends_at_ms is None else max(self._ends_at_ms + and_ms - boottime_ms(), 0)

    async def in_time(self, work: Coroutine[Any, Any, T]) -> T:
        """Do ``work`` to its end, however long that takes, unless the pool's own time is over before.

        Raises:
            TimeoutError: it is.
        """
        doing = asyncio.ensure_future(work)
        closing = asyncio.ensure_future(self._closing_time())
        try:
            await asyncio.wait({doing, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise TimeoutError("the registry did not answer in time")
            return doing.result()
        finally:
            doing.cancel()
            closing.cancel()

    async def _closing_time(self) -> None:
        await self.begun.wait()
        while self.closing_s > 0:
            await sleep(min(self.closing_s, _LOOK_EVERY_S))  # a second signal moves it

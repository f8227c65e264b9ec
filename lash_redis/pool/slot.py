"""One place of a pool, in which one worker process lives after another."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from lash_redis.core.events import PoolDied
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import backoff
from lash_redis.pool.life import Ended, Life, Pool
from lash_redis.pool.osprocess import Spawn

_FIRST_S = 0.5
_LONGEST_S = 10.0
_LIVED_MS = 5_000


class Restarts:
    """How long to wait before the next life: at once, then 0.5 s doubling to 10 s (design, section 10). Pure.

    It begins afresh once one has lived 5 s after it was ready.
    """

    def __init__(self) -> None:
        self._in_a_row = 0

    def after(self, lived_ms: int | None) -> float:
        """Return how many seconds to wait after a life of so many ms since it was ready, None if it never was."""
        if lived_ms is not None and lived_ms >= _LIVED_MS:
            self._in_a_row = 0
        wait_s = backoff(self._in_a_row, _FIRST_S, _LONGEST_S)
        self._in_a_row += 1
        return wait_s


class Slot:
    """Keeps one worker process alive until the pool drains."""

    def __init__(self, pool: Pool, name: str, spawn: Spawn) -> None:
        self._pool = pool
        self._name = name
        self._spawn = spawn
        self._restarts = Restarts()
        self.life: Life | None = None

    async def run(self) -> Ended:
        """Live one life after another; return how the last one ended, once the pool drains."""
        drain = self._pool.drain
        while True:
            ended = await self._one_life()
            if ended.fatal is not None:
                self._pool.cannot_start(ended.fatal)
            if drain.has_begun:
                return ended
            with suppress(TimeoutError):
                async with asyncio.timeout(self._restarts.after(ended.lived_ms)):
                    await drain.begun.wait()
            if drain.has_begun:  # perhaps in the very moment in which the wait was over
                return Ended("not started again")

    async def _one_life(self) -> Ended:
        try:
            self.life = Life(self._pool, self._name, self._spawn)
        except OSError as error:
            emit(PoolDied(slot=self._name, pid=None, status=f"not started: {error}"))
            return Ended("not started", is_fault=True)
        try:
            return await self.life.live()
        finally:
            self.life = None

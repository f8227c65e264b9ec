"""One slot of a pool. Worker processes live in it one after another."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from lash_redis.core.events import PoolDied
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import backoff
from lash_redis.pool.life import Life
from lash_redis.pool.osprocess import Spawn
from lash_redis.pool.pool import LifeEnd, Pool

_FIRST_S = 0.5
_LONGEST_S = 10.0
_LONGEST_RELOADING_S = 2.0  # somebody has mended the code, and waits for it
_LIVED_MS = 5_000


class RestartDelay:
    """How long to wait before the next life: nothing, then 0.5 s doubling to 10 s. Pure.

    A worker process that dies at its start must not keep the machine busy with starting it. After a life of 5 s since
    it was ready the delay begins at nothing again.

    Args:
        reloads: each life is to leave when the code changes. One that has left so is followed at once, and after code
            that cannot be imported nobody waits for longer than 2 s.
    """

    def __init__(self, *, reloads: bool = False) -> None:
        self._reloads = reloads
        self._in_a_row = 0

    def after(self, end: LifeEnd) -> float:
        """Return the seconds to wait after a life."""
        if (end.lived_ms is not None and end.lived_ms >= _LIVED_MS) or (self._reloads and end.has_left):
            self._in_a_row = 0
        wait_s = backoff(self._in_a_row, _FIRST_S, _LONGEST_RELOADING_S if self._reloads else _LONGEST_S)
        self._in_a_row += 1
        return wait_s


class Slot:
    """Keeps one worker process alive until the pool drains."""

    def __init__(self, pool: Pool, name: str, spawn: Spawn) -> None:
        self._pool = pool
        self._name = name
        self._spawn = spawn
        self._delay = RestartDelay(reloads=pool.settings.reload)
        self._failed_starts = 0
        self.life: Life | None = None

    async def run(self) -> LifeEnd:
        """Run one life after another until the pool drains; return how the last one ended."""
        drain = self._pool.drain
        while True:
            end = await self._run_life()
            if end.lived_ms is not None:
                self._failed_starts = 0
            else:
                self._failed_starts += 1
            self._pool.on_life_end(end, self._failed_starts)
            if drain.has_begun or (self._pool.settings.worker.leaves_when_empty and end.has_left):
                return end
            with suppress(TimeoutError):
                async with asyncio.timeout(self._delay.after(end)):
                    await drain.begun.wait()
            if drain.has_begun:  # perhaps at the very moment when the wait ended
                return LifeEnd("not started again")

    async def _run_life(self) -> LifeEnd:
        try:
            self.life = Life(self._pool, self._name, self._spawn)
        except OSError as error:
            self._pool.first_words.begin()
            emit(PoolDied(slot=self._name, pid=None, status=f"not started: {error}"))
            return LifeEnd("not started", is_fault=True)
        try:
            return await self.life.live()
        finally:
            self.life = None

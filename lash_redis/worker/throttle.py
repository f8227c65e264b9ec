"""How much work is claimed while the system gives no new thread: what could not begin would only be given back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lash_redis.core.timing import backoff, boottime_ms

_FIRST_S = 0.25
_LONGEST_S = 5.0


class Throttle:
    """Limits claims once a thread could not be started, until one can be started again.

    Args:
        on_change: called when more may be claimed.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._failures = 0
        self._try_at_ms = 0
        self._waking: asyncio.TimerHandle | None = None

    @property
    def is_on(self) -> bool:
        """Whether claims are limited."""
        return self._failures > 0

    def room(self, idle_threads: int) -> int:
        """Return how many runs may be claimed while this is on: those for idle threads, and now and then one more.

        One that needs no thread is begun all the same, and leaves the limit as it is.
        """
        return idle_threads + (boottime_ms() >= self._try_at_ms)

    def failed(self) -> None:
        """Note that a thread could not be started."""
        self._failures += 1
        wait_s = backoff(self._failures, _FIRST_S, _LONGEST_S)
        self._try_at_ms = boottime_ms() + int(wait_s * 1000)
        self.close()
        # A little later, so that the time has come by this clock too.
        self._waking = asyncio.get_running_loop().call_later(wait_s + 0.01, self._on_change)

    def succeeded(self) -> None:
        """Note that a thread was started."""
        self._failures = 0

    def close(self) -> None:
        """Wake nobody any more."""
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None

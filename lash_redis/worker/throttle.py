"""How much work is claimed while the system gives no new thread: what could not begin would only be given back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lash_redis.core.timing import backoff, call_later

_FIRST_S = 0.25
_LONGEST_S = 5.0


class Throttle:
    """Limits claims once a thread could not be started, until one can be started again.

    Args:
        on_due: called when it is time to try again, and every 5 s after that while this is on.
    """

    def __init__(self, on_due: Callable[[], None]) -> None:
        self._on_due = on_due
        self._failures = 0
        self._is_time = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_on(self) -> bool:
        """Whether claims are limited."""
        return self._failures > 0

    def room(self, idle_threads: int) -> int:
        """Return how many runs may be claimed while this is on: those for idle threads, and one more if it is time.

        One that needs no thread is begun all the same, and leaves the limit as it is.
        """
        return idle_threads + self._is_time

    def failed(self) -> None:
        """Note that a thread could not be started for a run."""
        self._failures += 1
        self._is_time = False
        self._wake_in(backoff(self._failures, _FIRST_S, _LONGEST_S))

    def succeeded(self) -> None:
        """Note that a thread was started."""
        self._failures = 0
        self.close()

    def close(self) -> None:
        """Wake nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake_in(self, seconds: float) -> None:
        self.close()
        self._timer = call_later(asyncio.get_running_loop(), seconds, self._wake)

    def _wake(self) -> None:
        self._is_time = True
        self._wake_in(_LONGEST_S)
        self._on_due()

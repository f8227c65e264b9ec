"""Time, sleeping, timers and randomness, in the only module that asks the machine for them (rule 11.4).

Every function goes through one clock, which ``use`` replaces whole. Waits are in seconds, as in asyncio. Moments are
integer milliseconds and are compared only with moments of the same machine: leases live by the server's time.

Timeouts of asyncio count by the clock of the event loop; a simulation replaces that one together with this clock.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import time
from asyncio import TimerHandle
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

_RANDOM_BYTES = 16  # 128 bits: names minted without asking anybody
_TOKEN_LENGTH = 22  # characters of 6 bits that have as many
_TOKEN_BYTES, _TOKEN_TEXT = 18, 24  # what base64 makes of whole groups, so that a token begins at a character
BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)
_MOST_DOUBLINGS = 64  # any wait has reached its maximum by then, and a larger power overflows a float


class Clock:
    """This machine's clocks, sleeps and randomness. A test overrides what it wants to control."""

    def boottime_ms(self) -> int:
        """Return the time since boot, ms, including the time spent suspended where the platform counts it."""
        if BOOT_CLOCK is None:
            return time.monotonic_ns() // 1_000_000
        return time.clock_gettime_ns(BOOT_CLOCK) // 1_000_000

    def wall_ms(self) -> int:
        """Return the wall clock, ms since 1970."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds`` while the event loop goes on."""
        await asyncio.sleep(seconds)

    def call_later(self, loop: asyncio.AbstractEventLoop, seconds: float, act: Callable[[], object]) -> TimerHandle:
        """Call ``act`` on an event loop after ``seconds``, unless that is cancelled."""
        return loop.call_later(seconds, act)

    def pause(self, seconds: float) -> None:
        """Block this thread for ``seconds``."""
        time.sleep(seconds)

    def random_bytes(self, count: int) -> bytes:
        """Return ``count`` bytes from the operating system's source."""
        return os.urandom(count)

    def random_fraction(self) -> float:
        """Return a number in [0, 1). It spreads load; it never names anything."""
        return random.random()


_clock = Clock()


@contextmanager
def use(clock: Clock) -> Iterator[None]:
    """Replace the machine's clock by ``clock`` in this whole OS process until the block ends."""
    global _clock
    before, _clock = _clock, clock
    try:
        yield
    finally:
        _clock = before


def boottime_ms() -> int:
    """Return the clock by which a holder trusts its lease, ms since boot.

    It runs on while the machine is suspended, and never steps (rule 6.1). Where there is no ``CLOCK_BOOTTIME`` it is
    the monotonic clock.
    """
    return _clock.boottime_ms()


def wall_ms() -> int:
    """Return the wall clock, ms since 1970. It may step either way, so it is shown to people and decides nothing."""
    return _clock.wall_ms()


async def sleep(seconds: float) -> None:
    """Wait for ``seconds`` while the event loop goes on."""
    await _clock.sleep(seconds)


def call_later(loop: asyncio.AbstractEventLoop, seconds: float, act: Callable[[], object]) -> TimerHandle:
    """Call ``act`` on an event loop after ``seconds``, unless that is cancelled."""
    return _clock.call_later(loop, seconds, act)


def pause(seconds: float) -> None:
    """Block this thread for ``seconds``."""
    _clock.pause(seconds)


def jittered(value: float, fraction: float) -> float:
    """Return ``value`` moved at random by at most ``fraction`` of it, so that many workers do not act at once."""
    return value * (1 + fraction * (2 * _clock.random_fraction() - 1))


def random_fraction() -> float:
    """Return a random number from 0 up to 1."""
    return _clock.random_fraction()


def random_token() -> str:
    """Return 128 random bits as 22 characters of ``[A-Za-z0-9_-]``: the name of a lease, a batch, a child."""
    return base64.urlsafe_b64encode(_clock.random_bytes(_RANDOM_BYTES)).rstrip(b"=").decode("ascii")


def random_tokens(count: int) -> list[str]:
    """Return as many texts like that of ``random_token``, made at once; the machine is asked once."""
    text = base64.urlsafe_b64encode(_clock.random_bytes(_TOKEN_BYTES * count)).decode("ascii")
    return [text[at : at + _TOKEN_LENGTH] for at in range(0, _TOKEN_TEXT * count, _TOKEN_TEXT)]


def new_incarnation_id() -> str:
    """Return 128 random bits as 32 hex digits: one life of one worker process."""
    return _clock.random_bytes(_RANDOM_BYTES).hex()


def backoff(failures: int, first_s: float, most_s: float) -> float:
    """Return how long to wait, s, after so many ``failures`` in a row.

    Without a failure it is 0. Then it is ``first_s``, doubling up to ``most_s``. Spread it with ``jittered`` where many
    wait together.
    """
    if failures <= 0:
        return 0.0
    return float(min(first_s * 2 ** min(failures - 1, _MOST_DOUBLINGS), most_s))


async def within(budget_ms: int, work: Coroutine[Any, Any, T]) -> T:
    """Do ``work`` within ``budget_ms``, so that a server that hangs does not hold up a drain.

    Once its time is over it is cancelled and not waited for: what it may have sent can be sent again (rule 8.4).

    Raises:
        TimeoutError: it did not end in time.
    """
    doing = asyncio.ensure_future(work)
    try:
        await asyncio.wait({doing}, timeout=max(budget_ms, 0) / 1000)
        if not doing.done():
            raise TimeoutError("the registry did not answer in time")
        return doing.result()
    finally:
        doing.cancel()


def is_cancelled() -> bool:
    """Return whether somebody cancelled the running task, whatever was raised in it or swallowed.

    Any code can raise ``CancelledError``, and the ``wait_for`` of Python 3.11 can swallow it.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop runs: a task that a closed loop left behind is taken apart
        return False
    return task is not None and task.cancelling() > 0

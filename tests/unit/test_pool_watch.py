"""Services of a supervisor that are never missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from lash_redis.core import timing
from lash_redis.core.events import Event, PoolFault
from lash_redis.core.subscribers import subscribed
from lash_redis.core.timing import Clock
from lash_redis.pool.watch import keep_running
from tests.support import wait_until


class Impatient(Clock):
    """A clock by which no wait takes time; it notes them."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Note it."""
        self.waits.append(seconds)
        await asyncio.sleep(0)

    def random_fraction(self) -> float:
        """Return the middle."""
        return 0.5


@pytest.fixture
async def clock() -> AsyncIterator[Impatient]:
    """Replace the machine's clock."""
    clock = Impatient()
    with timing.use(clock):
        yield clock


async def cancelled_by_something() -> None:
    """End as a service does into which a bug has raised a cancellation."""
    raise asyncio.CancelledError


async def nothing() -> None:
    """End at once."""


async def failing() -> None:
    """Fail as a socket does."""
    raise OSError("no more files")


@pytest.mark.parametrize(
    ("service", "reason"),
    [
        (failing, "OSError: no more files"),
        (nothing, "it ended"),
        (cancelled_by_something, "something cancelled it"),
    ],
)
async def test_a_service_that_ends_is_told_of_and_started_again(
    clock: Impatient, service: Callable[[], Awaitable[None]], reason: str
) -> None:
    """Whatever ended it. The waits between its lives double up to a bound."""
    lives, events = 0, list[Event]()
    goes_on = asyncio.Event()

    async def live() -> None:
        nonlocal lives
        lives += 1
        if lives > 7:
            goes_on.set()
            await asyncio.Event().wait()
        await service()

    with subscribed(events.append):
        kept = asyncio.create_task(keep_running("renewal", live))
        await goes_on.wait()
        kept.cancel()
        await asyncio.wait([kept])

    assert kept.cancelled()
    assert events == [PoolFault(part="renewal", reason=reason)] * 7
    assert clock.waits == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


async def test_a_service_is_cancelled_with_its_watch() -> None:
    """The end of a pool ends it, and it is not started again."""
    running = asyncio.Event()
    lives = 0

    async def live() -> None:
        nonlocal lives
        lives += 1
        running.set()
        await asyncio.Event().wait()

    kept = asyncio.create_task(keep_running("renewal", live))
    await running.wait()
    kept.cancel()
    await wait_until(kept.done, "it has ended")

    assert (kept.cancelled(), lives) == (True, 1)

"""What a periodic loop is, and how it is repeated."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, Protocol

from lash_redis.core.errors import RecordedDead
from lash_redis.core.loops import running_loop
from lash_redis.core.timing import jittered, sleep
from lash_redis.core.trouble import SURVIVED, Trouble
from lash_redis.registry.transport.in_turn import in_turn


class Loop(Protocol):
    """One thing that a worker does again and again.

    Attributes:
        operation: its name in ``worker.unavailable``.
        every_s: seconds between two steps.
        spread: how far that time is moved at random, as a fraction of it, so that many workers do not act at once.
    """

    operation: str
    every_s: float
    spread: float

    async def step(self) -> None:
        """Do it once."""


async def repeat(loop: Loop) -> NoReturn:
    """Wait, then step, for ever; report what goes wrong and go on. Ends by cancellation."""
    trouble = Trouble(loop.operation)
    while True:
        try:
            await sleep(jittered(loop.every_s, loop.spread))
            with in_turn():
                await loop.step()
        except SURVIVED as error:  # no error ends a loop
            _leave_if_left_behind(error)
            trouble.met(error)
        else:
            trouble.over()


async def lasting(operation: str, service: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a service until it ends by itself, by cancellation or in a forked copy; what else ends it is told.

    Raises:
        RecordedDead: others take this worker for dead.
    """
    trouble, pause_s = Trouble(operation), 0.0
    while True:
        try:
            if pause_s:
                await sleep(pause_s)
            await service()
        except RecordedDead:
            raise
        except SURVIVED as error:  # no error ends what holds leases or results
            _leave_if_left_behind(error)
            pause_s = trouble.met(error)
        else:
            return


def _leave_if_left_behind(error: BaseException) -> None:
    """Raise the error where no event loop runs: it was closed, and Python takes apart what it left behind.

    Nothing can be waited for there, so that a loop that went on would never end.
    """
    if running_loop() is None:
        raise error

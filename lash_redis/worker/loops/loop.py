"""What a periodic loop is, and how it is repeated."""

from __future__ import annotations

from typing import NoReturn, Protocol

from lash_redis.core.timing import jittered, sleep
from lash_redis.core.trouble import Trouble


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
        await sleep(jittered(loop.every_s, loop.spread))
        try:
            await loop.step()
        except Exception as error:  # noqa: BLE001 - no error ends a loop
            trouble.met(error)
        else:
            trouble.over()

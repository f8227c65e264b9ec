"""What repeats for ever ends where its event loop was closed under it, and Python takes apart what is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from lash_redis.core.timing import is_cancelled
from lash_redis.worker.loops.loop import lasting, repeat


class Waiting:
    """A loop whose step waits, and needs its event loop once more as it ends."""

    operation = "wait"
    every_s = 0.0
    spread = 0.0

    def __init__(self) -> None:
        self.steps = 0

    async def step(self) -> None:
        """Wait for ever."""
        self.steps += 1
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    "begin", [repeat, lambda waiting: lasting("wait", waiting.step)], ids=["a loop", "a service that lasts"]
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_a_closed_event_loop_left_behind_ends(begin: Callable[[Waiting], Coroutine[Any, Any, None]]) -> None:
    """Going on would need an event loop: it would turn for ever without one, and its OS process could not end."""
    waiting, loop = Waiting(), asyncio.new_event_loop()
    task = loop.create_task(begin(waiting))
    while not waiting.steps:
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    coroutine = task.get_coro()
    assert coroutine is not None
    with pytest.raises(RuntimeError, match="no running event loop"):
        coroutine.close()
    assert waiting.steps == 1
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio would tell of it


def test_without_an_event_loop_nothing_is_cancelled() -> None:
    """It is asked where what a closed loop left behind is taken apart."""
    assert not is_cancelled()

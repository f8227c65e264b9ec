"""Blocking work beside the event loop of a supervisor, for which nothing waits when the pool ends.

An executor's threads are joined at the end of the event loop and of the interpreter, however long their work takes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from lash_redis.pool.signals import block_signals

T = TypeVar("T")


async def in_background(work: Callable[[], T]) -> T:
    """Do blocking work in a daemon thread. If this is cancelled, the thread goes on alone.

    Raises:
        RuntimeError: the system gives no thread.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # a T unless there is an error

    def run() -> None:
        block_signals()
        result, error = None, None
        try:
            result = work()
        except Exception as raised:  # noqa: BLE001 - it is raised where the work was asked for
            error = raised
        with suppress(RuntimeError):  # the event loop has ended
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=run, name="background", daemon=True).start()
    return await done

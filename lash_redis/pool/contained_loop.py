"""An event loop that user code cannot end.

asyncio lets ``SystemExit`` and ``KeyboardInterrupt`` out of any asyncio task and any callback, and they end the event
loop with everything on it. So does whatever the handler of a signal raises while the event loop waits. Here the work of
neighbours goes on. The asyncio task that raised has ended with it, and
whoever awaits that task gets it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any

from lash_redis.core.events import WorkerExitRefused
from lash_redis.core.subscribers import emit
from lash_redis.worker.forked_copy import end_copy

_MOST_WITHOUT_PROGRESS = 5


def run_contained(
    work: Coroutine[Any, Any, None],
    on_loop: Callable[[asyncio.AbstractEventLoop], None],
    on_end: Callable[[BaseException | None], None],
) -> None:
    """Run a coroutine to its end, as ``asyncio.run`` does, whatever else on its event loop asks for the end.

    Args:
        work: the coroutine; it alone decides when the event loop ends.
        on_loop: called with the event loop before anything runs on it.
        on_end: called once with what the coroutine or the event loop raised, before what is left is cancelled and
            threads are waited for, which may take for ever.
    """
    runner, pid = asyncio.Runner(), os.getpid()
    loop = runner.get_loop()
    on_loop(loop)
    main = loop.create_task(work)
    main.add_done_callback(lambda _done: loop.stop())
    error: BaseException | None = None
    try:
        _Rounds(loop, main).run()
        main.result()
    except BaseException as raised:  # noqa: BLE001 - CancelledError too, if user code cancels all there is
        error = raised
    if os.getpid() != pid:
        end_copy(RuntimeError("a forked copy of a worker process has no event loop to go back to"))
    on_end(error)
    with suppress(BaseException):  # what user code raises as it is cancelled: nothing of it is left to be told
        runner.close()


class _Rounds:
    """Runs an event loop again whenever something other than its main task has ended it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, main: asyncio.Task[Any]) -> None:
        self._loop = loop
        self._main = main
        self._to_tell: list[BaseException | None] = []
        self._without_progress = 0

    def run(self) -> None:
        """Return once the main task has ended.

        Raises:
            BaseException: what ends the event loop again and again before it has done anything, such as a selector that
                user code has closed.
        """
        while not self._main.done():
            try:
                self._tell()
                self._loop.call_soon(self._progress)
                self._loop.run_forever()
                self._to_tell.append(None)
            except BaseException as error:  # whatever code beside the main task raises, or a handler of a signal
                self._to_tell.append(error)
                self._without_progress += 1
                if self._without_progress > _MOST_WITHOUT_PROGRESS or self._loop.is_closed():
                    raise

    def _progress(self) -> None:
        self._without_progress = 0

    def _tell(self) -> None:
        while self._to_tell:
            error = self._to_tell.pop()
            asked_by = "loop.stop" if error is None else type(error).__name__
            emit(WorkerExitRefused(asked_by=asked_by, where=_place(error.__traceback__ if error is not None else None)))


def _place(trace: TracebackType | None) -> str:
    """Return where an exception was raised: ``file:line``."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"

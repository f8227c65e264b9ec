"""Run the function of one attempt, and report how its code ended. What that means is decided in ``ending``."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from lash_redis.core.errors import PayloadError, StopRequested
from lash_redis.core.model import Failure, Success
from lash_redis.registry.codec import decode_call
from lash_redis.tasks.arguments import Undecodable, encode_result, unbind
from lash_redis.tasks.catalogue import Catalogue
from lash_redis.tasks.declaration import Declaration
from lash_redis.worker.attempt import Attempt
from lash_redis.worker.ending import How
from lash_redis.worker.failures import bounded, failure_of
from lash_redis.worker.threads import Run, Threads


class RunEnd(msgspec.Struct, frozen=True):
    """How the code of one run ended.

    Attributes:
        how: in one word.
        result: what the code returned, or the failure that its exception is.
    """

    how: How
    result: Success | Failure


OnEnd = Callable[[Attempt, RunEnd], None]


class Runner:
    """Begins attempts: ``async`` functions on the event loop, plain ones in threads.

    ``on_end`` is called on the event loop, once for each attempt, after its code has really ended.
    """

    def __init__(self, catalogue: Catalogue, on_end: OnEnd) -> None:
        self._catalogue = catalogue
        self._on_end = on_end
        self._threads = Threads()
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, attempt: Attempt) -> None:
        """Begin an attempt; never raises for what the attempt carries."""
        declaration = self._catalogue.find(attempt.task)
        try:
            call = decode_call(attempt.row.input)
            if declaration is None or call is None:
                self._fail(attempt, "no_input", "there is nothing to execute")
                return
            args, kwargs = unbind(declaration, *call)
        except Undecodable as error:
            self._fail(attempt, "undecodable", str(error))
            return
        except Exception as error:  # noqa: BLE001 - damaged data ends one process, never the worker
            self._fail(attempt, "undecodable", repr(error))
            return
        if declaration.is_async:
            self._begin_async(attempt, declaration, args, kwargs)
        else:
            self._begin_plain(attempt, declaration, args, kwargs)

    def close(self) -> None:
        """Let idle threads end."""
        self._threads.close()

    def _fail(self, attempt: Attempt, code: str, message: str) -> None:
        self._on_end(attempt, RunEnd(How.RAISED, Failure(code, bounded(message))))

    def _begin_async(
        self, attempt: Attempt, declaration: Declaration, args: list[Any], kwargs: Mapping[str, Any]
    ) -> None:
        async def run() -> None:
            value, error = None, None
            try:
                value = await declaration.function(*args, **kwargs)
            except BaseException as raised:  # noqa: BLE001 - also SystemExit: it ends the process, not the worker
                error = raised
            self._on_end(attempt, run_end(declaration, value, error))

        task = asyncio.get_running_loop().create_task(run(), name=attempt.process_id)
        attempt.interrupt = task.cancel
        self._running.add(task)
        # A task that is cancelled before its first step never reaches our own code.
        task.add_done_callback(lambda done: self._async_done(attempt, declaration, done))

    def _async_done(self, attempt: Attempt, declaration: Declaration, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if task.cancelled() and not attempt.ended:
            self._on_end(attempt, run_end(declaration, None, asyncio.CancelledError()))

    def _begin_plain(
        self, attempt: Attempt, declaration: Declaration, args: list[Any], kwargs: Mapping[str, Any]
    ) -> None:
        loop = asyncio.get_running_loop()

        def ended(value: Any, error: BaseException | None) -> None:
            end = run_end(declaration, value, error)
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._on_end, attempt, end)

        run = Run(functools.partial(declaration.function, *args, **kwargs), ended)
        attempt.interrupt = run.interrupt
        self._threads.submit(run)


def run_end(declaration: Declaration, value: Any, error: BaseException | None) -> RunEnd:
    """Return how a run ended; a result that cannot be carried is a failure."""
    if error is None:
        try:
            return RunEnd(How.RETURNED, Success(encode_result(declaration, value)))
        except PayloadError as refused:
            return RunEnd(How.RAISED, failure_of(refused))
    is_interrupted = isinstance(error, (asyncio.CancelledError, StopRequested))
    return RunEnd(How.INTERRUPTED if is_interrupted else How.RAISED, failure_of(error))

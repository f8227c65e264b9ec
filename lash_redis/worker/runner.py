"""Run one function and say what came of it. No Redis here; a run's end is classified in one place."""

from __future__ import annotations

import asyncio
import functools
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from lash_redis.core.errors import PayloadError, StopRequested
from lash_redis.core.events import ProcessFailed
from lash_redis.core.model import Cancelled, Failure, Outcome, Success
from lash_redis.core.subscribers import emit
from lash_redis.registry.codec import decode_call
from lash_redis.tasks.arguments import Undecodable, encode_result, unbind
from lash_redis.tasks.catalogue import Catalogue
from lash_redis.tasks.declaration import Declaration
from lash_redis.worker.attempt import Attempt, Stop
from lash_redis.worker.threads import Run, Threads

MAX_ERROR_TEXT = 16_384

OnEnd = Callable[[Attempt, Outcome | None], None]


class Runner:
    """Begins attempts: ``async`` tasks on the event loop, plain ones in threads.

    ``on_end`` is called on the event loop, once an attempt, after its code has really ended; with None where the work
    was stopped for our own reasons and so has no result.
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
            call = decode_call(attempt.input)
            if declaration is None or call is None:
                self._on_end(attempt, Failure("no_input", "there is nothing to execute"))
                return
            args, kwargs = unbind(declaration, *call)
        except Undecodable as error:
            self._on_end(attempt, Failure("undecodable", _bounded(str(error))))
            return
        except Exception as error:  # noqa: BLE001 - poison data ends one process, never the worker
            self._on_end(attempt, Failure("undecodable", _bounded(repr(error))))
            return
        if declaration.is_async:
            self._begin_async(attempt, declaration, args, kwargs)
        else:
            self._begin_plain(attempt, declaration, args, kwargs)

    def close(self) -> None:
        """Let idle threads go."""
        self._threads.close()

    def _begin_async(
        self, attempt: Attempt, declaration: Declaration, args: list[Any], kwargs: Mapping[str, Any]
    ) -> None:
        async def run() -> None:
            value, error = None, None
            try:
                value = await declaration.function(*args, **kwargs)
            except BaseException as raised:  # noqa: BLE001 - also SystemExit: it ends the process, not the worker
                error = raised
            self._on_end(attempt, classified(attempt, declaration, value, error))

        task = asyncio.get_running_loop().create_task(run(), name=attempt.process_id)
        attempt.interrupt = task.cancel
        self._running.add(task)
        # A task cancelled before its first step never reaches our own code.
        task.add_done_callback(lambda done: self._async_done(attempt, declaration, done))

    def _async_done(self, attempt: Attempt, declaration: Declaration, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if task.cancelled() and not attempt.ended:
            self._on_end(attempt, classified(attempt, declaration, None, asyncio.CancelledError()))

    def _begin_plain(
        self, attempt: Attempt, declaration: Declaration, args: list[Any], kwargs: Mapping[str, Any]
    ) -> None:
        loop = asyncio.get_running_loop()

        def ended(value: Any, error: BaseException | None) -> None:
            outcome = classified(attempt, declaration, value, error)
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._on_end, attempt, outcome)

        run = Run(functools.partial(declaration.function, *args, **kwargs), ended)
        attempt.interrupt = run.interrupt
        self._threads.submit(run)


def classified(attempt: Attempt, declaration: Declaration, value: Any, error: BaseException | None) -> Outcome | None:
    """Return what a run's end means (design, section 11), or None if it has no result: we stopped it."""
    if error is None:
        try:
            return Success(encode_result(declaration, value))
        except PayloadError as refused:
            return _failure(attempt, refused)
    if isinstance(error, (asyncio.CancelledError, StopRequested)) and attempt.stop is not None:
        return Cancelled(attempt.reason) if attempt.stop is Stop.REQUESTED else None
    return _failure(attempt, error)


def _failure(attempt: Attempt, error: BaseException) -> Failure:
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    code, message = f"{module}{kind.__qualname__}", _bounded(_text_of(error))
    emit(ProcessFailed(process_id=attempt.process_id, code=code, message=message[:200]))
    return Failure(code, message, _traceback_of(error))


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as broken:  # noqa: BLE001 - an exception whose text cannot be made is still a failure
        return f"<no text: {type(broken).__name__}>"


def _traceback_of(error: BaseException) -> str:
    try:
        # The first frame is ours.
        frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
        lines = traceback.format_exception(type(error), error, frames, limit=-50)
    except BaseException as broken:  # noqa: BLE001 - as above
        return f"<no traceback: {type(broken).__name__}>"
    return _bounded("".join(lines), keep_end=True)


def _bounded(text: str, *, keep_end: bool = False) -> str:
    text = text.encode("utf-8", "replace").decode()
    if len(text) <= MAX_ERROR_TEXT // 4:
        return text
    most = MAX_ERROR_TEXT // 4
    return f"… {text[-most:]}" if keep_end else f"{text[:most]} …"

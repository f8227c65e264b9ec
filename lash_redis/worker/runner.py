"""Run the function of one attempt, and report how its code ended. What that means is decided in ``ending``."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable
from typing import Any

from lash_redis.core.current import CurrentProcess
from lash_redis.core.error_text import bounded, text_of
from lash_redis.core.events import WorkerCannotBegin
from lash_redis.core.outcomes import Failure
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import call_later
from lash_redis.core.trouble import EXITS, SURVIVED, Trouble
from lash_redis.registry.codec import decode_call
from lash_redis.tasks.arguments import Undecodable, unbind
from lash_redis.tasks.catalogue import Catalogue
from lash_redis.tasks.declaration import Declaration
from lash_redis.tasks.signature import NO_DIGEST
from lash_redis.worker.async_run import AsyncRun, is_awaitable
from lash_redis.worker.attempt import Attempt
from lash_redis.worker.call_end import CallEnd
from lash_redis.worker.ending import How
from lash_redis.worker.failures import failure_of
from lash_redis.worker.handover import Handover
from lash_redis.worker.lanes import Lanes
from lash_redis.worker.run_contexts import RunContexts
from lash_redis.worker.run_end import RunEnd, run_end
from lash_redis.worker.threads import Run, Threads
from lash_redis.worker.throttle import Throttle

_SEEN_TOGETHER = 64

OnRunEnd = Callable[[Attempt, RunEnd], None]


class Runner:
    """Begins attempts: ``async`` functions on the event loop, plain ones in threads.

    Args:
        catalogue: the tasks.
        lanes: says for which signature a row was written, and is told if it does not fit.
        on_end: called on the event loop, for each attempt, after its code has really ended; again if it raises.
        contexts: makes the context variables of runs.
        on_change: called when more may be begun than before.
        may_act: whether this OS process is the one whose attempts these are; asked again right before user code is
            entered. In a forked copy of the worker nothing is begun, and no end is reported: what becomes of an attempt
            is not for the copy to say.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        lanes: Lanes,
        on_end: OnRunEnd,
        *,
        contexts: RunContexts,
        on_change: Callable[[], None],
        may_act: Callable[[], bool],
    ) -> None:
        self._declarations = catalogue.by_name
        self._lanes = lanes
        self._on_end = on_end
        self._may_act = may_act
        self._contexts = contexts
        self._threads = Threads()
        self._handover = Handover()
        self._on_change = on_change
        self._trouble = Trouble("end of a run")
        self._throttle = Throttle(self._try_a_thread)
        self._unseen: list[AsyncRun] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runs: dict[Attempt, AsyncRun | Run] = {}  # the event loop itself keeps no asyncio task alive

    def room(self, slots: int) -> int:
        """Return how many runs may be claimed for so many free slots: fewer while no thread can be started."""
        return min(slots, self._throttle.room(self._threads.idle)) if self._throttle.is_on else slots

    def begin(self, attempt: Attempt) -> None:
        """Begin an attempt; never raises for what the attempt carries, nor for what the system lacks."""
        if not self._may_act():
            return
        declaration = self._declarations.get(attempt.task)
        try:
            call = decode_call(attempt.row.input)
            if declaration is None or call is None:
                self._fail(attempt, "no_input", "there is nothing to execute")
                return
            args, kwargs = unbind(declaration, *call, self._lanes.written_for(declaration, attempt.signature))
        except Undecodable as error:
            self._undecodable(attempt, text_of(error))
            return
        except BaseException as error:  # noqa: BLE001 - damaged data, or what a user's class raises as it is rebuilt
            found = failure_of(error)
            self._undecodable(attempt, bounded(f"{found.code}: {found.message}"))
            return
        function = functools.partial(declaration.function, *args, **kwargs)
        try:
            current = CurrentProcess(attempt.process_id, attempt.task, attempt.lease.fencing_token, attempt.number)
            context = self._contexts.new(current)
            begin = self._begin_async if declaration.is_async else self._begin_plain
            begin(attempt, declaration, function, context)
        except SURVIVED as error:  # RuntimeError, MemoryError, OSError: it depends on what is lacking
            run = self._runs.get(attempt)
            if run is None or run.withdraw():  # else its code has begun, and tells its own end
                self._cannot_begin(attempt, error)

    def take_over(self) -> asyncio.AbstractEventLoop:
        """See runs end on the running event loop from now on, and those that have ended while there was none."""
        self._loop = loop = asyncio.get_running_loop()
        self._unseen.clear()  # on a loop that was closed no task takes a step any more
        self._handover.take_to(loop)
        return loop

    def close(self) -> None:
        """Let idle threads end."""
        self._threads.close()
        self._throttle.close()

    def _fail(self, attempt: Attempt, code: str, message: str) -> None:
        self._ended(attempt, RunEnd(How.RAISED, Failure(code, message)))

    def _undecodable(self, attempt: Attempt, why: str) -> None:
        """End an attempt whose arguments do not fit: what another release wrote is left to it (rule 9.7)."""
        declaration = self._declarations.get(attempt.task)
        if declaration is None or attempt.signature in {NO_DIGEST, declaration.signature.digest}:
            self._fail(attempt, "undecodable", why)
            return
        self._lanes.leave(attempt.row.lane, why, attempt.process_id)
        self._ended(attempt, RunEnd(How.NEVER_BEGAN, Failure("undecodable", why)))

    def _cannot_begin(self, attempt: Attempt, error: BaseException) -> None:
        if isinstance(error, EXITS):
            self._trouble.met(error)
        else:
            self._throttle.failed()
            emit(WorkerCannotBegin(process_id=attempt.process_id, reason=text_of(error)))
        self._ended(attempt, RunEnd(How.NEVER_BEGAN, failure_of(error)))

    def _try_a_thread(self) -> None:
        if self._threads.add_idle():
            self._throttle.succeeded()
        self._on_change()

    def _ended(self, attempt: Attempt, end: RunEnd) -> None:
        try:
            self._runs.pop(attempt, None)
            self._on_end(attempt, end)
            attempt.interrupt = None
        except SURVIVED as error:  # an end that nobody learns of would keep its slot and its lease
            pause_s, again = self._trouble.met(error), functools.partial(self._ended, attempt, end)
            call_later(asyncio.get_running_loop(), pause_s, again)

    def _begin_async(
        self, attempt: Attempt, declaration: Declaration, call: Callable[[], Any], context: contextvars.Context
    ) -> None:
        ended = functools.partial(self._call_ended, attempt, declaration)
        self._start_async(attempt, AsyncRun(call, ended, self._may_act), context)

    def _call_ended(self, attempt: Attempt, declaration: Declaration, end: CallEnd) -> None:
        self._ended(attempt, run_end(declaration, end, attempt.number))

    def _start_async(self, attempt: Attempt, run: AsyncRun, context: contextvars.Context) -> None:
        self._runs[attempt] = run
        attempt.interrupt = run.interrupt
        loop = self._loop or self.take_over()
        if len(self._unseen) % _SEEN_TOGETHER == 0:  # and not only at the first: something may have struck that look
            loop.call_soon(loop.call_soon, self._see)  # in the next turn, when all of a claim have taken that step
        self._unseen.append(run)
        run.start(loop, attempt.process_id, context)

    def _see(self) -> None:
        """See what was begun take its first step: what was begun before this was called for has by now."""
        try:
            self._unseen = [run for run in self._unseen if not (run.is_entered or run.was_seen())]
        finally:
            if self._unseen:
                asyncio.get_running_loop().call_soon(self._see)

    def _begin_plain(
        self, attempt: Attempt, declaration: Declaration, call: Callable[[], Any], context: contextvars.Context
    ) -> None:
        if self._loop is None:
            self.take_over()

        def ended(end: CallEnd) -> None:
            if end.error is None and is_awaitable(end.value):
                then = functools.partial(self._await_returned, attempt, declaration, end.value, context)
            else:
                then = functools.partial(self._ended, attempt, run_end(declaration, end, attempt.number))
            self._handover.make(then)

        run = Run(functools.partial(context.run, call), ended, self._may_act)
        self._runs[attempt] = run
        attempt.interrupt = run.interrupt
        if self._threads.submit(run):
            self._throttle.succeeded()

    def _await_returned(
        self, attempt: Attempt, declaration: Declaration, returned: Any, context: contextvars.Context
    ) -> None:
        """Go on with what a plain function returned: a wrapper around an ``async def`` looks plain itself."""
        if not isinstance(self._runs.get(attempt), Run):  # it goes on already, and something struck behind that
            return

        def ended(end: CallEnd) -> None:
            entered = CallEnd(end.value, end.error, is_entered=True)
            self._ended(attempt, run_end(declaration, entered, attempt.number))

        def go_on() -> Any:
            task = asyncio.current_task()
            if attempt.stop is not None and task is not None:
                task.cancel()  # asked for while the thread ran, or since: it strikes where the code first waits
            return returned

        run = AsyncRun(go_on, ended, self._may_act)
        try:
            self._start_async(attempt, run, context)
        except SURVIVED as error:  # as in begin, but this code has begun
            if run.withdraw():
                ended(CallEnd(None, error, is_entered=True))

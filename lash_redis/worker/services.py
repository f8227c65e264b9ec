"""Asyncio tasks that run beside the work: those of a worker, and those of a supervisor.

Several users may overlap, as ``run``, ``drive_pending`` and ``drain`` of a worker do. The first starts what all need,
and the last to finish stops it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

Service = Coroutine[Any, Any, None]

_CANCEL_AGAIN_S = 0.25


class Services:
    """Starts, watches and stops services.

    Args:
        shared: makes the services that every user of this needs.
        on_end: called after the last user has finished and all services have ended.
        on_fault: called once, with the first exception that ended a service.
    """

    def __init__(
        self,
        shared: Callable[[], Iterable[Service]],
        on_end: Callable[[], None],
        on_fault: Callable[[BaseException], None],
    ) -> None:
        self._shared = shared
        self._on_end = on_end
        self._on_fault = on_fault
        self._tasks: list[asyncio.Task[None]] = []
        self._users = 0
        self._is_stopping = False
        self._has_stopped = asyncio.Event()  # a new one for each stop: the next may be on another event loop
        self.fault: BaseException | None = None

    async def __aenter__(self) -> None:
        while self._is_stopping:
            await self._has_stopped.wait()
        self._users += 1
        if self._users == 1:
            try:
                for service in self._shared():
                    self.start(service)
            except BaseException:
                await self.__aexit__()
                raise

    async def __aexit__(self, *_exception: object) -> None:
        self._users -= 1
        if self._users > 0:
            return
        self._is_stopping = True
        self._has_stopped = asyncio.Event()
        try:
            await self._stop()
        finally:
            self._on_end()
            self._is_stopping = False
            self._has_stopped.set()

    async def _stop(self) -> None:
        """Stop all services and see them ended, however often the user is cancelled meanwhile."""
        is_cancelled = False
        while tasks := {task for task in self._tasks if not task.done()}:
            for task in tasks:
                task.cancel()
            try:
                # Again until each has ended: the `wait_for` of Python 3.11, which redis-py uses, can swallow a cancel.
                await asyncio.wait(tasks, timeout=_CANCEL_AGAIN_S)
            except asyncio.CancelledError:
                is_cancelled = True
        self._tasks.clear()
        if is_cancelled:
            raise asyncio.CancelledError

    def start(self, service: Service) -> None:
        """Run a service until it ends or the last user has finished."""
        self.adopt(asyncio.get_running_loop().create_task(service))

    def adopt(self, task: asyncio.Task[None]) -> None:
        """Stop a task that runs already together with the services."""
        self._tasks.append(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task in self._tasks:
            self._tasks.remove(task)
        if task.cancelled():
            return
        if (fault := task.exception()) is not None:
            self.fail(fault)

    def fail(self, fault: BaseException) -> None:
        """Report what ended a service, or a part that is not one of these; the first stands."""
        if self.fault is None:
            self.fault = fault
            self._on_fault(fault)

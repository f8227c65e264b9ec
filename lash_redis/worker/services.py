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
        self._turn = asyncio.Lock()
        self.fault: BaseException | None = None

    async def __aenter__(self) -> None:
        async with self._turn:
            self._users += 1
            if self._users == 1:
                for service in self._shared():
                    self.start(service)

    async def __aexit__(self, *_exception: object) -> None:
        async with self._turn:
            self._users -= 1
            if self._users > 0:
                return
            tasks, self._tasks = set(self._tasks), []
            while tasks:
                for task in tasks:
                    task.cancel()
                # Again until each has ended: the `wait_for` of Python 3.11, which redis-py uses, can swallow a cancel.
                _, tasks = await asyncio.wait(tasks, timeout=_CANCEL_AGAIN_S)
            self._on_end()

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
        fault = task.exception()
        if fault is not None and self.fault is None:
            self.fault = fault
            self._on_fault(fault)

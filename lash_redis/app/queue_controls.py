"""What a ``Lash`` does with queues and tasks as a whole: pause and resume them."""

from __future__ import annotations

from typing import Any

from lash_redis.app.given_tasks import name_of
from lash_redis.app.process import AppContext
from lash_redis.app.task import Task
from lash_redis.core.bounds import QueueBound
from lash_redis.core.errors import SettingsError
from lash_redis.core.liveness import node_name
from lash_redis.core.model import PauseRequest
from lash_redis.core.pausing import Paused
from lash_redis.core.timing import wall_ms


class QueueControls:
    """The part of ``Lash`` that is about queues."""

    _context: AppContext

    def queue(self, name: str, *, most_waiting: int | None, revision: int = 1) -> QueueBound:
        """Declare how many processes may wait in a queue that no worker has claimed yet.

        A submit over it is refused with ``QueueFull``. What comes back and what waited for other processes always get
        in. The first submit to the queue stores the bound in the registry, and so do ``open`` and a pool at its start.

        Args:
            name: the queue's name.
            most_waiting: how many, 1 to a billion; None: any number, which takes an earlier bound away.
            revision: raise it with each change. A lower one than that in the registry changes nothing there.

        Raises:
            SettingsError: an argument is outside what is allowed, or the queue is declared with another bound.
        """
        bound = QueueBound(name, most_waiting, revision)
        known = self._context.bounds.get(name, bound)
        if known != bound and revision <= known.revision:
            raise SettingsError(
                f"expected one bound of queue {name!r}, got {known.most_waiting} (revision {known.revision}) and "
                f"{most_waiting} (revision {revision}): raise the revision of the one that is to hold"
            )
        self._context.bounds[name] = bound
        return bound

    async def pause(
        self,
        *,
        queue: str | None = None,
        task: Task[..., Any] | str | None = None,
        by: str | None = None,
        reason: str | None = None,
    ) -> Paused:
        """Let nothing of a queue, or of a task in any queue, begin until it is resumed. What runs goes on.

        Args:
            queue: the queue's name; or:
            task: the task or its name.
            by: who pauses it, up to 256 bytes; this machine's name unless given.
            reason: why, up to 4096 bytes.

        Returns:
            The pause that stands. That is the first one, if it was paused already.

        Raises:
            SettingsError: not one of the two is given, or an argument is outside what is allowed.
        """
        request = _request(by, reason)
        return await self._context.sessions.registry.pause(request, queue=queue, task=name_of(task))

    async def resume(self, *, queue: str | None = None, task: Task[..., Any] | str | None = None) -> None:
        """Let a queue or a task begin again, if it is paused.

        Raises:
            SettingsError: not one of the two is given, or it is outside what is allowed.
        """
        await self._context.sessions.registry.resume(queue=queue, task=name_of(task))

    async def pauses(self) -> list[Paused]:
        """Return what is paused: queues by name, then tasks."""
        return await self._context.sessions.registry.pauses()


class BlockingQueueControls:
    """The part of ``BlockingLash`` that is about queues."""

    _context: AppContext

    def pause(
        self,
        *,
        queue: str | None = None,
        task: Task[..., Any] | str | None = None,
        by: str | None = None,
        reason: str | None = None,
    ) -> Paused:
        """Do what ``Lash.pause`` does."""
        request = _request(by, reason)
        return self._context.sessions.blocking().registry.pause(request, queue=queue, task=name_of(task))

    def resume(self, *, queue: str | None = None, task: Task[..., Any] | str | None = None) -> None:
        """Do what ``Lash.resume`` does."""
        self._context.sessions.blocking().registry.resume(queue=queue, task=name_of(task))

    def pauses(self) -> list[Paused]:
        """Do what ``Lash.pauses`` does."""
        return self._context.sessions.blocking().registry.pauses()


def _request(by: str | None, reason: str | None) -> PauseRequest:
    return PauseRequest(node_name() if by is None else by, wall_ms(), reason)

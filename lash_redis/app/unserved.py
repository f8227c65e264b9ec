"""Work that nobody serves: a submit looks now and then, and a wait that is over says so (rule 9.8).

What goes wrong here changes nothing: the work is registered, and the wait is over.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from lash_redis.app.wait import Wait
from lash_redis.core.events import WorkUnserved
from lash_redis.core.lanes import lane, lane_parts
from lash_redis.core.model import ProcessRegistration, TaskInput
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import boottime_ms, within
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.service import LIVING_MS, LaneService

_MOST_MS: Final = 1_000  # for a server that hangs just now
_MOST_LANES: Final = 1_000  # programs that make a queue for each customer are told of the first ones
_NEVER: Final = 2**62


class Unserved:
    """What one ``Lash`` has looked at: a task in a queue at most once a minute, and never again once it has told."""

    def __init__(self) -> None:
        self._look_at_ms: dict[tuple[str, str], int] = {}

    async def look(self, registry: ProcessRegistry, registration: ProcessRegistration) -> None:
        """Tell if no worker that called within the last minute declares the task of what was just registered."""
        if asked := self._due(registration):
            self._tell(await _service_of(registry, registration.id, asked))

    def look_blocking(self, registry: BlockingRegistry, registration: ProcessRegistration) -> None:
        """Do what ``look`` does."""
        if asked := self._due(registration):
            self._tell(_service_of_blocking(registry, registration.id, asked))

    def _due(self, registration: ProcessRegistration) -> str:
        """Return the lane to look at; empty if it is not its time."""
        task = registration.input.task if isinstance(registration.input, TaskInput) else ""
        key, now_ms = (registration.queue, task), boottime_ms()
        due_ms = self._look_at_ms.get(key, 0 if len(self._look_at_ms) < _MOST_LANES else _NEVER)
        if now_ms < due_ms:
            return ""
        self._look_at_ms[key] = now_ms + LIVING_MS
        return lane(registration.queue, task, registration.signature)

    def _tell(self, service: LaneService | None) -> None:
        # With other signatures only: workers look at its lane from now on, and may serve it (rule 9.7).
        if service is not None and service.is_unserved:
            queue, task, _ = lane_parts(service.lane)
            self._look_at_ms[queue, task] = _NEVER
            reason = f"{service.why_it_waits}; it waits until a worker declares it"
            emit(WorkUnserved(task=task, queue=queue, reason=reason))


async def why_it_waits(registry: ProcessRegistry, wait: Wait) -> str:
    """Return why a process waits that was queued when it was last read; empty if a worker serves it."""
    service = await _service_of(registry, wait.process_id, wait.queued_in) if wait.queued_in else None
    return service.why_it_waits if service else ""


def why_it_waits_blocking(registry: BlockingRegistry, wait: Wait) -> str:
    """Do what ``why_it_waits`` does."""
    service = _service_of_blocking(registry, wait.process_id, wait.queued_in) if wait.queued_in else None
    return service.why_it_waits if service else ""


async def _service_of(registry: ProcessRegistry, process_id: str, asked: str) -> LaneService | None:
    with suppress(Exception):
        return await within(_MOST_MS, registry.service_of(process_id, asked, attempts=1))
    return None


def _service_of_blocking(registry: BlockingRegistry, process_id: str, asked: str) -> LaneService | None:
    with suppress(Exception):
        return registry.service_of(process_id, asked, attempts=1)
    return None

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
from lash_redis.registry.service import LaneService

_AGAIN_MS: Final = 60_000
_MOST_MS: Final = 1_000  # for a server that hangs just now
_MOST_LANES: Final = 1_000  # programs that make a queue for each customer are told of the first ones
_NEVER: Final = 2**62


class Unserved:
    """What one ``Lash`` has looked at: a task in a queue at most once a minute, and never again once it has told."""

    def __init__(self) -> None:
        self._look_at_ms: dict[tuple[str, str], int] = {}

    async def look(self, registry: ProcessRegistry, registration: ProcessRegistration) -> None:
        """Tell if no worker that lives declares the task of what was just registered."""
        if asked := self._due(registration):
            with suppress(Exception):
                partition = registry.partition_of(registration.id)
                found = await within(_MOST_MS, registry.served(partition, [asked], attempts=1))
                self._tell(found[asked])

    def look_blocking(self, registry: BlockingRegistry, registration: ProcessRegistration) -> None:
        """Do what ``look`` does."""
        if asked := self._due(registration):
            with suppress(Exception):
                partition = registry.target.namespace.partition_of(registration.id)
                self._tell(registry.served(partition, [asked], attempts=1)[asked])

    def _due(self, registration: ProcessRegistration) -> str:
        """Return the lane to look at; empty if it is not its time."""
        task = registration.input.task if isinstance(registration.input, TaskInput) else ""
        key, now_ms = (registration.queue, task), boottime_ms()
        due_ms = self._look_at_ms.get(key, 0 if len(self._look_at_ms) < _MOST_LANES else _NEVER)
        if now_ms < due_ms:
            return ""
        self._look_at_ms[key] = now_ms + _AGAIN_MS
        return lane(registration.queue, task, registration.signature)

    def _tell(self, service: LaneService) -> None:
        if service.is_known:
            return  # with other signatures only: workers look at its lane from now on, and may serve it (rule 9.7)
        queue, task, _ = lane_parts(service.lane)
        self._look_at_ms[queue, task] = _NEVER
        reason = f"{service.why_it_waits}; it waits until a worker declares it"
        emit(WorkUnserved(task=task, queue=queue, reason=reason))


async def why_it_waits(registry: ProcessRegistry, wait: Wait) -> str:
    """Return why a process waits that was queued when it was last read; empty if a worker serves it."""
    if not wait.queued_in:
        return ""
    with suppress(Exception):
        partition = registry.partition_of(wait.process_id)
        found = await within(_MOST_MS, registry.served(partition, [wait.queued_in], attempts=1))
        return found[wait.queued_in].why_it_waits
    return ""


def why_it_waits_blocking(registry: BlockingRegistry, wait: Wait) -> str:
    """Do what ``why_it_waits`` does."""
    if not wait.queued_in:
        return ""
    with suppress(Exception):
        partition = registry.target.namespace.partition_of(wait.process_id)
        return registry.served(partition, [wait.queued_in], attempts=1)[wait.queued_in].why_it_waits
    return ""

"""What code may see and do of the schedules that are stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lash_redis.app.process import AppContext, BlockingProcess, Process
from lash_redis.core.liveness import node_name
from lash_redis.core.model import PauseRequest
from lash_redis.core.schedules import Schedule, ScheduleDeclaration
from lash_redis.core.timing import wall_ms
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.registry import ProcessRegistry


class Schedules:
    """The schedules that are stored, whoever declared them. The first use stores those that this program declares."""

    def __init__(self, context: AppContext) -> None:
        self._context = context

    async def _registry(self) -> ProcessRegistry:
        registry = self._context.sessions.registry
        if new := _not_stored(self._context):
            await registry.declare_schedules(new)
            _note_stored(self._context, new)
        return registry

    async def list(self) -> list[Schedule]:
        """Return all of them, by name.

        Raises:
            RegistryUnavailable: the server does not answer. So do the other calls here.
        """
        return await (await self._registry()).all_schedules()

    async def pause(self, name: str, *, by: str | None = None, reason: str | None = None) -> None:
        """Submit no more ticks of a schedule until ``resume``; what is due now is submitted. It survives deployments.

        Args:
            name: of the schedule.
            by: who pauses it, up to 256 bytes; None: this machine's name.
            reason: why, up to 4096 bytes.

        Raises:
            UnknownSchedule: none of that name is stored.
        """
        request = PauseRequest(node_name() if by is None else by, wall_ms(), reason)
        await (await self._registry()).pause_schedule(name, request)

    async def resume(self, name: str) -> None:
        """Let a paused schedule go on from now: what it would have submitted meanwhile is left out.

        Raises:
            UnknownSchedule: none of that name is stored.
        """
        await (await self._registry()).resume_schedule(name)

    async def run(self, name: str) -> Process[Any]:
        """Submit one process of a schedule now, beside its ticks, paused or not. A full queue takes it too.

        Raises:
            UnknownSchedule: none of that name is stored.
        """
        process_id = await (await self._registry()).run_schedule(name)
        return Process(self._context, process_id, known=True)

    async def remove(self, name: str) -> None:
        """Forget a schedule; what is due now is submitted. Code that declares it stores it again at its next start.

        Raises:
            UnknownSchedule: none of that name is stored.
        """
        await (await self._registry()).remove_schedule(name)


class BlockingSchedules:
    """``Schedules`` for code without an event loop: the same names, each call blocks its thread."""

    def __init__(self, context: AppContext) -> None:
        self._context = context

    def _registry(self) -> BlockingRegistry:
        registry = self._context.sessions.blocking().registry
        if new := _not_stored(self._context):
            registry.declare_schedules(new)
            _note_stored(self._context, new)
        return registry

    def list(self) -> list[Schedule]:
        """Do what ``Schedules.list`` does."""
        return self._registry().all_schedules()

    def pause(self, name: str, *, by: str | None = None, reason: str | None = None) -> None:
        """Do what ``Schedules.pause`` does."""
        request = PauseRequest(node_name() if by is None else by, wall_ms(), reason)
        self._registry().pause_schedule(name, request)

    def resume(self, name: str) -> None:
        """Do what ``Schedules.resume`` does."""
        self._registry().resume_schedule(name)

    def run(self, name: str) -> BlockingProcess[Any]:
        """Do what ``Schedules.run`` does."""
        return BlockingProcess(self._context, self._registry().run_schedule(name), known=True)

    def remove(self, name: str) -> None:
        """Do what ``Schedules.remove`` does."""
        self._registry().remove_schedule(name)


def _not_stored(context: AppContext) -> Sequence[ScheduleDeclaration]:
    # Another server, or the same one after a flush, knows none; and code that runs again may declare other content.
    uuid = context.sessions.registry.target.namespace.uuid
    return [each for each in context.schedules.values() if context.stored_schedules.get(each.name) != (uuid, each)]


def _note_stored(context: AppContext, declared: Iterable[ScheduleDeclaration]) -> None:
    uuid = context.sessions.registry.target.namespace.uuid
    context.stored_schedules.update({each.name: (uuid, each) for each in declared})

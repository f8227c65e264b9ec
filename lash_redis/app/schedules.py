"""Schedules: what ``lash.schedule`` declares, and what code may see and do of those that are stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from lash_redis.app.code_places import CodePlace
from lash_redis.app.given_tasks import checked_task
from lash_redis.app.many_calls import arguments
from lash_redis.app.process import AppContext, BlockingProcess, Process
from lash_redis.core.checks import MAX_PAYLOAD_BYTES
from lash_redis.core.errors import PayloadError, SettingsError
from lash_redis.core.liveness import node_name
from lash_redis.core.model import PauseRequest
from lash_redis.core.options import SUBMIT_OPTIONS
from lash_redis.core.schedules import MOST_INPUT_BYTES, NAME, Schedule, ScheduleDeclaration, ScheduleRule
from lash_redis.core.shares import REVISION
from lash_redis.core.struct_checks import checked_kind
from lash_redis.core.timing import wall_ms
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.codec import encode_input
from lash_redis.registry.registry import ProcessRegistry

_OF_ONE_SUBMIT: Final = {
    "at_ms": "each tick has its own time",
    "unique": "a tick is submitted once anyway; limit=1 of its task keeps two from running beside each other",
    "after": "a tick waits for no process",
    "if_failed": "a tick waits for no process",
}


def declaration_of(
    name: object,
    task: object,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    *,
    rule: ScheduleRule,
    revision: object,
    location: str,
) -> ScheduleDeclaration:
    """Return what a call of ``lash.schedule`` declares.

    Raises:
        SettingsError: a value is outside what is allowed.
        PayloadError: the task cannot be called with the arguments, or they are too long.
    """
    checked = NAME.checked("the name of a schedule", name)
    of = checked_task("the task of a schedule", task)
    positional = arguments("args", args)
    named = dict(checked_kind("kwargs", {} if kwargs is None else kwargs, Mapping))
    registration = of.registration(positional, named)
    if of.process_id is not None:
        raise SettingsError(
            f"expected the task of schedule {checked!r} to have no process_id, got {of.process_id!r}: each tick is a "
            f"process of its own, {checked}::<its time in ms>"
        )
    if of.declaration.limits.is_sequence:
        raise SettingsError(
            f"expected the task of schedule {checked!r} to be no sequence, got {of.name}: its ids begin with its "
            "key, those of ticks with the schedule; schedule a task that submits to it"
        )
    for option, why in _OF_ONE_SUBMIT.items():
        if getattr(registration, option) != SUBMIT_OPTIONS[option].default:
            raise SettingsError(
                f"expected the task of schedule {checked!r} to be without the option {option.removesuffix('_ms')}, "
                f"got {getattr(registration, option)!r}: {why}"
            )
    for policy in of.declaration.limits.policies:
        policy.check_cost(registration.cost, 1)
    size = len(encode_input(registration, MAX_PAYLOAD_BYTES))
    if size > MOST_INPUT_BYTES:
        raise PayloadError(
            f"expected the arguments of schedule {checked!r} to be at most {MOST_INPUT_BYTES} bytes once encoded, got "
            f"{size}: each tick has a copy of them; for large data carry a reference"
        )
    return ScheduleDeclaration(
        checked,
        REVISION.checked("revision", revision),
        rule,
        msgspec.structs.replace(registration, id=checked),
        dict(of.declaration.signature.named),
        location,
        tuple(of.declaration.limits.policies),
    )


def add_declaration(context: AppContext, declared: ScheduleDeclaration, place: CodePlace) -> None:
    """Add a schedule to those of a ``Lash``. The same place in the code that runs again declares it anew.

    Raises:
        SettingsError: another place in the code declares another schedule of that name.
    """
    known = context.schedules.get(declared.name)
    if known is not None and not context.schedule_places[declared.name].is_again(place):
        if msgspec.structs.replace(known, location=declared.location) != declared:
            raise SettingsError(
                f"two schedules are named {declared.name!r}, at {known.location} and at {declared.location}: "
                "give one of them another name"
            )
        return
    context.schedules[declared.name] = declared
    context.schedule_places[declared.name] = place


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

"""What ``lash.schedule`` declares, and what a task must be whose ticks are submitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from lash_redis.app.code_places import CodePlace
from lash_redis.app.given_tasks import checked_task
from lash_redis.app.many_calls import arguments
from lash_redis.app.process import AppContext
from lash_redis.app.task import Task
from lash_redis.core.checks import MAX_PAYLOAD_BYTES
from lash_redis.core.errors import PayloadError, SettingsError
from lash_redis.core.model import ProcessRegistration
from lash_redis.core.options import SUBMIT_OPTIONS
from lash_redis.core.schedules import MOST_INPUT_BYTES, NAME, ScheduleDeclaration, ScheduleRule
from lash_redis.core.shares import REVISION
from lash_redis.core.struct_checks import checked_kind
from lash_redis.registry.codec import encode_input

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
    _check_may_tick(checked, of, registration)
    return ScheduleDeclaration(
        checked,
        REVISION.checked("revision", revision),
        rule,
        msgspec.structs.replace(registration, id=checked),
        dict(of.declaration.signature.named),
        location,
        tuple(of.declaration.limits.policies),
    )


def _check_may_tick(name: str, task: Task[..., Any], registration: ProcessRegistration) -> None:
    if task.process_id is not None:
        raise SettingsError(
            f"expected the task of schedule {name!r} to have no process_id, got {task.process_id!r}: each tick is a "
            f"process of its own, {name}::<its time in ms>"
        )
    if task.declaration.limits.is_sequence:
        raise SettingsError(
            f"expected the task of schedule {name!r} to be no sequence, got {task.name}: its ids begin with its "
            "key, those of ticks with the schedule; schedule a task that submits to it"
        )
    for option, why in _OF_ONE_SUBMIT.items():
        if getattr(registration, option) != SUBMIT_OPTIONS[option].default:
            raise SettingsError(
                f"expected the task of schedule {name!r} to be without the option {option.removesuffix('_ms')}, "
                f"got {getattr(registration, option)!r}: {why}"
            )
    for policy in task.declaration.limits.policies:
        policy.check_cost(registration.cost, 1)
    size = len(encode_input(registration, MAX_PAYLOAD_BYTES))
    if size > MOST_INPUT_BYTES:
        raise PayloadError(
            f"expected the arguments of schedule {name!r} to be at most {MOST_INPUT_BYTES} bytes once encoded, got "
            f"{size}: each tick has a copy of them; for large data carry a reference"
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

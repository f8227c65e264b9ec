"""What a submit registers: its id, its call, its options, and the keys that the call has. Pure but for random ids."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash_redis.core.model import ProcessRegistration, TaskInput
from lash_redis.core.options import SubmitOptions
from lash_redis.core.timing import random_token
from lash_redis.core.unique import unique_route
from lash_redis.registry.keys import route_of
from lash_redis.tasks.declaration import Declaration
from lash_redis.tasks.limits import key_and_cost
from lash_redis.tasks.sequences import MOST_ROUTE, route_of_key
from lash_redis.tasks.unique_keys import with_key


def registration_of(
    declaration: Declaration,
    options: SubmitOptions,
    process_id: str | None,
    call: TaskInput,
    key: str | None = None,
    *,
    opens_group: bool = False,
) -> ProcessRegistration:
    """Return the registration of one call.

    Args:
        declaration: of the task.
        options: of the submit.
        process_id: the id that its caller chose; None: it gets one.
        call: the arguments.
        key: whom the work is for, in place of the argument that is declared to be the key.
        opens_group: it continues a group.

    Raises:
        SettingsError: the call has no value for its unique key, or no key where its task has them.
        PayloadError: an argument cannot be the key or the cost that it is declared to be.
    """
    fields, limits = msgspec.structs.asdict(options), declaration.limits
    fields["key"], fields["cost"] = key_and_cost(limits, declaration.signature, call, key, options.cost)
    # The prefix is for command lines: a bare token may begin with a dash and look like an option.
    made_id, route = f"p{random_token()}", _beginning_after(options.after) if options.after else ""
    if options.unique is not None:
        fields["unique"] = unique = with_key(declaration, options.unique, call)
        route = f"{unique_route(declaration.name, unique.key or '')}::"
    if limits.is_sequence:
        route = route_of_key(fields["key"])
    return ProcessRegistration(
        process_id or f"{route}{made_id}",
        call,
        declaration.disposition,
        scopes=limits.scopes,
        signature=declaration.signature.digest,
        chosen_id=process_id is not None,
        opens_group=opens_group,
        **fields,
    )


def _beginning_after(awaited: Sequence[str]) -> str:
    """Return what a new id begins with, so that it lies in one partition with what it waits for (rule 13.1)."""
    route = route_of(awaited[0])
    return f"{route}::" if len(route) <= MOST_ROUTE else ""

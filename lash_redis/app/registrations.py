"""What a submit registers: its id, its call, its options, and the keys that the call has. Pure but for random ids."""

from __future__ import annotations

import msgspec

from lash_redis.core.model import ProcessRegistration, TaskInput
from lash_redis.core.options import SubmitOptions
from lash_redis.core.timing import random_token
from lash_redis.core.unique import route_of
from lash_redis.tasks.declaration import Declaration
from lash_redis.tasks.unique_keys import with_key


def registration_of(
    declaration: Declaration, options: SubmitOptions, process_id: str | None, call: TaskInput
) -> ProcessRegistration:
    """Return the registration of one call.

    Args:
        declaration: of the task.
        options: of the submit.
        process_id: the id that its caller chose; None: it gets one.
        call: the arguments.

    Raises:
        SettingsError: the call has no value for its unique key.
    """
    fields = msgspec.structs.asdict(options)
    # The prefix is for command lines: a bare token may begin with a dash and look like an option.
    made_id = f"p{random_token()}"
    if options.unique is not None:
        fields["unique"] = unique = with_key(declaration, options.unique, call)
        made_id = f"{route_of(declaration.name, unique.key or '')}::{made_id}"
    return ProcessRegistration(
        process_id or made_id,
        call,
        declaration.disposition,
        signature=declaration.signature.digest,
        chosen_id=process_id is not None,
        **fields,
    )

"""The unique key of a call: what its ``Unique`` names of the arguments. Pure."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.model import TaskInput
from lash_redis.core.unique import Unique
from lash_redis.tasks.binding import argument_in
from lash_redis.tasks.declaration import Declaration

_encoder = msgspec.msgpack.Encoder(order="deterministic")


def with_key(declaration: Declaration, unique: Unique, call: TaskInput) -> Unique:
    """Return a ``Unique`` with the key of this call.

    Raises:
        SettingsError: a default that it names cannot be a key.
    """
    if unique.key is not None:
        return unique
    names = unique.names
    values: Any = (
        [call.args, call.kwargs] if not names else [argument_in(declaration.signature, call, name) for name in names]
    )
    try:
        key = _text(values[0]) if len(names) == 1 else _digest(values)
    except TypeError:  # arguments of the call were carried before
        raise SettingsError(
            f"expected a call of task {declaration.name} to pass {', '.join(names)}, its unique key: "
            "a default cannot be one that no payload can hold"
        ) from None
    return msgspec.structs.replace(unique, by=None, key=key)


def check_names(declaration: Declaration, unique: Unique) -> None:
    """Check that a ``Unique`` names parameters of the task.

    Raises:
        SettingsError: it names something else.
    """
    known = [each.name for each in (*declaration.signature.positional, *declaration.signature.by_name.values())]
    for name in unique.names:
        if name not in known:
            raise SettingsError(
                f"expected by to name parameters of task {declaration.name}, which has "
                f"{', '.join(dict.fromkeys(known)) or 'none'}, got {shown(name)}"
            )


def _text(value: Any) -> str:
    if isinstance(value, str) and 0 < len(value.encode("utf-8", "surrogatepass")) <= 256:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _digest(value)


def _digest(value: Any) -> str:
    return sha256(_encoder.encode(value)).hexdigest()[:32]

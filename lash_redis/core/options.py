"""The options of a task, which travel from ``@lash.task`` to the row. A new option is added here.

Beside its type each option says how it is checked and where the row keeps it. Declaration, registration, row and
record carry the options whole and name none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import msgspec

from lash_redis.core.checks import QUEUE, Check, integer
from lash_redis.core.fields import check_names, fields_of


@dataclass(frozen=True, slots=True)
class Option:
    """What stands beside an option's type.

    Attributes:
        meaning: for the reference, docs/settings.md.
        check: what its values may be.
        row_field: the field of the row that holds a value other than the default; empty: the lane holds it.
    """

    meaning: str
    check: Check[Any]
    row_field: str = ""


class ProcessOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a task, of a registration and of a record.

    The values are not checked here, since a row may hold what a newer release allows. ``with_options`` and
    ``ProcessRegistration`` check what comes from a caller.
    """

    queue: Annotated[str, Option("the queue that the work waits in", QUEUE)] = "default"
    loss_limit: Annotated[
        int,
        Option(
            "losses at which rerunnable work is abandoned instead of run again", integer(1, 1_000_000), row_field="ll"
        ),
    ] = 5


class ChosenOptions(TypedDict, total=False):
    """The options that a caller gives by name: the same names and types, for type checkers."""

    queue: str
    loss_limit: int


OPTIONS = fields_of(ProcessOptions, Option)
_STORED = [(field.about.row_field.encode(), field) for field in OPTIONS.values() if field.about.row_field]


def with_options(options: ProcessOptions, chosen: Mapping[str, object]) -> ProcessOptions:
    """Return the options with what was chosen in their place.

    Raises:
        SettingsError: there is no option of that name, or a value is outside what is allowed.
    """
    check_names("an option", chosen, OPTIONS)
    checked = {name: OPTIONS[name].checked(name, value) for name, value in chosen.items()}
    return msgspec.structs.replace(options, **checked)


def row_fields(options: ProcessOptions) -> list[bytes | str | int]:
    """Return what a row needs for these options: field and value by turns, none for a default."""
    fields: list[bytes | str | int] = []
    for key, field in _STORED:
        value = getattr(options, field.name)
        if value != field.default:
            fields += (key, value)
    return fields


def options_in_row(queue: str, fields: Mapping[bytes, bytes]) -> ProcessOptions:
    """Return the options of a row: its lane's queue, and what its fields hold."""
    held = {
        field.name: msgspec.convert(fields[key].decode(), field.type, strict=False)
        for key, field in _STORED
        if key in fields
    }
    return ProcessOptions(queue=queue, **held)

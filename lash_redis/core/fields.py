"""Structs whose fields carry check and meaning in ``Annotated``. Both are read once, at import.

The options of a task and the settings of a worker and of a pool are such structs. Checks, command line, row and
reference are made from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Protocol, TypeVar, get_args, get_origin

import msgspec

from lash_redis.core.checks import Check
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.near_names import did_you_mean


class _Checked(Protocol):
    @property
    def check(self) -> Check[Any]: ...


A = TypeVar("A", bound=_Checked)


@dataclass(frozen=True, slots=True)
class Field(Generic[A]):
    """One field of such a struct.

    Attributes:
        type: the type without what stands beside it.
        default: ``msgspec.NODEFAULT`` if the field is required.
        about: what stands beside the type.
        checked: its check, called with the name and a value.
    """

    name: str
    type: Any
    default: Any
    about: A
    checked: Callable[[str, object], Any]


def fields_of(struct: type[msgspec.Struct], kind: type[A]) -> dict[str, Field[A]]:
    """Return the fields that have a ``kind`` beside their type, by name, in the struct's order."""
    found = {}
    for info in msgspec.structs.fields(struct):
        if get_origin(info.type) is Annotated:
            plain, *beside = get_args(info.type)
            about = next(each for each in beside if isinstance(each, kind))
            made = info.default_factory is not msgspec.NODEFAULT
            default = info.default_factory() if made else info.default
            found[info.name] = Field(info.name, plain, default, about, about.check.checked)
    return found


def check_fields(struct: msgspec.Struct, fields: Mapping[str, Field[Any]]) -> None:
    """Check the fields of a new struct; put what a check returns in place of what came.

    A default is not checked: its check must return it as it is.

    Raises:
        SettingsError: a value is outside what is allowed.
    """
    for name, field in fields.items():
        value = getattr(struct, name)
        if value is field.default:
            continue
        if (checked := field.checked(name, value)) is not value:
            msgspec.structs.force_setattr(struct, name, checked)


def check_names(what: str, given: Iterable[str], fields: Mapping[str, Any]) -> None:
    """Check that every given name is that of a field.

    Raises:
        SettingsError: one is not; the message lists those that are allowed.
    """
    for name in given:
        if name not in fields:
            hint = did_you_mean(name, fields)
            raise SettingsError(f"expected {what} to be one of {', '.join(fields)}, got {shown(name)}{hint}")

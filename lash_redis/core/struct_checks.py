"""The check that each field of a new struct has the type that its annotation says.

msgspec checks what it decodes, and not what a caller constructs. What a caller constructs is stored, and what no worker
can read again must not be (rule 8.15).
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from lash_redis.core.checks import refused

_WORDS: Final = {str: "text", int: "an integer of 64 bits", types.NoneType: "None", Mapping: "a dict", tuple: "a tuple"}


class CheckedStruct(msgspec.Struct, frozen=True):
    """A struct that refuses a field of another type when it is made.

    Raises:
        SettingsError: a field has a value of another type; the message names the struct, the field and what is allowed.
    """

    def __post_init__(self) -> None:
        check_types(self)


def check_types(struct: msgspec.Struct) -> None:
    """Check the type of each field of a struct.

    Raises:
        SettingsError: a field has a value of another type; the message names the struct, the field and what is allowed.
    """
    for name, kinds, allowed in _fields_of(type(struct)):
        value = getattr(struct, name)
        kind = type(value)
        if (kind not in kinds and not _is_one(value, kinds)) or (kind is int and not -(2**63) <= value < 2**63):
            raise refused(f"{name} of {type(struct).__name__}", allowed, value)


def check_names_are_text(what: str, given: Mapping[Any, Any]) -> None:
    """Check that the keys of a mapping are text.

    Raises:
        SettingsError: one is not.
    """
    for name in given:
        if not isinstance(name, str):
            raise refused(f"the names in {what}", "text", name)


def checked_kind(what: str, value: Any, *kinds: type) -> Any:
    """Return ``value`` if it is an instance of one of the kinds.

    Raises:
        SettingsError: it is not; the message names what it may be.
    """
    if not isinstance(value, kinds):
        raise refused(what, " or ".join(_words_of(each) for each in kinds), value)
    return value


def _is_one(value: object, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


@functools.cache
def _fields_of(struct: type[msgspec.Struct]) -> list[tuple[str, tuple[type, ...], str]]:
    """Return the name of each field that is checked, the types that it may have, and these in words."""
    found = []
    for name, annotation in typing.get_type_hints(struct).items():
        kinds = _kinds_of(annotation)
        if kinds is not None and name in struct.__struct_fields__:
            found.append((name, kinds, " or ".join(_words_of(kind) for kind in kinds)))
    return found


def _kinds_of(annotation: Any) -> tuple[type, ...] | None:
    """Return the types that an annotation allows, None if it allows any."""
    if annotation is Any or isinstance(annotation, typing.TypeVar):
        return None
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        parts = [_kinds_of(part) for part in typing.get_args(annotation)]
        return None if None in parts else tuple(kind for part in parts if part for kind in part)
    return (typing.get_origin(annotation) or annotation,)


def _words_of(kind: type) -> str:
    if kind in _WORDS:
        return _WORDS[kind]
    return f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}"

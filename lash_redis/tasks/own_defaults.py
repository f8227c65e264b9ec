"""Defaults of the fields of dataclasses, written into the instances. Pure.

msgspec leaves a default to the class: an instance that it rebuilds has no such attribute of its own, and is stored
without it. One that Python made has it. Both are the same content (rule 5.6).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import msgspec
import msgspec.inspect as inspected


def may_lack_defaults(parts: Iterable[inspected.Type]) -> bool:
    """Say whether a type has a class whose instances may leave a default to their class."""
    classes = [part for part in parts if isinstance(part, inspected.DataclassType)]
    return any(not field.required for part in classes for field in part.fields)


def write_defaults(value: Any) -> None:
    """Give every instance of a dataclass in a rebuilt value its defaults as attributes of its own."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, (list, tuple, set, frozenset)):
            waiting += part
        elif isinstance(part, msgspec.Struct):
            waiting += [getattr(part, name) for name in part.__struct_fields__]
        elif dataclasses.is_dataclass(part):
            names = [field.name for field in dataclasses.fields(part) if field.init and hasattr(part, field.name)]
            held = {name: getattr(part, name) for name in names}
            if hasattr(part, "__dict__"):
                for name in held.keys() - vars(part).keys():
                    object.__setattr__(part, name, held[name])
            waiting += held.values()
        elif hasattr(part, "__attrs_attrs__"):
            waiting += [getattr(part, each.name) for each in part.__attrs_attrs__]

"""The canonical text of a type: what can be decoded as it. The digest of a signature contains it (rule 9.1). Pure.

Types that are equal have one text, however they are spelled and whatever Python runs. A class is described by what its
payload holds, and neither by its name nor by its module, so that it may be renamed and moved. Within one type each
class is described where it comes first, and is a number after that: a class may contain itself.

Queued rows stand in lanes whose names are made of these texts, so that a text may never change without need. A text
that differs although nothing else does costs no work: workers run the rows of other digests too (rule 9.7).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, Final

import msgspec
import msgspec.inspect as inspected

ANY_TEXT: Final = "any"

_WORDS: Final[dict[type[inspected.Type], str]] = {
    inspected.AnyType: ANY_TEXT,
    inspected.NoneType: "none",
    inspected.BoolType: "bool",
    inspected.IntType: "int",
    inspected.FloatType: "float",
    inspected.StrType: "str",
    inspected.BytesType: "bytes",
    inspected.ByteArrayType: "bytearray",
    inspected.MemoryViewType: "memoryview",
    inspected.DateTimeType: "datetime",
    inspected.TimeType: "time",
    inspected.DateType: "date",
    inspected.TimeDeltaType: "timedelta",
    inspected.UUIDType: "uuid",
    inspected.DecimalType: "decimal",
    inspected.ListType: "list",
    inspected.VarTupleType: "tuple of any length",
    inspected.SetType: "set",
    inspected.FrozenSetType: "frozenset",
    inspected.TupleType: "tuple",
    inspected.DictType: "dict",
    inspected.UnionType: "one of",
}
_FINDS_NOTHING: Final[Any] = enum.Enum._missing_
_LIMITS: Final = ("ge", "gt", "le", "lt", "max_length", "min_length", "multiple_of", "pattern", "tz")
_PARTS: Final = ("item_type", "item_types", "key_type", "value_type", "types")
_OBJECTS: Final = (
    inspected.StructType,
    inspected.DataclassType,
    inspected.TypedDictType,
    inspected.NamedTupleType,
)


def type_text(whole: inspected.Type) -> str:
    """Return the canonical text of a type, as ``msgspec.inspect.type_info`` describes it."""
    return _Texts().of(whole)


class _Texts:
    """The texts of one type and its parts."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def of(self, part: inspected.Type) -> str:
        if isinstance(part, inspected.Metadata):
            return self.of(part.type)
        if isinstance(part, inspected.CustomType):
            # A path: the module of its class is another one in each Python. Or ``object``: the others were refused.
            return "path" if issubclass(part.cls, PurePath) else ANY_TEXT
        if isinstance(part, inspected.EnumType):
            finds: Any = part.cls._missing_
            more = ", or what its _missing_ finds" if finds.__func__ is not _FINDS_NOTHING.__func__ else ""
            return f"enum[{_values(each.value for each in part.cls)}{more}]"
        if isinstance(part, inspected.LiteralType):
            return f"literal[{_values(part.values)}]"
        if isinstance(part, _OBJECTS):
            return self._object(part)
        parts = [self.of(each) for each in _parts_of(part)]
        return f"{_word(part)}{_limits(part)}" + (f"[{', '.join(parts)}]" if parts else "")

    def _object(self, part: Any) -> str:
        number = self._numbers.get(id(part))
        if number is not None:
            return f"#{number}"
        self._numbers[id(part)] = len(self._numbers)
        is_tuple = isinstance(part, inspected.NamedTupleType)
        is_array = is_tuple or getattr(part, "array_like", False)
        fields = part.fields if is_array else sorted(part.fields, key=lambda field: field.encode_name)
        texts = [f"{_value(each.encode_name)}{'' if each.required else '?'}: {self.of(each.type)}" for each in fields]
        if getattr(part, "tag", None) is not None:
            texts.insert(0, f"tag {_value(part.tag_field)} {_value(part.tag)}")
        if getattr(part, "forbid_unknown_fields", False):
            texts.append("nothing else")
        return f"{'namedtuple' if is_tuple else 'array' if is_array else 'object'}{{{', '.join(texts)}}}"


def _limits(part: Any) -> str:
    found = [f"{name}={_value(limit)}" for name in _LIMITS if (limit := getattr(part, name, None)) is not None]
    return f"({', '.join(found)})" if found else ""


def _parts_of(part: inspected.Type) -> Iterable[inspected.Type]:
    """Return the parts of a type; those of a union in an order that does not depend on how it is written."""
    found: list[inspected.Type] = []
    for name in _PARTS:
        held = getattr(part, name, ())
        found += held if isinstance(held, tuple) else (held,)
    return sorted(found, key=_rank) if isinstance(part, inspected.UnionType) else found


def _rank(part: inspected.Type) -> tuple[str, ...]:
    """Return what tells the members of a union apart. Not their texts: those depend on the order."""
    if isinstance(part, inspected.Metadata):
        return _rank(part.type)
    if isinstance(part, _OBJECTS):
        return "object", str(getattr(part, "tag", "")), *sorted(field.encode_name for field in part.fields)
    return (_word(part), *(_word(each) for each in _parts_of(part)))


def _word(part: inspected.Type) -> str:
    return _WORDS.get(type(part)) or type(part).__name__


def _values(values: Iterable[Any]) -> str:
    return ", ".join(sorted(map(_value, values)))


def _value(value: Any) -> str:
    return (
        msgspec.json.encode(value).decode() if isinstance(value, (bool, int, float, str, type(None))) else repr(value)
    )

"""The conversion of values of one annotated type into plain values and back.

A parameter without annotation (or with ``Any``) takes plain values only. It refuses others, which would silently arrive
as something else (a set as a list, a date as text). A typed parameter takes whatever msgspec can rebuild from the
annotation. Inside a typed object a field declared ``Any`` arrives in its plain form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath
from types import NoneType
from typing import Any, Final, Literal

import msgspec
import msgspec.inspect as inspected

from lash_redis.tasks.conversion_errors import invalid_value
from lash_redis.tasks.datetimes import MOMENTS, check_moments
from lash_redis.tasks.own_defaults import may_lack_defaults, write_defaults
from lash_redis.tasks.payload import MAX_NESTING, InvalidValue, UnsupportedType, plain_scalar, plain_value
from lash_redis.tasks.type_text import ANY_TEXT, type_text

_NATIVE: Final = (bytes, bytearray, memoryview)
_SCALARS: Final[dict[type[inspected.Type], type]] = {
    inspected.NoneType: NoneType,
    inspected.BoolType: bool,
    inspected.IntType: int,
    inspected.FloatType: float,
    inspected.StrType: str,
    inspected.BytesType: bytes,
}
_PLAIN: Final[tuple[type[inspected.Type], ...]] = (
    *_SCALARS,
    inspected.AnyType,
    inspected.ListType,
    inspected.DictType,
    inspected.LiteralType,
    inspected.UnionType,
    inspected.CustomType,  # only ``object``: conversion_of refuses the others first
)
_MAY_HOLD_MOMENTS: Final = (inspected.DateTimeType, inspected.TimeType, inspected.AnyType, inspected.CustomType)
_SETS: Final = (inspected.SetType, inspected.FrozenSetType)


class Conversion:
    """The conversion of one type into a payload and out of it. This class takes any plain value."""

    type_text: str = ANY_TEXT  # the canonical text of the type
    kept: frozenset[type] = frozenset()  # what is of exactly such a type is restored as it is stored

    def __init__(self, annotation: Any = Any) -> None:
        self.annotation = annotation

    def to_stored(self, value: Any) -> Any:
        """Return the plain value for ``value``; equal values give equal plain values.

        Raises:
            InvalidValue: ``value`` does not fit the type, or no payload can hold it.
        """
        try:
            return plain_value(value)
        except UnsupportedType as unsupported:
            advice = "annotate the parameter with its type, and the task gets it back"
            raise InvalidValue(f"{unsupported.why}; {advice}", unsupported.where) from None

    def from_stored(self, stored: Any) -> Any:
        """Return the value that was stored as this plain value.

        Raises:
            InvalidValue: it does not fit the type.
        """
        return stored


class PlainConversion(Conversion):
    """The conversion of types made of plain types only, such as ``dict[str, list[int]]``: it mainly checks."""

    def to_stored(self, value: Any) -> Any:
        """Return the plain value as the type wants it: an int becomes a float where the type says float."""
        try:
            plain = plain_value(value)
        except UnsupportedType as unsupported:
            raise self._expected(value, unsupported) from None
        return self.from_stored(plain)

    def from_stored(self, stored: Any) -> Any:
        """Return the stored value after checking it."""
        return _converted(stored, self.annotation)

    def _expected(self, value: Any, unsupported: UnsupportedType) -> InvalidValue:
        """Return the better error for a value that no payload can hold: what the annotation expected there."""
        try:
            self.from_stored(value)
        except InvalidValue as invalid:
            if invalid.where != unsupported.where:
                return invalid
            got = f"got `{annotation_text(unsupported.kind)}`"
            return InvalidValue(re.sub("got `[^`]*`", got, invalid.why), invalid.where)
        return unsupported


class ScalarConversion(PlainConversion):
    """The conversion of a scalar type or a union of them. A value of exactly that type is passed on unchecked."""

    def __init__(self, annotation: Any, kinds: frozenset[type]) -> None:
        super().__init__(annotation)
        self.kept = kinds

    def to_stored(self, value: Any) -> Any:
        """Return the value itself if its type is exactly one of these."""
        return plain_value(value) if type(value) in self.kept else super().to_stored(value)

    def from_stored(self, stored: Any) -> Any:
        """Return the value itself if its type is exactly one of these."""
        return stored if type(stored) in self.kept else super().from_stored(stored)


class TypedConversion(Conversion):
    """The conversion of types that msgspec rebuilds: structs, dates, sets, enums and so on."""

    def __init__(self, annotation: Any, parts: list[inspected.Type]) -> None:
        super().__init__(annotation)
        self._has_sets = any(isinstance(part, _SETS) for part in parts)
        self._has_moments = any(isinstance(part, _MAY_HOLD_MOMENTS) and not _is_path(part) for part in parts)
        self._may_lack_defaults = may_lack_defaults(parts)

    def to_stored(self, value: Any) -> Any:
        """Return the plain value of the object that the task will get."""
        if self._has_moments:
            check_moments(to_builtins(value, keep=MOMENTS))
        rebuilt = self.from_stored(to_builtins(value))
        if self._may_lack_defaults:
            write_defaults(rebuilt)
        # Of the rebuilt object: a field left out and the same field with its default are the same content.
        return plain_value(to_builtins(rebuilt, in_order=self._has_sets))

    def from_stored(self, stored: Any) -> Any:
        """Return the rebuilt object."""
        try:
            return _converted(stored, self.annotation)
        except InvalidValue as invalid:
            if invalid.where:
                raise
            raise InvalidValue(f"{invalid.why} (declared as {annotation_text(self.annotation)})") from None


def conversion_of(annotation: Any) -> Conversion:
    """Return the conversion for a resolved annotation.

    Raises:
        TypeError: such a value cannot be rebuilt from a payload.
    """
    if annotation is Any or annotation is object:
        return Conversion()
    whole = inspected.type_info(annotation)
    msgspec.msgpack.Decoder(annotation)  # refuses more than type_info, such as two untagged structs in a union
    parts = list(_parts(whole))
    for part in parts:
        if isinstance(part, inspected.CustomType) and part.cls is not object and not issubclass(part.cls, PurePath):
            raise TypeError(f"nothing here knows how to rebuild {with_article(annotation_text(part.cls))}")
        if isinstance(part, inspected.DictType) and any(map(_is_path, _parts(part.key_type))):
            raise TypeError("the key of a dict would arrive as text, not as a path")
    conversion: Conversion
    if not all(isinstance(part, _PLAIN) and not _is_path(part) for part in parts):
        conversion = TypedConversion(annotation, parts)
    elif kinds := _scalar_kinds(whole):
        conversion = ScalarConversion(annotation, kinds)
    else:
        conversion = PlainConversion(annotation)
    conversion.type_text = type_text(whole)
    return conversion


def carried_result(value: Any) -> Any:
    """Return the plain value for a result, whatever its type.

    Raises:
        InvalidValue: no payload can hold it, or a datetime in it would come back as another one.
    """
    try:
        return plain_value(value)
    except UnsupportedType:
        check_moments(to_builtins(value, keep=MOMENTS))
        return plain_value(to_builtins(value))


def to_builtins(value: Any, *, in_order: bool = False, keep: tuple[type, ...] = ()) -> Any:
    """Return ``value`` as builtins, made of whatever types msgspec knows.

    With ``in_order`` sets and dicts are sorted. A set has no order of its own, and the order of a set of texts differs
    between OS processes, so that equal content would look different. Instances of ``keep`` stay as they are.

    Raises:
        InvalidValue: there is a type that msgspec does not know, or an object that contains itself.
    """
    order: Literal["deterministic"] | None = "deterministic" if in_order else None
    try:
        return msgspec.to_builtins(value, builtin_types=(*_NATIVE, *keep), enc_hook=_encode_unknown, order=order)
    except InvalidValue:
        raise
    except RecursionError:
        raise InvalidValue(f"nested deeper than {MAX_NESTING} levels") from None
    except Exception as error:  # a class of the user can raise anything when its attributes are read
        if in_order:
            return to_builtins(value)  # the members of a set do not compare
        raise InvalidValue(f"{type(error).__qualname__}: {error}") from error


def with_article(name: str) -> str:
    """Return the name of a class with its article, for a sentence."""
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} `{name}`"


def annotation_text(annotation: Any) -> str:
    """Return an annotation as its author would write it."""
    if isinstance(annotation, type):
        return annotation.__qualname__
    return str(annotation).replace("typing.", "")


def _is_path(part: inspected.Type) -> bool:
    return isinstance(part, inspected.CustomType) and issubclass(part.cls, PurePath)


def _parts(whole: inspected.Type) -> Iterator[inspected.Type]:
    """Yield a type and all its parts, each once: a struct may contain itself."""
    seen: set[int] = set()
    waiting: list[Any] = [whole]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, inspected.Type):
            yield part
        if isinstance(part, tuple):
            waiting.extend(part)
        elif isinstance(part, (inspected.Type, inspected.Field)):
            waiting.extend(getattr(part, name) for name in part.__struct_fields__)


def _scalar_kinds(whole: inspected.Type) -> frozenset[type]:
    """Return the scalar types whose values fit unchecked; none if a part is no scalar or has a constraint."""
    parts = whole.types if isinstance(whole, inspected.UnionType) else (whole,)
    if any(type(part) not in _SCALARS or part != type(part)() for part in parts):
        return frozenset()
    return frozenset(_SCALARS[type(part)] for part in parts)


def _encode_unknown(value: Any) -> Any:
    scalar = str(value) if isinstance(value, PurePath) else plain_scalar(value)
    if scalar is None:
        raise InvalidValue(f"{with_article(annotation_text(type(value)))} cannot be carried")
    return scalar


def _decode_unknown(kind: type, stored: Any) -> Any:
    if issubclass(kind, PurePath):
        if not isinstance(stored, str):
            raise TypeError(f"Expected `{kind.__name__}`, got `{type(stored).__name__}`")
        return kind(stored)
    return stored  # of ``object``


def _converted(stored: Any, annotation: Any) -> Any:
    try:
        return msgspec.convert(stored, annotation, builtin_types=_NATIVE, dec_hook=_decode_unknown)
    except msgspec.ValidationError as error:
        raise invalid_value(str(error)) from None
    except Exception as error:  # a class of the user can raise anything in its __post_init__
        raise InvalidValue(f"{type(error).__qualname__}: {error}") from error

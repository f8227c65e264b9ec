"""How values of one annotated type enter a payload and come back out of it.

A parameter without annotation (or ``Any``) carries plain values only and refuses the rest: what would silently
arrive as something else (a set as a list, a date as text) is worth an error at submit. A typed parameter carries
whatever msgspec can rebuild from the annotation. Inside a typed object a field declared ``Any`` gets plain forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import NoneType
from typing import Any, Final, Literal

import msgspec
import msgspec.inspect as inspected

from lash_redis.tasks.payload import MAX_NESTING, Foreign, Misfit, carried, exact_scalar

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
    inspected.CustomType,  # only ``object`` is left when this is asked
)
_SETS: Final = (inspected.SetType, inspected.FrozenSetType)
_COMPLAINT: Final = re.compile(r"(?P<why>.*?)(?: - at `(?P<key>key` in `)?\$(?P<where>[^`]*)`)?\Z", re.DOTALL)


class Conversion:
    """The two ways of one type: into a payload (checked and canonical) and out of it."""

    def __init__(self, annotation: Any = Any) -> None:
        self.annotation = annotation

    def to_stored(self, value: Any) -> Any:
        """Return the builtins that stand for ``value``; equal values give equal builtins.

        Raises:
            Misfit: it does not fit the type, or cannot be carried.
        """
        return carried(value)

    def from_stored(self, stored: Any) -> Any:
        """Return the value that these builtins stand for.

        Raises:
            Misfit: they do not fit the type.
        """
        return stored


class PlainConversion(Conversion):
    """Builtins all through, such as ``dict[str, list[int]]``: checked, never changed beyond what the type says."""

    def to_stored(self, value: Any) -> Any:
        """Return the builtins as the type wants them (an int where it says float becomes one)."""
        try:
            plain = carried(value)
        except Foreign:
            self.from_stored(value)  # says what the annotation expected there, wherever it expected something
            raise
        return self.from_stored(plain)

    def from_stored(self, stored: Any) -> Any:
        """Return what fits; this also checks."""
        return _fitted(stored, self.annotation)


class ScalarConversion(PlainConversion):
    """A bare scalar or a union of them: almost always exact, and then passed on as it is."""

    def __init__(self, annotation: Any, kinds: frozenset[type]) -> None:
        super().__init__(annotation)
        self._kinds = kinds

    def to_stored(self, value: Any) -> Any:
        """Return the value itself if it is exactly of the type."""
        return carried(value) if type(value) in self._kinds else super().to_stored(value)

    def from_stored(self, stored: Any) -> Any:
        """Return the value itself if it is exactly of the type."""
        return stored if type(stored) in self._kinds else super().from_stored(stored)


class TypedConversion(Conversion):
    """Objects that msgspec takes apart and puts together again: structs, dates, sets, enums and so on."""

    def __init__(self, annotation: Any, *, has_sets: bool) -> None:
        super().__init__(annotation)
        self._has_sets = has_sets

    def to_stored(self, value: Any) -> Any:
        """Return the builtins of what the task will get."""
        rebuilt = self.from_stored(taken_apart(value))
        # Not of what came: with a field's default written out or left out it is the same content.
        return carried(taken_apart(rebuilt, in_order=self._has_sets))

    def from_stored(self, stored: Any) -> Any:
        """Return the object put together again."""
        try:
            return _fitted(stored, self.annotation)
        except Misfit as misfit:
            if misfit.where:
                raise
            raise Misfit(f"{misfit.why} (declared as {named(self.annotation)})") from None


def conversion_of(annotation: Any) -> Conversion:
    """Return the conversion for a resolved annotation.

    Raises:
        TypeError: msgspec cannot rebuild such a value from a payload.
    """
    if annotation is Any or annotation is object:
        return Conversion()
    whole = inspected.type_info(annotation)
    msgspec.msgpack.Decoder(annotation)  # finds what the inspection lets pass, such as two untagged structs in a union
    parts = list(_parts(whole))
    for part in parts:
        if isinstance(part, inspected.CustomType) and part.cls is not object:
            raise TypeError(f"msgspec cannot rebuild a `{named(part.cls)}`")
    if all(isinstance(part, _PLAIN) for part in parts):
        kinds = _scalar_kinds(whole)
        return ScalarConversion(annotation, kinds) if kinds else PlainConversion(annotation)
    return TypedConversion(annotation, has_sets=any(isinstance(part, _SETS) for part in parts))


def taken_apart(value: Any, *, in_order: bool = False) -> Any:
    """Return ``value`` as builtins, whatever types msgspec knows it is made of.

    With ``in_order`` sets are sorted, and dicts with them: a set has no order of its own, and that of text differs
    from one OS process to the next, so that the same content would not look the same.

    Raises:
        Misfit: a type that msgspec does not know, or an object that holds itself.
    """
    order: Literal["deterministic"] | None = "deterministic" if in_order else None
    try:
        return msgspec.to_builtins(value, builtin_types=_NATIVE, enc_hook=_exact, order=order)
    except Misfit:
        raise
    except RecursionError:
        raise Misfit(f"nested deeper than {MAX_NESTING} levels") from None
    except Exception as error:  # a class of the user's can say anything when it is read
        if in_order:
            return taken_apart(value)  # what is in the set does not compare
        raise Misfit(f"{type(error).__qualname__}: {error}") from error


def named(annotation: Any) -> str:
    """Return an annotation as its author would write it."""
    if isinstance(annotation, type):
        return annotation.__qualname__
    return str(annotation).replace("typing.", "")


def _parts(whole: inspected.Type) -> Iterator[inspected.Type]:
    """Yield a type and all that it is made of, each once: a struct may hold itself."""
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
    """Return the exact types that fit as they are; none if the type has a part that asks for more than that."""
    parts = whole.types if isinstance(whole, inspected.UnionType) else (whole,)
    if any(type(part) not in _SCALARS or part != type(part)() for part in parts):
        return frozenset()
    return frozenset(_SCALARS[type(part)] for part in parts)


def _exact(value: Any) -> Any:
    exact = exact_scalar(value)
    if exact is None:
        raise Misfit(f"a `{named(type(value))}` cannot be carried")
    return exact


def _fitted(stored: Any, annotation: Any) -> Any:
    try:
        return msgspec.convert(stored, annotation, builtin_types=_NATIVE)
    except msgspec.ValidationError as error:
        raise _misfit(str(error)) from None
    except Exception as error:  # a class of the user's, whose own __post_init__ says no in its own words
        raise Misfit(f"{type(error).__qualname__}: {error}") from error


def _misfit(complaint: str) -> Misfit:
    found = _COMPLAINT.match(complaint)
    assert found is not None  # noqa: S101 - every part of the pattern is optional
    why = found["why"]
    if why.startswith("Expected"):
        why = "e" + why[1:]
    return Misfit(f"{why} as a key" if found["key"] else why, found["where"] or "")

"""Plain values: what a payload can hold and msgpack returns unchanged.

These are None, bool, int of 64 bits, float (NaN included), str, bytes, list and dict. A tuple becomes a list (as a key
of a dict it stays a tuple). An instance of a subclass becomes the plain value that it equals.
"""

from __future__ import annotations

from types import NoneType
from typing import Any, Final

MAX_NESTING: Final = 64

_SCALARS: Final = frozenset({NoneType, bool, int, float, str, bytes})
_UNCHECKED: Final = frozenset({NoneType, bool, float, bytes})


class InvalidValue(Exception):
    """A value that no payload can hold or that does not fit its type.

    Attributes:
        why: what was expected and what was found.
        where: its path inside the whole value, like ``.items[0]``; empty for the whole value.
    """

    def __init__(self, why: str, where: str = "") -> None:
        super().__init__(where, why)
        self.why = why
        self.where = where

    def within(self, outer: str) -> InvalidValue:
        """Return this error with ``outer`` before its path."""
        return InvalidValue(self.why, outer + self.where)


class UnsupportedType(InvalidValue):
    """A value whose type no payload can hold. With an annotation msgspec may be able to rebuild it."""

    def __init__(self, kind: type, where: str = "") -> None:
        super().__init__(
            f"expected a plain value (None, bool, int, float, str, bytes, list, dict), got `{kind.__qualname__}`", where
        )
        self.kind = kind

    def within(self, outer: str) -> InvalidValue:
        """Return this error with ``outer`` before its path."""
        return UnsupportedType(self.kind, outer + self.where)


def plain_value(value: Any, depth: int = 0) -> Any:
    """Return the plain value that ``value`` equals; ``depth`` is the number of levels around it.

    Raises:
        UnsupportedType: its type, or that of a part, has no plain form.
        InvalidValue: an integer has more than 64 bits, a text is no UTF-8, or there are more than 64 levels.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value if kind in _UNCHECKED else _text(value) if kind is str else _integer(value)
    if kind is list or kind is tuple:
        return _list(value, _deeper(depth))
    if isinstance(value, dict):
        return _dict(value, _deeper(depth))
    if isinstance(value, list):
        return _list(value, _deeper(depth))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    scalar = plain_scalar(value)
    if scalar is None:
        raise UnsupportedType(kind)
    return plain_value(scalar, depth)


def plain_scalar(value: Any) -> str | int | float | None:
    """Return the str, int or float that an instance of a subclass equals; None for any other value."""
    for plain in (str, int, float):
        if isinstance(value, plain):
            # Not plain(value): an enum overrides __str__ with a text that it does not equal.
            scalar: str | int | float = getattr(plain, f"__{plain.__name__}__")(value)
            return scalar
    return None


def _deeper(depth: int) -> int:
    if depth == MAX_NESTING:
        raise InvalidValue(f"nested deeper than {MAX_NESTING} levels")
    return depth + 1


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidValue(
                f"expected text that UTF-8 can hold, got a surrogate at character {error.start}"
            ) from None
    return value


def _integer(value: int) -> int:
    if not -(2**63) <= value < 2**64:
        raise InvalidValue("expected an integer from -2**63 to 2**64 - 1, got one beyond 64 bits; carry it as str")
    return value


def _list(items: Any, depth: int) -> list[Any]:
    done: list[Any] = []
    try:
        for item in items:
            done.append(plain_value(item, depth))  # noqa: PERF401 - the count at a failure is its index
    except InvalidValue as invalid:
        raise invalid.within(f"[{len(done)}]") from None
    return done


def _dict(items: dict[Any, Any], depth: int) -> dict[Any, Any]:
    done: dict[Any, Any] = {}
    for key, item in items.items():
        try:
            done[_key(key, depth)] = plain_value(item, depth)
        except InvalidValue as invalid:
            raise invalid.within(f"[{shown_key(key)}]") from None
    return done


def _key(key: Any, depth: int) -> Any:
    return tuple(_list(key, _deeper(depth))) if type(key) is tuple else plain_value(key, depth)


def shown_key(key: Any) -> str:
    """Return the key of a dict as a path shows it, shortened."""
    if not isinstance(key, (str, int)):
        return "..."
    shown = ascii(key)
    return shown if len(shown) <= 40 else shown[:40] + "…"

"""What a payload can hold: the values that msgpack gives back as it got them.

These are None, bool, int of 64 bits, float (NaN included), str, bytes, list and dict. A tuple arrives as a list
(as a dict's key it stays a tuple), and a subclass of one of these as the plain value that it equals.
"""

from __future__ import annotations

from types import NoneType
from typing import Any, Final

MAX_NESTING: Final = 64

_SCALARS: Final = frozenset({NoneType, bool, int, float, str, bytes})
_AS_THEY_ARE: Final = frozenset({NoneType, bool, float, bytes})


class Misfit(Exception):
    """A value that cannot be carried, or does not fit its type: where in the whole it stands, and why."""

    def __init__(self, why: str, where: str = "") -> None:
        super().__init__(where, why)
        self.why = why
        self.where = where

    def within(self, outer: str) -> Misfit:
        """Return the same complaint, seen from one level further out."""
        return Misfit(self.why, outer + self.where)


class Foreign(Misfit):
    """A value whose type a payload does not know; an annotation could say how to rebuild it."""

    def __init__(self, kind: type, where: str = "") -> None:
        super().__init__(
            f"expected a plain value (None, bool, int, float, str, bytes, list, dict), got `{kind.__qualname__}`; "
            "annotate it with a type that msgspec knows, and it is rebuilt",
            where,
        )
        self.kind = kind

    def within(self, outer: str) -> Misfit:
        """Return the same complaint, seen from one level further out."""
        return Foreign(self.kind, outer + self.where)


def carried(value: Any, depth: int = 0) -> Any:
    """Return ``value`` as the builtins that a payload holds.

    Raises:
        Misfit: an integer beyond 64 bits, text that is no UTF-8, more than 64 levels, or a ``Foreign`` type.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value if kind in _AS_THEY_ARE else _text(value) if kind is str else _integer(value)
    if kind is list or kind is tuple:
        return _list(value, _deeper(depth))
    if isinstance(value, dict):
        return _dict(value, _deeper(depth))
    if isinstance(value, list):
        return _list(value, _deeper(depth))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    exact = exact_scalar(value)
    if exact is None:
        raise Foreign(kind)
    return carried(exact, depth)


def exact_scalar(value: Any) -> str | int | float | None:
    """Return what an instance of a subclass of str, int or float equals; None if ``value`` is none."""
    for plain in (str, int, float):
        if isinstance(value, plain):
            # Not plain(value): an enum overrides how it is shown, and that is not what it equals.
            exact: str | int | float = getattr(plain, f"__{plain.__name__}__")(value)
            return exact
    return None


def _deeper(depth: int) -> int:
    if depth == MAX_NESTING:
        raise Misfit(f"nested deeper than {MAX_NESTING} levels")
    return depth + 1


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Misfit(f"expected text that UTF-8 can hold, got a surrogate at character {error.start}") from None
    return value


def _integer(value: int) -> int:
    if not -(2**63) <= value < 2**64:
        raise Misfit("expected an integer from -2**63 to 2**64 - 1, got one beyond 64 bits; carry it as str")
    return value


def _list(items: Any, depth: int) -> list[Any]:
    done: list[Any] = []
    try:
        for item in items:
            done.append(carried(item, depth))  # noqa: PERF401 - the count at a failure is its index
    except Misfit as misfit:
        raise misfit.within(f"[{len(done)}]") from None
    return done


def _dict(items: dict[Any, Any], depth: int) -> dict[Any, Any]:
    done: dict[Any, Any] = {}
    for key, item in items.items():
        try:
            done[_key(key, depth)] = carried(item, depth)
        except Misfit as misfit:
            raise misfit.within(f"[{_shown(key)}]") from None
    return done


def _key(key: Any, depth: int) -> Any:
    return tuple(_list(key, _deeper(depth))) if type(key) is tuple else carried(key, depth)


def _shown(key: Any) -> str:
    if not isinstance(key, (str, int)):
        return "..."
    shown = ascii(key)
    return shown if len(shown) <= 40 else shown[:40] + "…"

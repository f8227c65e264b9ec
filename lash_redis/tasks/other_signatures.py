"""Calls that another release of a task wrote: bound to this release's parameters by name (rule 9.7). Pure.

A row has its arguments by position, as far as they go. In another signature another parameter may stand there, so that
each argument gets the name that it had where it was written. The parameters of every signature stand in the registry,
under the signature's digest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lash_redis.tasks.bare_parameters import BY_NAME, POSITIONAL, BareParameters
from lash_redis.tasks.conversion import Conversion, TypedConversion
from lash_redis.tasks.payload import InvalidValue
from lash_redis.tasks.signature import Signature

_EXTRAS: Final = "VAR_KEYWORD"


def cannot_bind(ours: Signature, theirs: BareParameters) -> str:
    """Return why no call of another signature can be bound to ours; empty if one may be.

    Any call of theirs passes all that they require, and nothing that they do not take.
    """
    named = {each.name for each in theirs if each.kind in POSITIONAL | BY_NAME}
    has_extras = any(each.kind == _EXTRAS for each in theirs)
    for mine in ours.parameters:
        if mine.is_required and mine.name not in named and not (has_extras and mine.name in ours.by_name):
            return f"argument {mine.name} is missing"
    taken = {each.name for each in ours.parameters}
    for other in theirs:
        if other.is_required and other.name not in taken and ours.extras is None:
            return f"unexpected argument {other.name}"
    return ""


def bound_by_name(
    ours: Signature, theirs: BareParameters, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return a call of another signature as a call of ours.

    Each argument by position gets the name that it has in the other signature. Where ours takes arguments by position
    only, or the call has more for ``*args``, the names up to there must be the same.

    Raises:
        InvalidValue: it would be bound to another parameter than was meant. What else does not fit, such as a missing
            argument, is found where the call is bound.
    """
    names = [each.name for each in theirs if each.kind in POSITIONAL]
    here = [each.name for each in ours.positional]
    if len(args) > len(names):
        _check_same(names, here)
        return args, kwargs
    only = [name for name in here if name not in ours.by_name]
    stay = min(len(only), len(args))
    _check_same(names[:stay], only[:stay])
    named = dict(zip(names[stay:], args[stay:], strict=False))
    if twice := named.keys() & kwargs.keys():
        raise InvalidValue(f"argument {min(twice)} is given twice, by position and by name")
    extras_there = {each.name for each in theirs if each.kind not in BY_NAME}  # such a name may be one in **kwargs too
    if hidden := (named.keys() | (kwargs.keys() - extras_there)) & set(only):
        raise InvalidValue(f"argument {min(hidden)} is taken by position only")
    return args[:stay], named | dict(kwargs)


def restored_whole(conversion: Conversion, stored: Any) -> Any:
    """Return a value that another release stored, rebuilt with nothing left out.

    msgspec passes over fields that a class here does not have. They meant something where they were written.

    Raises:
        InvalidValue: it does not fit the type, or has what nothing here takes.
    """
    value = conversion.from_stored(stored)
    if isinstance(conversion, TypedConversion) and (where := _left_out(stored, conversion.to_stored(value))):
        raise InvalidValue("nothing here takes it, and it would be lost", where)
    return value


def _left_out(stored: Any, again: Any) -> str:
    """Return the path of the first part of a stored value that is not in the other; empty if all are."""
    if isinstance(stored, dict) and isinstance(again, dict):
        names, found = {key: f".{key}" for key in stored}, again
    elif isinstance(stored, list) and isinstance(again, list):
        names, found = {at: f"[{at}]" for at in range(len(stored))}, dict(enumerate(again))
    else:
        return ""
    for key, name in names.items():
        if key not in found:
            return name
        if inner := _left_out(stored[key], found[key]):
            return name + inner
    return ""


def _check_same(there: Sequence[str], here: Sequence[str]) -> None:
    if there != here:
        raise InvalidValue(f"the arguments by position are ({', '.join(there)}) there and ({', '.join(here)}) here")

"""The binding of arguments to parameters: Python's own rules, and one canonical form for every spelling of a call."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from lash_redis.core.model import TaskInput
from lash_redis.tasks.payload import InvalidValue
from lash_redis.tasks.signature import Parameter, Signature

_POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY


def argument_in(signature: Signature, call: TaskInput, name: str) -> Any:
    """Return what a canonical call passes for a parameter, or its default as it would be stored."""
    for parameter, value in zip(signature.positional, call.args, strict=False):
        if parameter.name == name:
            return value
    if name in signature.by_name and name in call.kwargs:
        return call.kwargs[name]
    parameter = next(each for each in signature.parameters if each.name == name)
    try:
        return parameter.conversion.to_stored(parameter.default)
    except InvalidValue:  # such as None for a text: it says that none was given
        return parameter.default


def canonical_call(
    signature: Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the same call with as many arguments by position as possible, and the others in a fixed order.

    Raises:
        InvalidValue: the function cannot be called with these arguments.
    """
    by_position, by_name = list(args), dict(kwargs)
    for parameter in signature.positional[len(args) :]:
        if parameter.kind is _POSITIONAL_ONLY or parameter.name not in by_name:
            break
        by_position.append(by_name.pop(parameter.name))
    for problem in (
        _too_many(signature, args),
        _given_twice(signature.positional[: len(args)], kwargs),
        _unexpected(signature, by_name),
        _missing(signature, len(by_position), by_name),
    ):
        if problem:
            raise InvalidValue(f"{problem}; it takes {signature.text}")
    known = [name for name in signature.by_name if name in by_name]
    others = sorted(by_name.keys() - signature.by_name.keys())
    return by_position, {name: by_name[name] for name in (*known, *others)}


def _too_many(signature: Signature, args: Sequence[Any]) -> str:
    at_most = len(signature.positional)
    if signature.rest is not None or len(args) <= at_most:
        return ""
    return f"expected at most {at_most} arguments by position, got {len(args)}"


def _given_twice(filled: Sequence[Parameter], kwargs: Mapping[str, Any]) -> str:
    twice = [each.name for each in filled if each.kind is not _POSITIONAL_ONLY and each.name in kwargs]
    return f"argument {twice[0]} is given twice, by position and by name" if twice else ""


def _unexpected(signature: Signature, by_name: Mapping[str, Any]) -> str:
    if signature.extras is not None:
        return ""
    unexpected = [name for name in by_name if name not in signature.by_name]
    return f"unexpected argument {unexpected[0]}" if unexpected else ""


def _missing(signature: Signature, by_position_count: int, by_name: Mapping[str, Any]) -> str:
    unfilled = signature.positional[by_position_count:]
    missing = [
        each.name
        for each in signature.parameters
        if each.is_required
        and (each in unfilled or each.kind is inspect.Parameter.KEYWORD_ONLY)
        and (each.kind is _POSITIONAL_ONLY or each.name not in by_name)
    ]
    return f"argument {', '.join(missing)} is missing" if missing else ""

"""From a call to a task's input and back, and the same for its result.

The input is canonical, so that the same call made in another way is the same content (design, section 4): the
longest prefix of arguments by position, the rest by name in the order of the parameters, and no defaults applied. Sets
are sorted; one whose members do not compare (structs) has no canonical form, so that submitting it twice under one id
may be refused as a conflict: a list has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from lash_redis.core.errors import LashError, PayloadError
from lash_redis.core.model import TaskInput
from lash_redis.tasks.binding import placed
from lash_redis.tasks.conversion import Conversion, taken_apart
from lash_redis.tasks.declaration import Declaration
from lash_redis.tasks.payload import Misfit, carried
from lash_redis.tasks.signature import Signature

_Way = Callable[[Conversion], Callable[[Any], Any]]

_STORE: Final[_Way] = attrgetter("to_stored")
_RESTORE: Final[_Way] = attrgetter("from_stored")


class Undecodable(LashError):
    """Stored arguments do not fit the task's function; the text becomes the message of a ``Failure``."""


def bind(declaration: Declaration, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskInput:
    """Check a call against the task's annotations and return it as the input of a process.

    Raises:
        PayloadError: an argument is missing, unexpected, of the wrong type, or cannot be carried; it is named with
            its path (``order.items[0].price``).
    """
    try:
        positional, named = _converted(declaration.signature, args, kwargs, _STORE)
    except Misfit as misfit:
        raise PayloadError(f"task {declaration.name}: {misfit.why}") from misfit.__cause__
    return TaskInput(declaration.name, tuple(positional), named)


def unbind(
    declaration: Declaration, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Return what to call the task's function with, rebuilt from what was stored.

    Raises:
        Undecodable: what was stored does not fit the function: other code wrote it.
    """
    try:
        return _converted(declaration.signature, args, kwargs, _RESTORE)
    except Misfit as misfit:
        raise Undecodable(f"task {declaration.name}: {misfit.why}") from misfit.__cause__


def encode_result(declaration: Declaration, value: Any) -> Any:
    """Return a result as plain builtins, whatever the task says that it returns.

    The work is done, so that nothing is refused here that can be carried in any form: only the caller, who wants the
    declared type, checks against it.

    Raises:
        PayloadError: the result cannot be carried; its type is named.
    """
    try:
        return carried(taken_apart(value))
    except Misfit as misfit:
        raise PayloadError(f"task {declaration.name}: result{misfit.where}: {misfit.why}") from misfit.__cause__


def decode_result(declaration: Declaration, stored: Any) -> Any:
    """Return a result as the type that the task declares, or as it was stored if it declares none.

    Raises:
        PayloadError: the function returned something else than it declares.
    """
    try:
        return declaration.signature.returns.from_stored(stored)
    except Misfit as misfit:
        raise PayloadError(f"task {declaration.name}: result{misfit.where}: {misfit.why}") from misfit.__cause__


def _converted(
    signature: Signature, args: Sequence[Any], kwargs: Mapping[str, Any], way: _Way
) -> tuple[list[Any], dict[str, Any]]:
    if kwargs or len(args) not in signature.complete_counts:
        args, kwargs = placed(signature, args, kwargs)
    parameters = signature.positional
    positional: list[Any] = []
    named: dict[str, Any] = {}
    name = ""
    try:
        for parameter, value in zip(parameters, args, strict=False):
            name = parameter.name
            positional.append(way(parameter.conversion)(value))
        if signature.rest is not None:
            for value in args[len(parameters) :]:
                name = f"{signature.rest.name}[{len(positional) - len(parameters)}]"
                positional.append(way(signature.rest.conversion)(value))
        for name, value in kwargs.items():
            named[name] = way(signature.reached_by_name(name).conversion)(value)
    except Misfit as misfit:
        raise Misfit(f"argument {name}{misfit.where}: {misfit.why}") from misfit.__cause__
    return positional, named

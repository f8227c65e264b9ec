"""The conversion of a call into a task's input and back, and the same for its result.

The input is canonical, so that every spelling of one call is the same content (rule 5.6). As many arguments as possible
stand by position, the rest by name in the order of the parameters. No defaults are applied. Sets are sorted. A set
whose members do not compare (structs) has no canonical form: submitting it twice under one id may be a conflict. Use a
list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, Final

from lash_redis.core.error_text import shown
from lash_redis.core.errors import LashError, PayloadError
from lash_redis.core.model import TaskInput
from lash_redis.tasks.bare_parameters import BareParameters
from lash_redis.tasks.binding import canonical_call
from lash_redis.tasks.conversion import Conversion, annotation_text, carried_result
from lash_redis.tasks.declaration import Declaration
from lash_redis.tasks.other_signatures import bound_by_name, restored_whole
from lash_redis.tasks.payload import InvalidValue
from lash_redis.tasks.signature import Signature

_Direction = Callable[[Conversion], Callable[[Any], Any]]

_STORE: Final[_Direction] = attrgetter("to_stored")
_RESTORE: Final[_Direction] = attrgetter("from_stored")
_RESTORE_WHOLE: Final[_Direction] = partial(partial, restored_whole)


class Undecodable(LashError):
    """Stored arguments do not fit the task's function. The text becomes the message of a ``Failure``."""


def bind(declaration: Declaration, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskInput:
    """Check a call against the task's annotations and return it as the input of a process.

    Raises:
        PayloadError: an argument is missing, unexpected, of the wrong type, or no payload can hold it; the message has
            its path (``order.items[0].price``).
    """
    positional, named = bound(declaration, args, kwargs)
    return TaskInput(declaration.name, tuple(positional), named)


def bound(declaration: Declaration, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return what ``bind`` puts into the input: the arguments by position and by name."""
    signature = declaration.signature
    if not kwargs and len(args) in signature.complete_counts and len(args) <= len(signature.stores):
        try:
            return [store(value) for store, value in zip(signature.stores, args, strict=False)], {}
        except InvalidValue:  # the slow way names the argument
            pass
    try:
        return _converted(signature, args, kwargs, _STORE)
    except InvalidValue as invalid:
        raise PayloadError(f"task {declaration.name}: {invalid.why}") from invalid.__cause__


def unbind(
    declaration: Declaration, args: Sequence[Any], kwargs: Mapping[str, Any], theirs: BareParameters | None = None
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments for the task's function, rebuilt from stored ones.

    Args:
        declaration: of the task.
        args: the stored arguments by position.
        kwargs: those by name.
        theirs: the signature that they were written for, if that is another one; they are then bound by name.

    Raises:
        Undecodable: the stored arguments do not fit the function: other code registered them.
    """
    try:
        if theirs is None:
            signature = declaration.signature
            if kwargs or signature.rest is not None or len(args) not in signature.complete_counts:
                return _converted(signature, args, kwargs, _RESTORE)
            return _restored(signature, args), {}
        args, kwargs = bound_by_name(declaration.signature, theirs, args, kwargs)
        return _converted(declaration.signature, args, kwargs, _RESTORE_WHOLE)
    except InvalidValue as invalid:
        raise Undecodable(f"task {declaration.name}: {invalid.why}") from invalid.__cause__


def _restored(signature: Signature, args: Sequence[Any]) -> list[Any]:
    """Return the arguments of a whole call by position, as nearly all are stored, and as ``_converted`` does it."""
    done: list[Any] = []
    try:
        for (kept, restore), value in zip(signature.restoring, args, strict=False):
            done.append(value if type(value) in kept else restore(value))
    except InvalidValue as invalid:
        name = signature.positional[len(done)].name
        raise InvalidValue(f"argument {name}{invalid.where}: {invalid.why}") from invalid.__cause__
    return done


def encode_result(declaration: Declaration, value: Any) -> Any:
    """Return a result as a plain value, without a check against the declared type.

    The work is done, so that any result that a payload can hold is accepted. Whoever reads the result checks its type.

    Raises:
        PayloadError: no payload can hold the result; the message has its type.
    """
    if value is None:  # as of much that is done for what it does
        return None
    try:
        return carried_result(value)
    except InvalidValue as invalid:
        raise PayloadError(f"task {declaration.name}: result{invalid.where}: {invalid.why}") from invalid.__cause__


def decode_result(declaration: Declaration, stored: Any) -> Any:
    """Return a stored result as the declared type, or as the plain value if the task declares none.

    Raises:
        PayloadError: the function returned another type than it declares.
    """
    try:
        return declaration.signature.returns.from_stored(stored)
    except InvalidValue as invalid:
        declared = annotation_text(declaration.signature.returns.annotation)
        raise PayloadError(
            f"task {declaration.name}: the function declares that it returns {declared}, and returned "
            f"{shown(stored)}: result{invalid.where}: {invalid.why}. The process is completed all the same; "
            "(await process.record()).outcome has the result as it is stored"
        ) from invalid.__cause__


def _converted(
    signature: Signature, args: Sequence[Any], kwargs: Mapping[str, Any], direction: _Direction
) -> tuple[list[Any], dict[str, Any]]:
    if kwargs or len(args) not in signature.complete_counts:
        args, kwargs = canonical_call(signature, args, kwargs)
    parameters = signature.positional
    positional: list[Any] = []
    named: dict[str, Any] = {}
    name = ""
    try:
        for parameter, value in zip(parameters, args, strict=False):
            name = parameter.name
            positional.append(direction(parameter.conversion)(value))
        if signature.rest is not None:
            for value in args[len(parameters) :]:
                name = f"{signature.rest.name}[{len(positional) - len(parameters)}]"
                positional.append(direction(signature.rest.conversion)(value))
        for name, value in kwargs.items():
            named[name] = direction(signature.parameter_named(name).conversion)(value)
    except InvalidValue as invalid:
        raise InvalidValue(f"argument {name}{invalid.where}: {invalid.why}") from invalid.__cause__
    return positional, named

"""The signature of a task's function, and its digest, which tells two versions apart during a rolling deploy."""

from __future__ import annotations

import hashlib
import inspect
import typing
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final, NoReturn

import msgspec

from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.tasks.bare_parameters import BareParameter, encode_parameters
from lash_redis.tasks.conversion import Conversion, annotation_text, conversion_of

NO_DIGEST: Final = ""

_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_NOTHING: Final = (None, type(None), NoReturn, typing.Never)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. The conversion of ``*args`` and ``**kwargs`` is that of each value in it."""

    name: str
    kind: inspect._ParameterKind
    conversion: Conversion
    default: Any = field(default=inspect.Parameter.empty, compare=False)

    @property
    def has_default(self) -> bool:
        """True if a call may leave it out."""
        return self.default is not inspect.Parameter.empty

    @property
    def is_required(self) -> bool:
        """True if a call must pass it."""
        return not self.has_default and self.kind in (*_POSITIONAL, inspect.Parameter.KEYWORD_ONLY)


class Signature:
    """The parameters of a task, arranged for binding. It never changes.

    Attributes:
        parameters: in the order of the definition.
        returns: the conversion of the result.
        text: as in a definition, for messages: ``(order_id, amount=...)``.
        digest: of this signature, 16 hex digits; it is part of the lane of a registration.
        named: its parameters as the registry stores them, under its digest.
        served: the digests whose rows a worker with this function may run, its own first.
        positional: parameters that take an argument by position, in order.
        restoring: for each of these the types that are restored as they are stored, and what restores the others.
        stores: what makes the plain value of an argument of each of these.
        by_name: parameters that take an argument by name, by their names.
        rest: the parameter ``*args``, None if there is none.
        extras: the parameter ``**kwargs``, None if there is none.
        complete_counts: the numbers of arguments by position that make a whole call without any by name.
    """

    __slots__ = (
        "by_name",
        "complete_counts",
        "digest",
        "extras",
        "named",
        "parameters",
        "positional",
        "rest",
        "restoring",
        "returns",
        "served",
        "stores",
        "text",
    )

    def __init__(self, parameters: tuple[Parameter, ...], returns: Conversion, text: str) -> None:
        by_kind = {each.kind: each for each in parameters}
        self.parameters: Final = parameters
        self.returns: Final = returns
        self.text: Final = text
        self.served: Final = served_digests(parameters)
        self.digest: Final = self.served[0]
        bare = [BareParameter(each.name, each.kind.name, each.has_default) for each in parameters]
        self.named: Final = {self.digest: encode_parameters(bare)}
        self.positional: Final = tuple(each for each in parameters if each.kind in _POSITIONAL)
        self.restoring: Final = tuple((each.conversion.kept, each.conversion.from_stored) for each in self.positional)
        self.stores: Final = tuple(each.conversion.to_stored for each in self.positional)
        self.by_name: Final = {each.name: each for each in parameters if each.kind in _BY_NAME}
        self.rest: Final = by_kind.get(inspect.Parameter.VAR_POSITIONAL)
        self.extras: Final = by_kind.get(inspect.Parameter.VAR_KEYWORD)
        needs_names = any(each.is_required and each.kind is inspect.Parameter.KEYWORD_ONLY for each in parameters)
        fewest = sum(each.is_required for each in self.positional)
        self.complete_counts: Final = range(0) if needs_names else range(fewest, len(self.positional) + 1)

    def parameter_named(self, name: str) -> Parameter:
        """Return the parameter that takes an argument of this name.

        Raises:
            KeyError: there is none.
        """
        return self.by_name[name] if name in self.by_name or self.extras is None else self.extras


def digest_of(parameters: Sequence[Parameter]) -> str:
    """Return the digest of a signature: the first 8 bytes of SHA-256, in hex.

    It covers the name, the kind, the presence of a default and the type of each parameter, in order. Of a type it
    covers what can be decoded (see ``type_text``). Lanes of queued rows contain it (rule 9.1), so that it may never
    change.
    """
    canonical = msgspec.msgpack.encode(
        [[each.name, each.kind.name, each.has_default, each.conversion.type_text] for each in parameters]
    )
    return hashlib.sha256(canonical).digest()[:8].hex()


def served_digests(parameters: Sequence[Parameter]) -> tuple[str, ...]:
    """Return the digests whose rows a function with these parameters can run.

    They are its own, those without its trailing parameters with defaults (it had them before such a parameter was
    added), and the empty digest of rows that were registered without the function.
    """
    left = list(parameters)
    served = [digest_of(left)]
    while left and left[-1].has_default:
        left.pop()
        served.append(digest_of(left))
    return (*served, NO_DIGEST)


def signature_of(function: Callable[..., Any], task: str) -> Signature:
    """Read the signature of a function; ``task`` names it in errors.

    Raises:
        SettingsError: an annotation cannot be resolved, or no payload can hold its type.
    """
    bare = inspect.signature(function)
    hints = _resolved_annotations(function, task)
    parameters = tuple(
        Parameter(
            name=each.name,
            kind=each.kind,
            conversion=_conversion(hints.get(each.name, Any), f"task {task}: parameter {each.name}"),
            default=each.default,
        )
        for each in bare.parameters.values()
    )
    returned = _awaited(hints.get("return", Any))
    returns = Conversion() if returned in _NOTHING else _conversion(returned, f"task {task}: the result")
    return Signature(parameters, returns, _text(bare))


def _resolved_annotations(function: Callable[..., Any], task: str) -> dict[str, Any]:
    source = inspect.unwrap(function)
    hints: dict[str, Any] = {}
    type_parameters = getattr(source, "__type_params__", ())
    where = "its annotations"
    try:
        for name, annotation in source.__annotations__.items():
            where = f"the annotation {shown(annotation)} of {name!r}"
            # One at a time, so that the error can name it. Type parameters are `def task[T](...)` of Python 3.12.
            one = SimpleNamespace(__annotations__={name: annotation}, __type_params__=type_parameters)
            hints |= typing.get_type_hints(one, source.__globals__, include_extras=True)
    except Exception as error:
        raise SettingsError(
            f"task {task}: {where} cannot be resolved: {error} (it must be importable at run time, not only under "
            "TYPE_CHECKING, and defined at module level before the task)"
        ) from error
    return hints


def _awaited(annotation: Any) -> Any:
    """Return what awaiting a result of this type gives: a plain function may return an awaitable."""
    origin = typing.get_origin(annotation)
    if isinstance(origin, type) and issubclass(origin, Awaitable):
        return _awaited(typing.get_args(annotation)[-1])
    return annotation


def _conversion(annotation: Any, what: str) -> Conversion:
    try:
        return conversion_of(annotation)
    except Exception as error:  # msgspec raises TypeError; a class of the user can raise anything
        raise SettingsError(
            f"{what}: {annotation_text(annotation)} cannot be carried: {error}. Use None, bool, int, float, str, "
            "bytes, list, dict, set, tuple, date and time types, UUID, Decimal, Enum, Path, a dataclass, TypedDict, "
            "NamedTuple, attrs class or msgspec.Struct of these"
        ) from error


class _SomeDefault:
    """Takes the place of a default in messages: its value may be long, or secret."""

    def __repr__(self) -> str:
        return "..."


def _text(bare: inspect.Signature) -> str:
    empty, some = inspect.Parameter.empty, _SomeDefault()
    return str(
        inspect.Signature(
            [
                each.replace(annotation=empty, default=empty if each.default is empty else some)
                for each in bare.parameters.values()
            ]
        )
    )

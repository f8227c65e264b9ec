"""A task as data: its name, its function, what recovery may do with its processes, and its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Unpack

from lash_redis.core.checks import checked_task_name
from lash_redis.core.errors import SettingsError
from lash_redis.core.model import RecoveryDisposition, disposition_named
from lash_redis.core.options import ChosenOptions, ProcessOptions, with_options
from lash_redis.tasks.signature import Signature, signature_of


class Missing:
    """The type of ``MISSING``, which stands for a recovery that was not given."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()

_MEANINGS: Final = {
    RecoveryDisposition.RERUNNABLE: "another owner may run it again: journaled or idempotent work",
    RecoveryDisposition.OWNER_BOUND: "once an owner has started it, nobody else may ever run it: lost, it is abandoned",
    RecoveryDisposition.EXTERNALLY_OWNED: "the pool never runs it: not for a function, see `lash.expect`",
}


@dataclass(frozen=True, slots=True)
class Declaration:
    """One task.

    Attributes:
        name: what rows call it, the same in every program that submits or runs it.
        function: what a worker calls.
        disposition: what recovery may do with a process of it whose owner was lost.
        options: for every submit that gives no others.
        signature: what the function can be called with.
        is_async: True if a call of the function gives a coroutine.
    """

    name: str
    function: Callable[..., Any]
    disposition: RecoveryDisposition
    options: ProcessOptions
    signature: Signature
    is_async: bool

    @property
    def location(self) -> str:
        """Where the function is defined: ``file:line``."""
        return location_of(self.function)


def declare(
    function: Callable[..., Any],
    *,
    recovery: RecoveryDisposition | str | Missing,
    name: str | None = None,
    **options: Unpack[ChosenOptions],
) -> Declaration:
    """Make a task of a function.

    Args:
        function: a plain or an ``async`` function; it stays as it is.
        recovery: ``"rerunnable"`` or ``"owner_bound"``; there is no default (rule 1.1).
        name: what rows call the task; ``module.qualname`` unless given. Rows keep it, so it must not change. For a
            function of the main program the module is the one that a worker would import: that of ``python -m``, else
            the file's name without ``.py``. A function made inside another is named after both. A lambda needs a name.
        **options: those of ``ProcessOptions``, for every submit that gives no others.

    Raises:
        SettingsError: the recovery is missing or not for a function, an option is unknown or outside what is allowed,
            this is not a function that a worker could call, or its annotations name what no payload can carry.
    """
    _check_is_function(function)
    disposition = _disposition(recovery, function)
    _check_can_be_called(function)
    task = checked_task_name(_default_name(function) if name is None else name)
    return Declaration(
        name=task,
        function=function,
        disposition=disposition,
        options=with_options(ProcessOptions(), options),
        signature=signature_of(function, task),
        is_async=inspect.iscoroutinefunction(function),
    )


def location_of(function: Callable[..., Any]) -> str:
    """Return where a function, without its decorators, is defined: ``file:line``."""
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def _check_is_function(function: object) -> None:
    if not inspect.isfunction(function):
        kind = "the class" if inspect.isclass(function) else f"a `{type(function).__qualname__}`:"
        raise SettingsError(f"expected a task to be a function (def or async def), got {kind} {function!r}")


def _default_name(function: Callable[..., Any]) -> str:
    if "<lambda>" in function.__qualname__:
        raise SettingsError(
            f"expected a task to have a name, got a lambda ({location_of(function)}): give it one, name=..."
        )
    return f"{_importable_module(function)}.{function.__qualname__}"


def _importable_module(function: Callable[..., Any]) -> str:
    """Return the name by which a worker would import the function's module, also if it runs as the main program."""
    if function.__module__ not in ("__main__", "__mp_main__"):
        return function.__module__
    main = function.__globals__
    if (spec := main.get("__spec__")) is not None:
        return str(spec.name)
    # An interactive interpreter has no file. The name then serves a worker in the same interpreter.
    return inspect.getmodulename(main.get("__file__", "")) or function.__module__


def _disposition(recovery: object, function: Callable[..., Any]) -> RecoveryDisposition:
    if recovery is MISSING:
        allowed = "".join(f'\n  recovery="{each.value}": {meaning}' for each, meaning in _MEANINGS.items())
        raise SettingsError(
            f"{_described(function)} does not say what recovery may do with it after its owner is lost; "
            f"there is no default, choose one:{allowed}"
        )
    try:
        disposition = disposition_named(recovery)
    except SettingsError as error:
        raise SettingsError(f"{_described(function)}: {error}") from None
    if disposition is RecoveryDisposition.EXTERNALLY_OWNED:
        raise SettingsError(
            f"{_described(function)}: the pool never runs externally owned work, so it has no function; "
            "register it with `lash.expect(process_id, grantee=...)`"
        )
    return disposition


def _check_can_be_called(function: Callable[..., Any]) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise SettingsError(f"{_described(function)}: expected a function that returns, got a generator")
    first = next(iter(inspect.signature(function).parameters), None)
    is_in_class = "." in function.__qualname__.rpartition("<locals>.")[2]
    if is_in_class and first in ("self", "cls"):
        raise SettingsError(
            f"{_described(function)}: a worker has no {first!r} to call a method on; use a function of a module"
        )


def _described(function: Callable[..., Any]) -> str:
    return f"task {function.__qualname__} ({location_of(function)})"

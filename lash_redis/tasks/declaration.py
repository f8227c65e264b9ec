"""A task as data: its name, its function, what recovery may do with its processes, and its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Unpack

from lash_redis.core.checks import checked_iterable, checked_task_name
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.model import RecoveryDisposition, disposition_named
from lash_redis.core.options import ProcessOptions, with_options
from lash_redis.core.policies import Policy
from lash_redis.core.retrying import Retries, retries_of
from lash_redis.tasks.limits import NO_LIMITS, ChosenTaskOptions, Limits, declared_limits, without_limits
from lash_redis.tasks.naming import default_name, definition, described, location_of
from lash_redis.tasks.option_names import check_declared
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
        retries: when a run that failed is made again; None: never, unless its code asks for it.
        signature: what the function can be called with.
        is_async: True if a call of the function gives a coroutine.
        aliases: other names under which rows wait that it runs: those that it had in earlier releases.
        limits: its key, and what it may not exceed.
    """

    name: str
    function: Callable[..., Any]
    disposition: RecoveryDisposition
    options: ProcessOptions
    signature: Signature
    is_async: bool
    aliases: tuple[str, ...] = ()
    limits: Limits = NO_LIMITS
    retries: Retries | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The task's name, and those that rows of other releases call it."""
        return (self.name, *self.aliases)

    @property
    def location(self) -> str:
        """Where the function is defined: ``file:line``."""
        return location_of(self.function)

    def is_redefined_by(self, other: Declaration) -> bool:
        """Say whether another declaration is the same task again, such as from a module that was reloaded."""
        return definition(self.function) == definition(other.function)


def declare(
    function: Callable[..., Any],
    *,
    recovery: RecoveryDisposition | str | Missing,
    name: str | None = None,
    aliases: Iterable[str] = (),
    **options: Unpack[ChosenTaskOptions],
) -> Declaration:
    """Make a task of a function.

    Args:
        function: a plain or an ``async`` function; it stays as it is.
        recovery: ``"rerunnable"`` or ``"owner_bound"``; there is no default (rule 1.1).
        name: what rows call the task; ``module.qualname`` unless given. Rows keep it, so it must not change. For a
            function of the main program the module is the one that a worker would import: that of ``python -m``, else
            that of its file, within the packages in whose folders it lies, below the working folder. A function made
            inside another is named after both. A lambda needs a name, and so does what no worker could import: what was
            typed at a prompt or in a notebook, given to ``python -c``, or executed.
        aliases: the names that the task had in earlier releases: it runs what was submitted under them too.
        **options: those of ``ProcessOptions``, for every submit that gives no others; and what it says of keys and
            limits (``Limits``), and ``retries``: runs in all, or a ``Retries``; of rerunnable work only.

    Raises:
        SettingsError: the recovery is missing or not for a function, an alias is no task name or
            given twice, an option is unknown or outside what is allowed,
            this is not a function that a worker could call, no worker could find it by its name, or its annotations
            name what no payload can carry.
    """
    _check_is_function(function)
    disposition = _disposition(recovery, function)
    _check_can_be_called(function)
    check_declared(options)
    retries = _checked_retries(options.pop("retries", None), disposition, function)
    chosen = with_options(ProcessOptions(), without_limits(options))
    task = checked_task_name(default_name(function) if name is None else name)
    signature = signature_of(function, task)
    return Declaration(
        name=task,
        function=function,
        disposition=disposition,
        options=chosen,
        signature=signature,
        is_async=inspect.iscoroutinefunction(function),
        aliases=_checked_aliases(task, aliases),
        limits=declared_limits(task, signature, options),
        retries=retries,
    )


def two_tasks_error(known: Declaration, other: Declaration) -> SettingsError:
    """Return the error for a second task of one name; it names the way out."""
    one, two = known.function, other.function
    if known.name != other.name:
        shared = next(name for name in known.names if name in other.names)
        return SettingsError(
            f"two tasks go by the name {shown(shared)}: {known.name!r} at {known.location} and {other.name!r} at "
            f"{other.location}: rows under a name are run by one task, so leave it out of the aliases of one of them"
        )
    if one.__code__ is two.__code__ and known.name.endswith(one.__qualname__):
        return SettingsError(
            f"two functions ask to be the task {known.name!r} ({known.location}), which is what their decorator calls "
            "its wrapper: put @functools.wraps(function) on the wrapper, or name each task, name=..."
        )
    return SettingsError(
        f"two tasks are named {known.name!r}, at {known.location} and at {other.location}: "
        "give one of them another name"
    )


def policies_of(declarations: Iterable[Declaration]) -> list[Policy]:
    """Return what these tasks may not exceed, each policy once."""
    return list(dict.fromkeys(policy for each in declarations for policy in each.limits.policies))


def _checked_aliases(task: str, aliases: Iterable[str]) -> tuple[str, ...]:
    names = tuple(map(checked_task_name, checked_iterable("aliases", "names of tasks", aliases)))
    if len({task, *names}) != len(names) + 1:
        raise SettingsError(
            f"expected the aliases of task {task!r} to be distinct, and other names than its own, got {shown(names)}"
        )
    return names


def _check_is_function(function: object) -> None:
    if not inspect.isfunction(function):
        kind = "the class" if inspect.isclass(function) else f"a `{type(function).__qualname__}`:"
        raise SettingsError(f"expected a task to be a function (def or async def), got {kind} {shown(function)}")


def _disposition(recovery: object, function: Callable[..., Any]) -> RecoveryDisposition:
    if recovery is MISSING:
        allowed = "".join(f'\n  recovery="{each.value}": {meaning}' for each, meaning in _MEANINGS.items())
        raise SettingsError(
            f"{described(function)} does not say what recovery may do with it after its owner is lost; "
            f"there is no default, choose one:{allowed}"
        )
    try:
        disposition = disposition_named(recovery)
    except SettingsError:
        raise SettingsError(
            f"{described(function)}: expected recovery to be 'rerunnable' or 'owner_bound', got {shown(recovery)}"
        ) from None
    if disposition is RecoveryDisposition.EXTERNALLY_OWNED:
        raise SettingsError(
            f"{described(function)}: the pool never runs externally owned work, so it has no function; "
            "register it with `lash.expect(process_id, grantee=...)`"
        )
    return disposition


def _checked_retries(given: object, disposition: RecoveryDisposition, function: Callable[..., Any]) -> Retries | None:
    retries = retries_of(given)
    if retries is not None and disposition is RecoveryDisposition.OWNER_BOUND:
        raise SettingsError(
            f"{described(function)}: retries={shown(given)} on owner-bound work: once started it may never run again; "
            "declare it rerunnable, or handle the error inside"
        )
    return retries


def _check_can_be_called(function: Callable[..., Any]) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise SettingsError(f"{described(function)}: expected a function that returns, got a generator")
    first = next(iter(inspect.signature(function).parameters), None)
    is_in_class = "." in function.__qualname__.rpartition("<locals>.")[2]
    if is_in_class and first in ("self", "cls"):
        raise SettingsError(
            f"{described(function)}: a worker has no {first!r} to call a method on; use a function of a module"
        )

"""What a task declares of keys and limits, and what one call of it has for them (rule 9.12). No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict

import msgspec

from lash_redis.core.checks import checked_bool, checked_int, checked_text, refused
from lash_redis.core.durations import Duration, milliseconds
from lash_redis.core.error_text import shown
from lash_redis.core.errors import PayloadError, SettingsError
from lash_redis.core.model import TaskInput
from lash_redis.core.options import ChosenOptions
from lash_redis.core.policies import MOST_SLOTS, Policy, scope_of_task
from lash_redis.core.retrying import Retries
from lash_redis.core.sequences import AfterLoss, sequence_in
from lash_redis.core.shares import REVISION
from lash_redis.tasks.binding import argument_in
from lash_redis.tasks.sequences import declared_sequence
from lash_redis.tasks.signature import Signature

_MOST_COST: Final = 1000


class ChosenLimits(TypedDict, total=False):
    """What a declaration says of keys and limits, for type checkers."""

    key: str
    fair: bool
    limit: int
    rate: tuple[int, Duration]
    within: Policy
    revision: int
    sequence: bool | str
    after_loss: AfterLoss


class ChosenTaskOptions(ChosenOptions, ChosenLimits, total=False):
    """The options of a declaration. ``cost`` is a number or the name of a parameter."""

    retries: Retries | int
    cost: int | str  # type: ignore[misc] # one submit gives a number


class Limits(msgspec.Struct, frozen=True):
    """What a task declares.

    Attributes:
        key: the parameter whose argument is the key; empty: none is.
        cost: the parameter whose argument is the cost; empty: none is.
        by_key: the scope of what each key passes by itself; empty: none.
        for_all: the scope of what all keys share; empty: none.
        needs_key: a submit must have a key.
        policies: those of the scopes.
    """

    key: str = ""
    cost: str = ""
    by_key: str = ""
    for_all: str = ""
    needs_key: bool = False
    policies: tuple[Policy, ...] = ()

    @property
    def scopes(self) -> str:
        """The scopes as lanes have them; empty if rows have no key."""
        return f"{self.by_key},{self.for_all}" if self.needs_key or self.policies else ""

    @property
    def is_sequence(self) -> bool:
        """The work of a key runs one at a time, in order."""
        return bool(sequence_in(self.by_key))


NO_LIMITS: Final = Limits()


def without_limits(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a declaration that are not about keys and limits; a cost is one if it is a number."""
    return {
        name: value
        for name, value in options.items()
        if name not in ChosenLimits.__annotations__ and not (name == "cost" and isinstance(value, str))
    }


def declared_limits(task: str, signature: Signature, options: Mapping[str, Any]) -> Limits:
    """Return what a declaration says of keys and limits.

    Raises:
        SettingsError: a value is outside what is allowed, or two of them cannot be together.
    """
    given = {name: options[name] for name in ChosenLimits.__annotations__ if options.get(name) is not None}
    cost = options.get("cost", 1)
    if not given and cost == 1:
        return NO_LIMITS
    key = _parameter("key", given["key"], signature) if "key" in given else ""
    is_keyed = checked_bool("fair", given.get("fair", False)) or bool(key)
    sequence = declared_sequence(task, options)
    own = policy(scope_of_task(task), given.get("limit"), given.get("rate"), given.get("revision", 1), keyed=is_keyed)
    if own is None and "revision" in given:
        raise SettingsError(
            f"expected task {task!r} to have limit= or rate= beside its revision, got revision={given['revision']} "
            "alone: it is raised with each change of these"
        )
    within = _checked_within(given.get("within"))
    if own and within and own.keyed and within.keyed:
        raise SettingsError(
            f"task {task!r} has a limit by key and passes {within.named}, which is by key too: a process passes one "
            "by key and one that all keys share, since two that it waits for in turn starve. Declare one of them"
        )
    if sequence and within and within.keyed:
        raise SettingsError(
            f"expected task {task!r} to pass a limit that all keys share beside its sequence, got {within.named}, "
            "which is by key: a key runs one at a time"
        )
    policies = tuple(each for each in (own, within) if each)
    cost_parameter = _parameter("cost", cost, signature) if isinstance(cost, str) else ""
    _check_counts(task, cost, policies)
    # What is by key is asked first. A task's own limit without keys parks its only key.
    first = next((each for each in policies if each.keyed), own)
    second = next((each for each in policies if each is not first), None)
    return Limits(
        key=key,
        cost=cost_parameter,
        by_key=sequence or (first.scope if first else ""),
        for_all=second.scope if second else "",
        needs_key=is_keyed or bool(sequence or (within and within.keyed)),
        policies=policies,
    )


def policy(scope: str, limit: object, rate: object, revision: object, *, keyed: bool) -> Policy | None:
    """Return a policy of what people write; None if it limits nothing.

    Raises:
        SettingsError: a value is outside what is allowed.
    """
    slots, starts, window_ms = 0, 0, 0
    number = REVISION.checked("revision", revision)
    if limit is not None:
        slots = checked_int("limit", limit, at_least=1, at_most=MOST_SLOTS)
    if rate is not None:
        if not isinstance(rate, (tuple, list)) or len(rate) != 2:
            raise refused("rate", "(starts, seconds or a timedelta)", rate)
        starts = checked_int("the starts of rate", rate[0], at_least=1, at_most=MOST_SLOTS)
        window_ms = milliseconds("the window of rate", rate[1], at_least_ms=1)
    return Policy(scope, keyed, slots, starts, window_ms, number) if slots or starts else None


def key_and_cost(
    limits: Limits, signature: Signature, call: TaskInput, key: str | None, cost: int
) -> tuple[str | None, int]:
    """Return the key (None: its row is a plain one) and the cost of one call.

    Args:
        limits: what its task declares.
        signature: of the task.
        call: its arguments.
        key: the key that the submit gives.
        cost: the cost that the submit gives, or the declared one.

    Raises:
        SettingsError: the task has no keys, or needs one.
        PayloadError: the argument that is the key or the cost cannot be one.
    """
    if not limits.scopes:
        if key is not None:
            raise SettingsError(
                f"expected no key for task {call.task!r}, got {shown(key)}: it declares none (key=, fair=True or "
                "within= a limit by key)"
            )
        return None, cost
    if limits.cost:
        cost = _cost_in(argument_in(signature, call, limits.cost), limits, call.task)
    if not limits.needs_key:
        if key is not None:
            raise SettingsError(
                f"expected no key for task {call.task!r}, got {shown(key)}: all its work shares one limit"
            )
        return "", cost
    if key is None and limits.key:
        key = _key_in(argument_in(signature, call, limits.key), limits, call.task)
    if key is None:
        raise SettingsError(f"task {call.task!r} needs a key: give one, options(key=...), or declare key= a parameter")
    if key == "":
        raise SettingsError(
            f"expected the key of task {call.task!r} to be text of 1 to 256 bytes, got '': whose limit and turn would "
            "it be? Give one, options(key=...), such as 'nobody'"
        )
    return key, cost


def _parameter(what: str, name: object, signature: Signature) -> str:
    known = [*signature.by_name]
    if not isinstance(name, str) or name not in known:
        raise refused(
            what, f"the name of a parameter that a call gives by name ({', '.join(known) or 'there is none'})", name
        )
    return name


def _checked_within(within: object) -> Policy | None:
    if within is not None and not isinstance(within, Policy):
        raise refused("within", "one limit, of lash.limit(...): two that a process waits for in turn starve", within)
    return within


def _check_counts(task: str, cost: int | str, policies: tuple[Policy, ...]) -> None:
    """Refuse a cost where nothing counts it, and one that is above a limit."""
    if cost == 1:
        return
    if not any(each.limit for each in policies):
        raise SettingsError(
            f"expected task {task!r} to have a limit that its cost counts in, got cost={shown(cost)} and no limit: "
            "declare limit=, or within= one"
        )
    if isinstance(cost, int):
        for each in policies:
            each.check_cost(cost, 1)


def _key_in(value: Any, limits: Limits, task: str) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    try:
        return checked_text("key", text, 256, at_least=0)
    except SettingsError as error:
        raise PayloadError(f"task {task}: {limits.key} is the key: {error}, or an integer") from None


def _cost_in(value: Any, limits: Limits, task: str) -> int:
    try:
        return checked_int("cost", value, at_least=1, at_most=_MOST_COST)
    except SettingsError as error:
        raise PayloadError(f"task {task}: {limits.cost} is the cost: {error}") from None

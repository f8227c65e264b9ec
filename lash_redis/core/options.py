"""The options of a task, which travel from ``@lash.task`` to the row, and those of one submit. A new one is added here.

Beside its type each option says how it is checked, and where the row keeps it or what it asks of the registration.
Declaration, registration, row and record carry the options whole and name none of them.
"""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Annotated, Any, Final, Literal, Protocol, TypedDict, TypeVar

import msgspec

from lash_redis.core.checks import ID, QUEUE, Check, checked_iterable, integer, one_of, or_none, refused, several
from lash_redis.core.durations import MAX_MS, Duration, instant_ms, milliseconds
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.fields import Field, check_names, fields_of
from lash_redis.core.labels import LABELS, encode_labels
from lash_redis.core.unique import UNIQUE, Unique


@dataclass(frozen=True, slots=True)
class Option:
    """What stands beside an option's type.

    Attributes:
        meaning: for the reference, docs/settings.md.
        check: what its values may be.
        row_field: the field of the row that holds a value other than the default; empty: no field does.
        ask: what a value other than the default asks of the script that registers (see its header); empty: nothing.
        encode: how the row holds, or the script is asked, a value that is no text and no number.
    """

    meaning: str
    check: Check[Any]
    row_field: str = ""
    ask: str = ""
    encode: Callable[[Any], str] | None = None


class ProcessOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a task, of a registration and of a record.

    The values are not checked here, since a row may hold what a newer release allows. ``with_options`` and
    ``ProcessRegistration`` check what comes from a caller.
    """

    queue: Annotated[str, Option("the queue that the work waits in", QUEUE)] = "default"
    loss_limit: Annotated[
        int,
        Option(
            "losses at which rerunnable work is abandoned instead of run again", integer(1, 1_000_000), row_field="ll"
        ),
    ] = 5
    priority: Annotated[
        int,
        Option("within a queue and partition, what has a higher one runs earlier", integer(-100, 100), row_field="pr"),
    ] = 0
    keep_results_ms: Annotated[
        int | None,
        Option(
            "milliseconds that a returned value is kept, if shorter than the process is",
            or_none(integer(0, MAX_MS)),
            row_field="kr",
        ),
    ] = None
    cost: Annotated[
        int,
        Option(
            "how many slots of its limits it takes; declared, it may be a parameter's name",
            integer(1, 1000),
            row_field="co",
        ),
    ] = 1
    expires_in_ms: Annotated[
        int | None,
        Option(
            "milliseconds after the registration at which it is cancelled if nobody has started it",
            or_none(integer(1, MAX_MS)),
            ask="expire",
        ),
    ] = None


IfFailed = Literal["cancel", "run"]
MAX_AFTER: Final = 100


class HasId(Protocol):
    """A handle of a process."""

    @property
    def id(self) -> str:
        """The process id."""


class SubmitOptions(ProcessOptions, frozen=True, kw_only=True):
    """The options of one submit: those of its task, and when it runs.

    A delay counts by the server's clock. What asks for a moment that has passed runs at once.
    """

    delay_ms: Annotated[
        int, Option("milliseconds after which it may run, by the server's clock", integer(0, MAX_MS), ask="in")
    ] = 0
    unique: Annotated[
        Unique | None, Option("what makes a second submit of the same work no second process", UNIQUE)
    ] = None
    at_ms: Annotated[
        int | None, Option("when it may run, ms since the epoch", or_none(integer(0, 2**53)), ask="at")
    ] = None
    labels: Annotated[
        Mapping[str, str],
        Option("names and values by which it can be found", LABELS, row_field="lb", encode=encode_labels),
    ] = {}
    after: Annotated[
        tuple[str, ...],
        Option("the processes that it waits for", several(ID, MAX_AFTER, "process ids"), ask="after", encode=" ".join),
    ] = ()
    if_failed: Annotated[
        IfFailed | None,
        Option(
            "what becomes of it if one of them does not complete: it is cancelled, or it runs all the same",
            or_none(one_of("cancel", "run")),
            ask="by",
            encode=lambda value: value[0],
        ),
    ] = None


class _PlainOptions(TypedDict, total=False):
    queue: str
    loss_limit: int
    priority: int
    cost: int


class ChosenOptions(_PlainOptions, total=False):
    """The options that a declaration gives by name, for type checkers, with lengths of time in people's words."""

    expires_in: Duration
    keep_results: Duration


class ShownOptions(_PlainOptions, total=False):
    """The options that a row has, for type checkers: the names and types of ``ProcessOptions``."""

    expires_in_ms: int | None
    keep_results_ms: int | None


class ChosenSubmitOptions(ChosenOptions, total=False):
    """The options that a submit gives by name: those of a declaration, and lengths of time and moments."""

    delay: Duration
    at: dt.datetime
    labels: Mapping[str, str]
    unique: Unique
    after: Iterable[HasId | str]
    if_failed: IfFailed


AnyOptions = TypeVar("AnyOptions", bound=ProcessOptions)

OPTIONS = fields_of(ProcessOptions, Option)
SUBMIT_OPTIONS = fields_of(SubmitOptions, Option)
_STORED = [(field.about.row_field.encode(), field) for field in SUBMIT_OPTIONS.values() if field.about.row_field]
_ASKED = [(f"+{field.about.ask}".encode(), field) for field in SUBMIT_OPTIONS.values() if field.about.ask]
_TOLD = [field for _, field in _STORED + _ASKED]
_told_of = attrgetter(*(field.name for field in _TOLD))
_TOLD_OF_NONE = tuple(field.default for field in _TOLD)


def _ids(what: str, value: object) -> object:
    """Return the ids of processes that are given by their handles or ids."""
    given = checked_iterable(what, f"handles and process ids, {MAX_AFTER} at most", value)
    ids = tuple(dict.fromkeys(_id_of(f"each of {what}", each) for each in given))
    if len(ids) > MAX_AFTER:
        raise SettingsError(
            f"expected {what} to be at most {MAX_AFTER} handles and process ids, got {len(ids)}: make what is waited "
            "for members of lash.group(...), of which there may be any number"
        )
    return SUBMIT_OPTIONS["after"].checked(what, ids)


def _id_of(what: str, given: object) -> str:
    found = given if isinstance(given, str) else getattr(given, "id", None)
    if isinstance(found, str):
        return ID.checked(what, found)
    if inspect.iscoroutine(given):
        given.close()  # Python would say of it beside this that nobody awaits it
        raise refused(what, "a handle or a process id", given, ": is an await missing?")
    raise refused(what, "a handle or a process id", given, ": submit it first" if callable(given) else "")


# Options that people give in words of their own: the option that each stands for, and how it is read.
WORDS: Final[dict[str, tuple[str, Callable[[str, object], object]]]] = {
    "delay": ("delay_ms", milliseconds),
    "at": ("at_ms", instant_ms),
    "keep_results": ("keep_results_ms", milliseconds),
    "expires_in": ("expires_in_ms", partial(milliseconds, at_least_ms=1)),
    "after": ("after", _ids),
}


def with_options(options: AnyOptions, chosen: Mapping[str, object]) -> AnyOptions:
    """Return the options with what was chosen in their place.

    Raises:
        SettingsError: there is no option of that name, or a value is outside what is allowed.
    """
    fields = SUBMIT_OPTIONS if isinstance(options, SubmitOptions) else OPTIONS
    words = {word: option for word, (option, _) in WORDS.items() if option in fields}
    check_names("an option", chosen, dict.fromkeys([*(name for name in fields if name not in words.values()), *words]))
    checked: dict[str, object] = {}
    if when := [name for name in ("delay", "at") if name in chosen and name in words]:
        if len(when) == 2:
            raise SettingsError(f"expected delay or at, got both: {shown(chosen['delay'])} and {shown(chosen['at'])}")
        checked = {words[name]: fields[words[name]].default for name in ("delay", "at")}
    for name, value in chosen.items():
        if name in words:
            option, read = WORDS[name]
            checked[option] = read(name, value)
        else:
            checked[name] = fields[name].checked(name, value)
    if checked.get("after") == ():
        checked["if_failed"] = None  # a list that happens to be empty: it waits for nothing, in whatever way
    return msgspec.structs.replace(options, **checked)


def row_fields(options: ProcessOptions) -> list[bytes | str | int]:
    """Return what a row needs for these options: field and value by turns, none for a default."""
    return _by_turns(_STORED, options)


def asks(options: SubmitOptions) -> list[bytes | str | int]:
    """Return what these options ask of the script that registers: name and value by turns, none for a default."""
    return _by_turns(_ASKED, options)


def are_told(options: SubmitOptions) -> bool:
    """Return whether ``row_fields`` or ``asks`` has anything to say of these options."""
    return bool(_told_of(options) != _TOLD_OF_NONE)


def refuse_asks(options: SubmitOptions, reason: str) -> None:
    """Refuse what asks something of the registration.

    Raises:
        SettingsError: an option does.
    """
    for name, field in SUBMIT_OPTIONS.items():
        value = getattr(options, name)
        if field.about.ask and value != field.default:
            raise SettingsError(f"expected {name} to be left out, got {shown(value)}: {reason}")


def _by_turns(fields: list[tuple[bytes, Field[Option]]], options: ProcessOptions) -> list[bytes | str | int]:
    listed: list[bytes | str | int] = []
    for key, field in fields:
        value = getattr(options, field.name, field.default)
        if value != field.default:
            listed += (key, field.about.encode(value) if field.about.encode else value)
    return listed


def options_in_row(queue: str, fields: Mapping[bytes, bytes]) -> ProcessOptions:
    """Return the options of a row: its lane's queue, and what its fields hold."""
    held = {
        field.name: msgspec.convert(fields[key].decode(), field.type, strict=False)
        for key, field in _STORED
        if key in fields and field.name in OPTIONS
    }
    return ProcessOptions(queue=queue, **held)

"""Schedules as data: what is declared, what stands in the registry, and which ticks of a schedule are due. Pure."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from lash_redis.core.checks import SIGNATURE, checked_int, checked_text, matching, refused
from lash_redis.core.cron import MOST_INSTANTS, NEWER, UTC, Times, checked_cron, checked_every, zone_named
from lash_redis.core.durations import milliseconds
from lash_redis.core.errors import SettingsError
from lash_redis.core.model import PauseRequest, ProcessRegistration, TaskInput
from lash_redis.core.policies import Policy
from lash_redis.core.shares import REVISION
from lash_redis.core.struct_checks import CheckedStruct, checked_kind

Missed = Literal["skip", "latest"] | tuple[Literal["all"], int]

LATE_AFTER_S: Final = 60.0
MOST_INPUT_BYTES: Final = 16_384  # each tick has a copy, and one script may write 100 of them
_DAY_MS: Final = 86_400_000
_MISSED_WORDS: Final = f"'skip', 'latest' or ('all', n) with n from 1 to {MOST_INSTANTS}"

# A tick's id begins with the name and "::", and belongs to the same partition: so the name holds and ends with none.
NAME = matching(
    r"(?=.{1,200}$)[A-Za-z0-9._/@+-]+(:[A-Za-z0-9._/@+-]+)*",
    "1 to 200 characters of [A-Za-z0-9._:/@+-] without '::' and without ':' at its ends",
)


class ScheduleRule(CheckedStruct, frozen=True):
    """When a schedule ticks, and what becomes of ticks that come late.

    Attributes:
        spec: ``cron EXPRESSION`` or ``every MS``.
        zone: of the expression.
        missed: ``skip``, ``latest`` or ``all:N``.
        late_after_ms: a tick that comes later than that is missed.
    """

    spec: str
    zone: str = UTC
    missed: str = "skip"
    late_after_ms: int = 60_000

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("spec", "zone", "missed"):
            checked_text(f"{name} of ScheduleRule", getattr(self, name), 1000)


class ScheduleDeclaration(CheckedStruct, frozen=True):
    """One schedule that code declares.

    Attributes:
        name: under which the registry keeps it.
        revision: a lower one replaces none.
        rule: when it ticks.
        registration: of its ticks; its id is the name.
        signatures: the parameters of the task, by digest (rule 9.7).
        location: where it is declared, ``file:line``.
        policies: what the processes of its task may not exceed.
    """

    name: str
    revision: int
    rule: ScheduleRule
    registration: ProcessRegistration
    signatures: dict[str, bytes]
    location: str
    policies: tuple[Policy, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        NAME.checked("the name of a schedule", self.name)
        REVISION.checked("revision", self.revision)
        checked_text("location of ScheduleDeclaration", self.location, 4096, at_least=0)
        for digest, parameters in self.signatures.items():
            SIGNATURE.checked("a digest in signatures", digest)
            checked_kind("the parameters of a signature", parameters, bytes)
        for each in self.policies:
            checked_kind("a policy", each, Policy)
        if self.registration.id != self.name:
            raise refused("the id of the registration of a schedule", f"its name, {self.name!r}", self.registration.id)

    @property
    def task(self) -> str:
        """The name of the task of its ticks."""
        return self.registration.input.task if isinstance(self.registration.input, TaskInput) else ""


class Schedule(msgspec.Struct, frozen=True):
    """One schedule as the registry has it.

    Attributes:
        name: its name.
        revision: of what stands.
        rule: when it ticks.
        task: the task of its ticks.
        queue: in which they wait.
        lane: the lane of its ticks.
        paused_at_ms: since when it is paused; None: it is not.
        from_ms: what becomes of the instants up to then is decided.
        due_at_ms: when it is looked at next; None: never.
        last_tick_ms: the last instant that was submitted; None: none was yet.
        missed: how many ticks were missed and not made up for.
        last_missed_ms: the last of them.
        refused: how many ticks a bounded queue refused.
        last_refused_ms: the last of them.
        declared_at_ms: when a worker last declared it.
        undeclared_at_ms: when a worker first started that has its task, and whose code does not declare it (any more).
        differs_at_ms: when code last declared other content with the same revision.
        now_ms: the server's time of this answer.
        pause: who paused it, when by their clock, and why; None: it is not, or that is not known.
    """

    name: str
    revision: int
    rule: ScheduleRule
    task: str
    queue: str
    lane: str
    paused_at_ms: int | None
    from_ms: int
    due_at_ms: int | None
    last_tick_ms: int | None
    missed: int
    last_missed_ms: int | None
    refused: int
    last_refused_ms: int | None
    declared_at_ms: int
    undeclared_at_ms: int | None
    differs_at_ms: int | None
    now_ms: int
    pause: PauseRequest | None = None

    @property
    def next_ms(self) -> int | None:
        """The next instant at which it ticks; None: it is paused, or there is none.

        Raises:
            SettingsError: as for ``times_of``.
        """
        return None if self.paused_at_ms is not None else times_of(self.rule).next_after(self.now_ms)


class DueSchedule(msgspec.Struct, frozen=True):
    """A schedule that has to be looked at, as a script told of it: its ticks after ``from_ms`` and up to ``now_ms``."""

    name: str
    revision: int
    from_ms: int
    now_ms: int
    rule: ScheduleRule

    def plan(self) -> TickPlan:
        """Return which instants are submitted, which are missed, and when it is looked at next.

        Raises:
            SettingsError: this release cannot read the rule, or this machine does not know the zone.
        """
        times = times_of(self.rule)
        instants = times.due(self.from_ms, self.now_ms) if self.from_ms < self.now_ms else []
        on_time = [each for each in instants if self.now_ms - each <= self.rule.late_after_ms]
        late = instants[: len(instants) - len(on_time)]
        most = _most_made_up(self.rule.missed, any_on_time=bool(on_time))
        made_up = late[-most:] if most else []
        return TickPlan(self, made_up + on_time, late[: len(late) - len(made_up)], times.next_after(self.now_ms))


class TickPlan(msgspec.Struct, frozen=True):
    """What becomes of the ticks of one schedule that are due."""

    due: DueSchedule
    submitted: list[int]
    missed: list[int]
    next_ms: int | None


class Ticked(msgspec.Struct, frozen=True):
    """What became of them; ``is_stale``: the schedule had changed meanwhile, or its ticks were submitted by another."""

    plan: TickPlan
    refused: list[int] = []
    is_stale: bool = False


def times_of(rule: ScheduleRule) -> Times:
    """Return the instants of a rule.

    Raises:
        SettingsError: this release cannot read the rule, or this machine does not know the zone.
    """
    return Times(rule.spec, rule.zone)


def check_rule(rule: ScheduleRule) -> None:
    """Check that a rule can be read here.

    Raises:
        SettingsError: it cannot, or this machine does not know the zone.
    """
    times_of(rule)
    _most_made_up(rule.missed, any_on_time=True)


def rule_of(*, cron: object, every: object, zone: object, missed: object, late_after: object) -> ScheduleRule:
    """Return the rule that a declaration means.

    Raises:
        SettingsError: a value is outside what is allowed, or not exactly one of ``cron`` and ``every`` is given.
    """
    if (cron is None) == (every is None):
        got = "neither" if cron is None else f"both: {cron!r} and {every!r}"
        raise SettingsError(f"expected a schedule to have either cron= or every=, got {got}")
    if every is not None and zone is not None:
        raise SettingsError(
            f"expected zone only with cron=, got {zone!r} with every=: an interval is the same in every zone "
            "(every full hour of a zone is cron='0 * * * *')"
        )
    spec = f"cron {checked_cron(cron)}" if every is None else f"every {checked_every(every)}"
    late_ms = milliseconds("late_after", late_after, at_least_ms=1)
    if late_ms > _DAY_MS:
        raise refused("late_after", "at most a day: say with missed= what becomes of ticks that come later", late_after)
    return ScheduleRule(spec, zone_named(UTC if zone is None else zone).key, _missed_text(missed), late_ms)


def _missed_text(value: Any) -> str:
    if value in ("skip", "latest"):
        return str(value)
    if isinstance(value, (tuple, list)) and len(value) == 2 and value[0] == "all":
        most = checked_int("n in missed=('all', n)", value[1], at_least=1, at_most=MOST_INSTANTS)
        return f"all:{most}"
    raise refused("missed", _MISSED_WORDS, value)


def _most_made_up(missed: str, *, any_on_time: bool) -> int:
    """Return how many of the ticks that come late are submitted all the same: the newest.

    Raises:
        SettingsError: this release cannot read it.
    """
    kind, _, most = missed.partition(":")
    if kind == "all" and most.isdecimal():
        return int(most)
    if missed not in ("skip", "latest"):
        raise refused("missed of a schedule", "'skip', 'latest' or 'all:N'", missed, NEWER)
    return int(missed == "latest" and not any_on_time)

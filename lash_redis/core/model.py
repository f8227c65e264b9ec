"""The public structs and enums. Names may be added; the present ones stay.

All are frozen and compare by value. Times and TTLs are integer milliseconds. A time that a script wrote is the
server's. A time that came with a request is the caller's, and is stored as given.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from typing import Any

import msgspec

from lash_redis.core.checks import (
    KEY,
    SCOPES,
    SIGNATURE,
    checked_bool,
    checked_id,
    checked_int,
    checked_task_name,
    checked_text,
    refused,
)
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.fields import check_fields
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.options import SUBMIT_OPTIONS, ProcessOptions, SubmitOptions, refuse_asks
from lash_redis.core.outcomes import Failure, Outcome, Resolution
from lash_redis.core.sequences import check_in_sequence
from lash_redis.core.struct_checks import CheckedStruct, check_names_are_text, check_types
from lash_redis.core.unique import check_unique
from lash_redis.core.waiting import check_waiting


class RecoveryDisposition(enum.Enum):
    """What recovery may do with a process whose owner was lost; there is no default (rule 1.1)."""

    RERUNNABLE = "rerunnable"
    OWNER_BOUND = "owner_bound"
    EXTERNALLY_OWNED = "externally_owned"


class ProcessStatus(enum.Enum):
    """What became of a process. One that has no terminal fact is ``RUNNING``."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"


class Phase(enum.StrEnum):
    """The place of a non-terminal process in one word. Each phase compares equal to its text."""

    QUEUED = "queued"
    DELAYED = "delayed"
    BLOCKED = "blocked"
    HELD = "held"
    STARTED = "started"
    UNCERTAIN = "uncertain"
    OUTSIDE = "outside"


class TaskInput(msgspec.Struct, frozen=True, tag="task"):
    """Work for a worker: a task's name and what to call it with (plain builtins, as msgpack carries them)."""

    task: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}

    def __post_init__(self) -> None:
        checked_task_name(self.task)
        if isinstance(self.args, list):
            msgspec.structs.force_setattr(self, "args", tuple(self.args))
        if type(self.args) is not tuple or type(self.kwargs) is not dict:
            check_types(self)
        check_names_are_text("kwargs", self.kwargs)


class ExternalInput(CheckedStruct, frozen=True, tag="external"):
    """Work that happens outside the pool; ``metadata`` is for the outside actor (plain builtins)."""

    metadata: Mapping[str, Any] = {}


ProcessInput = TaskInput | ExternalInput


class _Registration(SubmitOptions, frozen=True):
    id: str
    input: ProcessInput
    disposition: RecoveryDisposition


class ProcessRegistration(_Registration, frozen=True, kw_only=True):
    """What a caller registers: one process. It has the options of ``SubmitOptions`` too.

    Attributes:
        id: the process id, 1 to 256 bytes of ``[A-Za-z0-9._:/@+-]``.
        input: ``TaskInput`` or ``ExternalInput``.
        disposition: required; no default anywhere.
        granted_to: who may complete externally owned work (None: any ``ExternalOwner``).
        signature: digest of the task's parameters, 16 hex digits; empty if the task's function is unknown.
        replay_of: the id of the process that this one submits again, if it does.
        chosen_id: somebody chose the id and may register it again, so that it outlives the row (rule 5.9). False: it
            was made at random.
        scopes: the policy that each key passes by itself and the limit that all keys share, with a comma between them;
            either may be empty. Empty: it passes none, and has no key (rule 9.12).
        key: whom the work is for, at most 256 bytes, if there are scopes: keys take turns.
        opens_group: it continues a group, which is held open for members until it is closed.
        member_of: the id of the process that continues the group of which this one is a member.

    Raises:
        SettingsError: a field is outside what is allowed.
    """

    granted_to: str | None = None
    signature: str = ""
    replay_of: str | None = None
    chosen_id: bool = True
    scopes: str = ""
    key: str | None = None
    opens_group: bool = False
    member_of: str | None = None

    def __post_init__(self) -> None:
        checked_id("process id", self.id)
        if not isinstance(self.disposition, RecoveryDisposition):
            msgspec.structs.force_setattr(self, "disposition", disposition_named(self.disposition))
        check_fields(self, SUBMIT_OPTIONS)
        if self.disposition is RecoveryDisposition.EXTERNALLY_OWNED:
            refuse_asks(self, "externally owned work runs outside the pool")
            if self.scopes:
                raise refused("scopes", "empty, since externally owned work runs outside the pool", self.scopes)
        if self.unique is not None:
            check_unique(self.unique, is_task=isinstance(self.input, TaskInput), delay_ms=self.delay_ms)
        if self.granted_to is not None:
            checked_text("granted_to", self.granted_to, 256)
        SIGNATURE.checked("signature", self.signature)
        checked_bool("chosen_id", self.chosen_id)
        SCOPES.checked("scopes", self.scopes)
        KEY.checked("key", self.key)
        if bool(self.scopes) != (self.key is not None):
            raise SettingsError(f"expected key and scopes together, got {shown(self.key)} and {shown(self.scopes)}")
        check_in_sequence(self.scopes, self.priority, self.cost)
        if self.replay_of is not None:
            checked_id("replay_of", self.replay_of)
        check_waiting(self, self.member_of, opens_group=self.opens_group)
        if not isinstance(self.input, ProcessInput):
            check_types(self)

    def of_call(self, process_id: str, call: TaskInput) -> ProcessRegistration:
        """Return the registration of another call, equal in all else: what was checked here is not checked again.

        Args:
            process_id: a valid id.
            call: of the same task.
        """
        other = copy(self)
        msgspec.structs.force_setattr(other, "id", process_id)
        msgspec.structs.force_setattr(other, "input", call)
        return other


class ProcessLease(msgspec.Struct, frozen=True):
    """The right of one owner to be the single writer of one process, until ``expires_at_ms`` (server time)."""

    process_id: str
    owner: LeaseOwner
    token: str
    fencing_token: int
    claimed_at_ms: int
    expires_at_ms: int


class Acquired(msgspec.Struct, frozen=True):
    """The claim succeeded."""

    lease: ProcessLease


class Busy(msgspec.Struct, frozen=True):
    """Another owner holds the process (or, at the loss limit, held it last and the sweep has yet to settle it)."""

    holder: ProcessLease


class ProcessStarted(CheckedStruct, frozen=True):
    """Who began the work first, and when."""

    owner: LeaseOwner
    started_at_ms: int


class _Request(msgspec.Struct, frozen=True):
    requested_by: str
    requested_at_ms: int
    reason: str | None = None

    def __post_init__(self) -> None:
        checked_text("by (requested_by)", self.requested_by, 256)
        checked_int("requested_at_ms", self.requested_at_ms, at_least=0, at_most=2**53)
        if self.reason is not None:
            checked_text("reason", self.reason, 4096, at_least=0)


class AbandonRequest(_Request, frozen=True):
    """An operator's durable permission to accept uncertainty: who, when (the caller's clock), why."""


class CancelRequest(_Request, frozen=True):
    """A wish that the work stop: who, when (the caller's clock), why."""


class PauseRequest(_Request, frozen=True):
    """A wish that nothing of a queue or of a task begin until it is resumed: who, when (the caller's clock), why."""


class ExternalOwner(msgspec.Struct, frozen=True):
    """The authority that completes externally owned work."""

    granted_to: str

    def __post_init__(self) -> None:
        checked_text("granted_to", self.granted_to, 256)


class ProcessRecord(ProcessOptions, frozen=True):
    """One process as the registry knows it. It has the options of ``ProcessOptions`` too.

    In a listing ``input`` and ``last_failure`` are None if they are longer than 64 bytes: ``get`` reads them. ``phase``
    is None once terminal. ``attempts`` counts runs that ended by themselves or run, ``losses`` those whose owner was
    lost, ``releases`` those that a worker gave back. ``last_failure`` is that of the last run after which it was
    tried again. At ``expires_at_ms`` it is cancelled if nobody has started it, and at ``due_at_ms`` a delayed one may
    run. ``lease_lapsed``: no sweep has seen that yet. ``resolution`` was found out after it was abandoned.
    """

    id: str
    input: ProcessInput | None
    disposition: RecoveryDisposition
    status: ProcessStatus
    phase: Phase | None
    lease_lapsed: bool = False
    first_started: ProcessStarted | None = None
    abandon_request: AbandonRequest | None = None
    cancel_request: CancelRequest | None = None
    outcome: Outcome | None = None
    granted_to: str | None = None
    losses: int = 0
    labels: Mapping[str, str] = {}
    key: str | None = None
    replay_of: str | None = None
    attempts: int = 0
    releases: int = 0
    last_failure: Failure | None = None
    registered_at_ms: int = 0
    expires_at_ms: int | None = None
    due_at_ms: int | None = None
    ended_at_ms: int | None = None
    resolution: Resolution | None = None

    @property
    def is_terminal(self) -> bool:
        """True once the one and only terminal fact is written."""
        return self.status is not ProcessStatus.RUNNING


class Deferred(msgspec.Struct, frozen=True):
    """One process that a drain had to leave, and why."""

    process_id: str
    reason: str


class DrainReport(msgspec.Struct, frozen=True):
    """What a drain did. An id ``*`` in ``deferred`` stands for whatever else an owner, named there, may hold."""

    abandoned: list[str] = []
    deferred: list[Deferred] = []
    released: int = 0
    finished: int = 0  # since the drain began


def disposition_named(value: object) -> RecoveryDisposition:
    """Return the disposition called ``value``.

    Raises:
        SettingsError: there is none of that name.
    """
    if isinstance(value, (str, RecoveryDisposition)):
        with suppress(ValueError):
            return RecoveryDisposition(value)
    allowed = ", ".join(repr(each.value) for each in RecoveryDisposition)
    raise refused("recovery", f"one of {allowed}", value)

"""What became of a process: the four outcomes, and the evidence and resolution of an abandoned one. Names may be added.

All are frozen and compare by value.
"""

from __future__ import annotations

import enum
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic

import msgspec

from lash_redis.core.checks import checked_int, checked_text, refused
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.struct_checks import CheckedStruct

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # checkers bring it: a result of any type need not be written

    T_co = TypeVar("T_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)


class AbandonWriter(enum.Enum):
    """Who wrote an ``abandoned`` fact."""

    OWNER_DRAIN = "owner_drain"
    SWEEP = "sweep"
    RECONCILED_REQUEST = "reconciled_request"
    LOSS_LIMIT = "loss_limit"


class Success(msgspec.Struct, Generic[T_co], frozen=True):
    """The work returned ``value``; ``Success[str]`` says of which type. ``Success`` alone is one of any type."""

    value: T_co = None  # type: ignore[assignment]  # of a function that returns nothing


class Failure(CheckedStruct, frozen=True):
    """The work reported failure.

    Attributes:
        code: the exception's qualified name, or ``no_input`` or ``undecodable``.
        message: what it said.
        traceback: bounded text, empty if there is none.
    """

    code: str
    message: str = ""
    traceback: str = ""


class Cancelled(CheckedStruct, frozen=True):
    """Someone asked for a stop, and the work stopped or never ran."""

    reason: str | None = None


class AbandonEvidence(CheckedStruct, frozen=True):
    """What licensed an ``abandoned`` fact.

    Attributes:
        writer: who wrote it.
        owner: the owner it names (None for externally owned work).
        epoch_ms: when, server time.
        proof: gone, replaced, reaped, requested, ended_here or loss_limit.
        detail: the proof in words (an exit status, who asked, how many losses).
    """

    writer: AbandonWriter
    owner: LeaseOwner | None
    epoch_ms: int
    proof: str | None = None
    detail: str | None = None

    def __str__(self) -> str:
        named = f"; owner {self.owner.owner_id}, incarnation {self.owner.incarnation_id}" if self.owner else ""
        return f"{self.writer.value}: {self.proof} ({self.detail}){named}"


class Abandoned(CheckedStruct, frozen=True):
    """The owner was lost and the true result is unknowable."""

    evidence: AbandonEvidence


Outcome = Success[T_co] | Failure | Cancelled | Abandoned


class ResolutionKind(enum.StrEnum):
    """What was found out about an abandoned process. Each kind compares equal to its text."""

    HAPPENED = "happened"
    DID_NOT_HAPPEN = "did_not_happen"
    ACCEPTED = "accepted"


class Resolution(msgspec.Struct, frozen=True):
    """What was found out about an abandoned process. It stands beside the fact, which it does not change.

    Attributes:
        kind: ``happened``, ``did_not_happen``, or ``accepted``: it stays unknown, and nobody will look.
        by: who says so, 1 to 256 bytes.
        at_ms: when, by the clock of whoever says so.
        reason: how they know, at most 4096 bytes.
        value: what the work brought, if it happened and that is known (plain builtins, at most 4096 bytes encoded).

    Raises:
        SettingsError: a field is outside what is allowed.
    """

    kind: ResolutionKind
    by: str
    at_ms: int
    reason: str | None = None
    value: Any = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "kind", _resolution_kind(self.kind))
        checked_text("by", self.by, 256)
        checked_int("at_ms", self.at_ms, at_least=0, at_most=2**53)
        if self.reason is not None:
            checked_text("reason", self.reason, 4096, at_least=0)
        if self.value is not None and self.kind is not ResolutionKind.HAPPENED:
            raise refused("value", f"None, since {self.kind.value!r} brings none", self.value)


def _resolution_kind(value: object) -> ResolutionKind:
    if isinstance(value, str):
        with suppress(ValueError):
            return ResolutionKind(value)
    raise refused("kind", f"one of {', '.join(repr(kind.value) for kind in ResolutionKind)}", value)

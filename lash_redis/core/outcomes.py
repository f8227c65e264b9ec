"""What became of a process: the four outcomes, and the evidence of an abandoned one. Names may be added.

All are frozen and compare by value.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Generic

import msgspec

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

"""A distributed worker pool on Redis whose every piece of work declares what recovery may do with it.

It has three public classes. ``Lash`` declares, submits and waits; ``Worker`` runs; ``ProcessRegistry`` is the store
below both.
"""

from __future__ import annotations

from lash_redis.app.lash import Lash
from lash_redis.core.errors import (
    AlreadyStarted,
    AlreadyTerminal,
    AuthorityRejected,
    LashError,
    LeaseHeld,
    LeaseLost,
    NamespaceMismatch,
    NothingToAbandon,
    OutcomePruned,
    OutcomeUncertain,
    PayloadError,
    RegistrationConflict,
    RegistryUnavailable,
    SettingsError,
    StopRequested,
    UnknownProcess,
    UnsafeServerError,
)
from lash_redis.core.liveness import LeaseOwner, LocalProcess, Opaque
from lash_redis.core.model import (
    Abandoned,
    AbandonEvidence,
    AbandonRequest,
    AbandonWriter,
    Acquired,
    Busy,
    Cancelled,
    CancelRequest,
    DrainReport,
    ExternalInput,
    ExternalOwner,
    Failure,
    ProcessLease,
    ProcessRecord,
    ProcessRegistration,
    ProcessStarted,
    ProcessStatus,
    RecoveryDisposition,
    Success,
    TaskInput,
)
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.worker import Worker

__all__ = [
    "AbandonEvidence",
    "AbandonRequest",
    "AbandonWriter",
    "Abandoned",
    "Acquired",
    "AlreadyStarted",
    "AlreadyTerminal",
    "AuthorityRejected",
    "Busy",
    "CancelRequest",
    "Cancelled",
    "DrainReport",
    "ExternalInput",
    "ExternalOwner",
    "Failure",
    "Lash",
    "LashError",
    "LeaseHeld",
    "LeaseLost",
    "LeaseOwner",
    "LocalProcess",
    "NamespaceMismatch",
    "NothingToAbandon",
    "Opaque",
    "OutcomePruned",
    "OutcomeUncertain",
    "PayloadError",
    "ProcessLease",
    "ProcessRecord",
    "ProcessRegistration",
    "ProcessRegistry",
    "ProcessStarted",
    "ProcessStatus",
    "RecoveryDisposition",
    "RegistrationConflict",
    "RegistryUnavailable",
    "SettingsError",
    "StopRequested",
    "Success",
    "TaskInput",
    "UnknownProcess",
    "UnsafeServerError",
    "Worker",
]

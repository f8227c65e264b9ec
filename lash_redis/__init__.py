"""A distributed worker pool on Redis whose every piece of work declares what recovery may do with it.

It has three public classes. ``Lash`` declares, submits and waits; ``Worker`` runs; ``ProcessRegistry`` is the store
below both.

Each name is imported at its first use, so that a program which submits does not import what a worker is made of.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lash_redis.app.blocking_lash import BlockingLash
    from lash_redis.app.groups import BlockingGroup, Group, Member
    from lash_redis.app.lash import Lash
    from lash_redis.app.many_controls import ChosenProcesses
    from lash_redis.app.process import BlockingProcess, OnUncertain, Process
    from lash_redis.app.schedules import BlockingSchedules, Schedules
    from lash_redis.app.task import BlockingTask, Task
    from lash_redis.core.bounds import BoundedQueue, QueueBound
    from lash_redis.core.current import CurrentProcess, current_process
    from lash_redis.core.errors import (
        AlreadyStarted,
        AlreadyTerminal,
        AuthorityRejected,
        CannotAwait,
        CannotJoinGroup,
        ForkedCopy,
        LashError,
        LeaseHeld,
        LeaseLost,
        NamespaceMismatch,
        NoResult,
        NothingToAbandon,
        NothingToResolve,
        NotItsTurn,
        NotUnique,
        OutcomePruned,
        OutcomeUncertain,
        PayloadError,
        QueueFull,
        RecordedDead,
        RegistrationConflict,
        RegistryError,
        RegistryUnavailable,
        ScriptError,
        SettingsError,
        StarterAlive,
        StopRequested,
        UnknownProcess,
        UnknownSchedule,
        UnreadableRow,
        UnsafeServerError,
        WorkAbandoned,
        WorkCancelled,
        WorkFailed,
    )
    from lash_redis.core.liveness import LeaseOwner, LocalProcess, Opaque
    from lash_redis.core.model import (
        AbandonRequest,
        Acquired,
        Busy,
        CancelRequest,
        Deferred,
        DrainReport,
        ExternalInput,
        ExternalOwner,
        PauseRequest,
        Phase,
        ProcessInput,
        ProcessLease,
        ProcessRecord,
        ProcessRegistration,
        ProcessStarted,
        ProcessStatus,
        RecoveryDisposition,
        TaskInput,
    )
    from lash_redis.core.options import (
        ChosenOptions,
        ChosenSubmitOptions,
        HasId,
        IfFailed,
        ProcessOptions,
        SubmitOptions,
    )
    from lash_redis.core.outcomes import (
        Abandoned,
        AbandonEvidence,
        AbandonWriter,
        Cancelled,
        Failure,
        Outcome,
        Resolution,
        ResolutionKind,
        Success,
    )
    from lash_redis.core.pausing import Paused
    from lash_redis.core.policies import Policy
    from lash_redis.core.retrying import Retries, Retry, Snooze
    from lash_redis.core.schedules import Missed, Schedule, ScheduleDeclaration, ScheduleRule
    from lash_redis.core.unique import Unique
    from lash_redis.recovery.sweep import SweepReport
    from lash_redis.registry.answers import BulkReport, PruneReport
    from lash_redis.registry.calls.listing import RecordPage
    from lash_redis.registry.registry import ProcessRegistry
    from lash_redis.registry.transport.server import ServerInfo
    from lash_redis.tasks.catalogue import HasDeclaration
    from lash_redis.tasks.declaration import Declaration
    from lash_redis.tasks.limits import ChosenTaskOptions
    from lash_redis.worker.settings import ChosenSettings, WorkerSettings
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
    "BlockingGroup",
    "BlockingLash",
    "BlockingProcess",
    "BlockingSchedules",
    "BlockingTask",
    "BoundedQueue",
    "BulkReport",
    "Busy",
    "CancelRequest",
    "Cancelled",
    "CannotAwait",
    "CannotJoinGroup",
    "ChosenOptions",
    "ChosenProcesses",
    "ChosenSettings",
    "ChosenSubmitOptions",
    "ChosenTaskOptions",
    "CurrentProcess",
    "Declaration",
    "Deferred",
    "DrainReport",
    "ExternalInput",
    "ExternalOwner",
    "Failure",
    "ForkedCopy",
    "Group",
    "HasDeclaration",
    "HasId",
    "IfFailed",
    "Lash",
    "LashError",
    "LeaseHeld",
    "LeaseLost",
    "LeaseOwner",
    "LocalProcess",
    "Member",
    "Missed",
    "NamespaceMismatch",
    "NoResult",
    "NotItsTurn",
    "NotUnique",
    "NothingToAbandon",
    "NothingToResolve",
    "OnUncertain",
    "Opaque",
    "Outcome",
    "OutcomePruned",
    "OutcomeUncertain",
    "PauseRequest",
    "Paused",
    "PayloadError",
    "Phase",
    "Policy",
    "Process",
    "ProcessInput",
    "ProcessLease",
    "ProcessOptions",
    "ProcessRecord",
    "ProcessRegistration",
    "ProcessRegistry",
    "ProcessStarted",
    "ProcessStatus",
    "PruneReport",
    "QueueBound",
    "QueueFull",
    "RecordPage",
    "RecordedDead",
    "RecoveryDisposition",
    "RegistrationConflict",
    "RegistryError",
    "RegistryUnavailable",
    "Resolution",
    "ResolutionKind",
    "Retries",
    "Retry",
    "Schedule",
    "ScheduleDeclaration",
    "ScheduleRule",
    "Schedules",
    "ScriptError",
    "ServerInfo",
    "SettingsError",
    "Snooze",
    "StarterAlive",
    "StopRequested",
    "SubmitOptions",
    "Success",
    "SweepReport",
    "Task",
    "TaskInput",
    "Unique",
    "UnknownProcess",
    "UnknownSchedule",
    "UnreadableRow",
    "UnsafeServerError",
    "WorkAbandoned",
    "WorkCancelled",
    "WorkFailed",
    "Worker",
    "WorkerSettings",
    "current_process",
]

# Where each name is, as the imports above say it to type checkers: module, and the names that it has.
_PLACES: Final = {
    "app.blocking_lash": "BlockingLash",
    "app.groups": "BlockingGroup Group Member",
    "app.lash": "Lash",
    "app.many_controls": "ChosenProcesses",
    "app.process": "BlockingProcess OnUncertain Process",
    "app.schedules": "BlockingSchedules Schedules",
    "app.task": "BlockingTask Task",
    "core.bounds": "BoundedQueue QueueBound",
    "core.current": "CurrentProcess current_process",
    "core.errors": (
        "AlreadyStarted AlreadyTerminal AuthorityRejected CannotAwait CannotJoinGroup ForkedCopy LashError "
        "LeaseHeld LeaseLost NamespaceMismatch NoResult NothingToAbandon NothingToResolve NotItsTurn "
        "NotUnique OutcomePruned OutcomeUncertain PayloadError QueueFull RecordedDead RegistrationConflict "
        "RegistryError RegistryUnavailable ScriptError SettingsError StarterAlive StopRequested "
        "UnknownProcess UnknownSchedule UnreadableRow UnsafeServerError WorkAbandoned WorkCancelled "
        "WorkFailed"
    ),
    "core.liveness": "LeaseOwner LocalProcess Opaque",
    "core.model": (
        "AbandonRequest Acquired Busy CancelRequest Deferred DrainReport ExternalInput ExternalOwner "
        "PauseRequest Phase ProcessInput ProcessLease ProcessRecord ProcessRegistration ProcessStarted "
        "ProcessStatus RecoveryDisposition TaskInput"
    ),
    "core.options": "ChosenOptions ChosenSubmitOptions HasId IfFailed ProcessOptions SubmitOptions",
    "core.outcomes": (
        "Abandoned AbandonEvidence AbandonWriter Cancelled Failure Outcome Resolution ResolutionKind Success"
    ),
    "core.pausing": "Paused",
    "core.policies": "Policy",
    "core.retrying": "Retries Retry Snooze",
    "core.schedules": "Missed Schedule ScheduleDeclaration ScheduleRule",
    "core.unique": "Unique",
    "recovery.sweep": "SweepReport",
    "registry.answers": "BulkReport PruneReport",
    "registry.calls.listing": "RecordPage",
    "registry.registry": "ProcessRegistry",
    "registry.transport.server": "ServerInfo",
    "tasks.catalogue": "HasDeclaration",
    "tasks.declaration": "Declaration",
    "tasks.limits": "ChosenTaskOptions",
    "worker.settings": "ChosenSettings WorkerSettings",
    "worker.worker": "Worker",
}
_MODULE_OF: Final = {name: module for module, names in _PLACES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
    return found


def __dir__() -> list[str]:
    """Return the public names, whether they were used or not, and what any module has."""
    return sorted({*globals(), *__all__})

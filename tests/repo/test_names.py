"""Lint: the names that other people's code is written against."""

from __future__ import annotations

import lash_redis

# Other people write code against these names: none of them changes or goes (rule 11.6).
FIXED = """
    Lash Worker ProcessRegistry
    RecoveryDisposition ProcessRegistration TaskInput ExternalInput ProcessRecord ProcessStatus
    Success Failure Cancelled Abandoned
    LeaseOwner LocalProcess Opaque ProcessLease Acquired Busy ProcessStarted
    AbandonRequest CancelRequest AbandonEvidence AbandonWriter ExternalOwner DrainReport
    LashError LeaseLost LeaseHeld AlreadyStarted AlreadyTerminal NothingToAbandon RegistrationConflict UnknownProcess
    AuthorityRejected PayloadError SettingsError UnsafeServerError NamespaceMismatch OutcomePruned OutcomeUncertain
    StopRequested RegistryUnavailable RecordedDead UnreadableRow
    NoResult WorkFailed WorkCancelled WorkAbandoned
    Process BlockingProcess Task BlockingTask Outcome
    CurrentProcess current_process
    ForkedCopy RegistryError ScriptError
    BlockingLash OnUncertain Phase ProcessInput ProcessOptions ChosenOptions ChosenSettings WorkerSettings
    Schedule Schedules BlockingSchedules ScheduleDeclaration ScheduleRule Missed UnknownSchedule
    SubmitOptions ChosenSubmitOptions NotItsTurn
    Resolution ResolutionKind NothingToResolve StarterAlive Policy ChosenTaskOptions
    Retries Retry Snooze
    BlockingGroup CannotAwait CannotJoinGroup Group Member HasId IfFailed
    Paused PauseRequest QueueBound BoundedQueue QueueFull Unique NotUnique
    Declaration HasDeclaration Deferred BulkReport ChosenProcesses PruneReport RecordPage SweepReport ServerInfo
""".split()  # noqa: SIM905 - a list of words reads best as one


def test_the_package_exports_the_fixed_names_and_no_more() -> None:
    """``lash_redis.__all__`` names exactly what other people import, each name once."""
    assert sorted(lash_redis.__all__) == sorted(FIXED)


def test_every_exported_name_is_there() -> None:
    """``__all__`` promises nothing that an import would not find."""
    missing = [name for name in lash_redis.__all__ if not hasattr(lash_redis, name)]

    assert missing == []

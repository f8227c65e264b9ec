"""Lint: the names that other people's code is written against."""

from __future__ import annotations

import ast
import subprocess
import sys

import lash_redis
from tests.repo.tree import ROOT, read

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


def test_each_name_is_where_type_checkers_look_for_it() -> None:
    """The table of what is imported at its first use says what the imports for type checkers say."""
    tree = ast.parse(read(ROOT / "lash_redis/__init__.py"))
    told = {
        alias.name: node.module.removeprefix("lash_redis.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("lash_redis.")
        for alias in node.names
    }

    assert told == lash_redis._MODULE_OF  # noqa: SLF001 - the table is nobody else's


def test_an_import_imports_nothing_that_is_not_used() -> None:
    """A program that submits needs no worker, and no program waits for what it does not use."""
    code = "import sys; from lash_redis import Lash; print(*(name for name in sys.modules if 'lash_redis.' in name))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = ran.stdout.split()

    assert "lash_redis.app.lash" in imported
    assert [name for name in imported if name.startswith(("lash_redis.worker", "lash_redis.pool"))] == []

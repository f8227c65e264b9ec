"""Every error that lash-redis raises to its users.

This module is long because all errors stand in one place.

::

    LashError
    ├─ SettingsError (ValueError)          a value that the caller gave is not allowed
    │  └─ UnsafeServerError                the server may lose leases or rows, is too old, or no single one
    ├─ PayloadError (ValueError)           an argument, result or payload cannot be carried
    ├─ RegistryUnavailable                 the server did not answer; .maybe_applied
    ├─ ScriptError                         a reply outside the contract: a bug of ours
    ├─ RecordedDead                        others take this worker for dead: it leaves
    ├─ ForkedCopy                          a fork made this copy of a worker: it does nothing in the worker's name
    ├─ NoResult                            the process ended without a result; .process_id, .outcome
    │  └─ WorkFailed · WorkCancelled · WorkAbandoned
    └─ RegistryError                       the registry's own refusal; .process_id
       ├─ UnknownProcess · UnknownSchedule · UnreadableRow · RegistrationConflict · NotUnique · QueueFull
       ├─ NamespaceMismatch
       ├─ AlreadyTerminal · AlreadyStarted · NothingToAbandon · NothingToResolve · StarterAlive · AuthorityRejected
       ├─ NotItsTurn · CannotAwait · CannotJoinGroup
       ├─ LeaseLost · LeaseHeld
       └─ OutcomePruned · OutcomeUncertain
    StopRequested (BaseException)          raised into user code, so that ``except Exception`` lets it pass
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lash_redis.core.liveness import LeaseOwner
    from lash_redis.core.model import ProcessLease, ProcessRecord
    from lash_redis.core.outcomes import Abandoned, Cancelled, Failure


class LashError(Exception):
    """The root of all errors of lash-redis."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a pickle and a copy keep what is known: ``__init__`` takes other arguments than the message."""
        return _made_again, (type(self), *self.args), self.__dict__


def _made_again(kind: type[LashError], *args: object) -> LashError:
    return kind.__new__(kind, *args)


class SettingsError(LashError, ValueError):
    """A value is outside what is allowed; the message names both."""


class UnsafeServerError(SettingsError):
    """The server can lose leases or rows silently (eviction), is too old, or is a Sentinel."""


class PayloadError(LashError, ValueError):
    """An argument, a result or a payload does not fit its type, its limit or the encoding.

    Attributes:
        process_id: of a registration whose input does not fit; empty otherwise.
    """

    process_id = ""


class RegistryUnavailable(LashError):
    """The server did not answer as it should have.

    Attributes:
        operation: the transition that was asked for.
        maybe_applied: True if it may have happened all the same (the reply was lost). Every
            transition may be sent again, and then answers as the first time (rule 8.4).
        reads: nothing was to happen.
    """

    def __init__(self, operation: str, reason: str, *, maybe_applied: bool, reads: bool = False) -> None:
        self.operation = operation
        self.maybe_applied = maybe_applied
        self.reads = reads
        super().__init__(reason)

    def __str__(self) -> str:
        said = super().__str__()
        if self.reads:
            return said
        return f"{said}; {'what was asked for may have been done' if self.maybe_applied else 'nothing was changed'}"


class ScriptError(LashError):
    """A script answered outside its contract: a bug of lash-redis, never of its user."""


class RecordedDead(LashError):
    """Others take this living owner for dead, and may have settled its work: it claims no more and leaves."""

    def __init__(self, owner: LeaseOwner) -> None:
        self.owner = owner
        super().__init__(
            f"the death of {owner.owner_id} (incarnation {owner.incarnation_id}) is recorded, or another OS process "
            "claims under its name; it claims no more"
        )


class ForkedCopy(LashError):
    """This OS process was forked from the one in which the worker acts, and may do nothing in its name."""


class RegistryError(LashError):
    """The registry refused a call. ``process_id`` names the process it was about ('' if none)."""

    def __init__(self, process_id: str, message: str) -> None:
        self.process_id = process_id
        super().__init__(message)


class UnknownProcess(RegistryError):
    """No process has this id: never registered, or pruned."""

    def __init__(self, process_id: str) -> None:
        super().__init__(process_id, f"process {process_id!r} is not registered (or was pruned)")


class UnknownSchedule(RegistryError):
    """No schedule of this name is stored: never declared, or removed. ``name`` is the one that was asked for."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            "",
            f"schedule {name!r} is not stored: `lash-redis schedules` lists those that are, and a worker stores those "
            "of its code when it starts",
        )


class UnreadableRow(RegistryError):
    """The row cannot be read: a newer lash-redis wrote it, or it is damaged. It is left as it is (rule 8.15)."""

    def __init__(self, process_id: str, reason: str) -> None:
        self.reason = reason
        super().__init__(process_id, f"process {process_id!r} cannot be read (a newer lash-redis wrote it?): {reason}")


class RegistrationConflict(RegistryError):
    """The id is registered with other content (task, arguments, disposition, grantee or metadata).

    Attributes:
        process_ids: every id of the batch that is.
        batch: how many registrations were sent together; none of them was made.
    """

    def __init__(self, process_ids: list[str], differences: str = "", batch: int = 1) -> None:
        self.process_ids = process_ids
        self.batch = batch
        more = f" ({len(process_ids) - 1} more of this call are, too)" if len(process_ids) > 1 else ""
        rest = f"; none of the {batch} that were sent together is registered" if batch > 1 else ""
        super().__init__(
            process_ids[0],
            f"process {process_ids[0]!r} is registered already, {differences or 'with other content'}{more}{rest}",
        )


class NotUnique(RegistryError):
    """A process with the same unique key is there, and counts still; nothing was registered.

    Attributes:
        process_id: of the process that is there.
        refused_id: of the one that was refused.
        batch: how many registrations were sent together; none of them was made.
    """

    def __init__(self, process_id: str, refused_id: str, batch: int = 1) -> None:
        self.refused_id = refused_id
        self.batch = batch
        rest = f"; none of the {batch} that were sent together is registered" if batch > 1 else ""
        super().__init__(process_id, f"process {process_id!r} is there with the same unique key{rest}")


class QueueFull(RegistryError):
    """So many processes wait in a bounded queue already that no worker has claimed yet; nothing was registered.

    Attributes:
        queue: the queue's name.
        waiting: how many wait in the partition of what was refused.
        most_waiting: how many may wait there: the partition's part of the queue's bound.
        batch: how many registrations were sent together; none of them was made.
    """

    def __init__(self, queue: str, waiting: int, most_waiting: int, *, batch: int = 1, partitions: int = 1) -> None:
        self.queue = queue
        self.waiting = waiting
        self.most_waiting = most_waiting
        self.batch = batch
        where = f" in this partition, one of {partitions}" if partitions > 1 else ""
        more = f", and {batch} more would be too many" if batch > 1 else ""
        super().__init__(
            "", f"queue {queue!r} is full: {waiting} of at most {most_waiting} processes wait there{where} for their "
            f"first claim{more}; submit again later, or raise most_waiting"
        )  # fmt: skip


class NamespaceMismatch(RegistryError):
    """The namespace's header is gone, or does not say what this client expects."""

    def __init__(self, message: str) -> None:
        super().__init__("", message)


class AlreadyTerminal(RegistryError):
    """The process has its terminal fact, which never changes. ``record`` is the process's record, if it was read."""

    def __init__(self, process_id: str, status: str, record: ProcessRecord | None = None) -> None:
        self.status = status
        self.record = record
        super().__init__(process_id, f"process {process_id!r} is terminal already: {status}")


class AlreadyStarted(RegistryError):
    """Owner-bound work was started by ``starter``, and no other owner may ever run it."""

    def __init__(self, process_id: str, starter: LeaseOwner) -> None:
        self.starter = starter
        super().__init__(
            process_id,
            f"owner-bound process {process_id!r} was started by {starter.owner_id} "
            f"(incarnation {starter.incarnation_id}); nobody else may run it",
        )


class NothingToAbandon(RegistryError):
    """Abandoning is for work whose result may be unknowable; this can simply be cancelled."""

    def __init__(self, process_id: str) -> None:
        super().__init__(
            process_id,
            f"process {process_id!r} has nothing to abandon (rerunnable, or never started): cancel it instead",
        )


_BEFORE_A_RESOLUTION = {
    "uncertain": "; accept first that it is lost: lash-redis abandon {0}, or request_abandon",
    "outside": "; its outside actor says how it ends, or you accept that it is lost: lash-redis abandon {0}",
    "leased": "; a worker holds it, and says how it ends",
    "queued": "; it has not been lost, and will run",
    "delayed": "; it has not been lost, and will run",
    "blocked": "; it has not been lost, and will run",
}


class NothingToResolve(RegistryError):
    """Only an abandoned process is resolved: what became of any other is known, or will be.

    Attributes:
        status: how it ended; before its end the place where it stands, such as ``queued``, ``leased`` or ``uncertain``.
    """

    def __init__(self, process_id: str, status: str) -> None:
        self.status = status
        first = _BEFORE_A_RESOLUTION.get(status, "").format(process_id)
        super().__init__(process_id, f"process {process_id!r} is {status}: only an abandoned one is resolved{first}")


class StarterAlive(RegistryError):
    """The starter of abandoned work is alive and may still do it: only by force is it said to be over."""

    def __init__(self, process_id: str, why: str) -> None:
        super().__init__(
            process_id,
            f"process {process_id!r}: {why}: wait until that OS process has ended, or end it, and then say it again; "
            "by force (--force, force=True) it is done now",
        )


class NotItsTurn(RegistryError):
    """The process may not run yet; the message says what it waits for."""

    def __init__(self, process_id: str, waits_for: str) -> None:
        self.waits_for = waits_for
        super().__init__(process_id, f"process {process_id!r} may not run yet: {waits_for}")


class CannotAwait(RegistryError):
    """The process cannot wait for another one; nothing was registered. ``other`` is that one's id."""

    def __init__(self, process_id: str, other: str, why: str) -> None:
        self.other = other
        super().__init__(process_id, f"process {process_id!r} cannot wait for {other!r}: {why}")


class CannotJoinGroup(RegistryError):
    """The process cannot be a member of the group; nothing was registered. ``group`` is the id of its continuation."""

    def __init__(self, process_id: str, group: str, why: str) -> None:
        self.group = group
        super().__init__(process_id, f"process {process_id!r} cannot be a member of group {group!r}: {why}")


class AuthorityRejected(RegistryError):
    """The caller has no right to this fact or this lease, whatever lease it holds (rule 5.3)."""

    def __init__(self, process_id: str, why: str) -> None:
        super().__init__(process_id, f"process {process_id!r}: {why}")


class LeaseLost(RegistryError):
    """The lease has lapsed, was released or replaced; its holder may write nothing under it."""

    def __init__(self, process_id: str, lease: ProcessLease | None = None) -> None:
        self.lease = lease
        fence = f" (fence {lease.fencing_token})" if lease is not None else ""
        super().__init__(process_id, f"the lease on process {process_id!r} is lost{fence}")


class LeaseHeld(RegistryError):
    """Another owner holds a live lease."""

    def __init__(self, process_id: str, holder: ProcessLease) -> None:
        self.holder = holder
        super().__init__(process_id, f"process {process_id!r} is held by {holder.owner.owner_id}")


class OutcomePruned(RegistryError):
    """A process ended, and its record or result is not kept any more; ``status`` says how, empty if that is unknown."""

    def __init__(self, process_id: str, status: str = "") -> None:
        self.status = status
        ended = f"process {process_id!r} ended as {status}, and its outcome is not kept any more"
        unknown = f"the outcome of process {process_id!r} is not there any more (pruned?)"
        super().__init__(process_id, ended if status else unknown)


class OutcomeUncertain(RegistryError):
    """Owner-bound work was started and its owner is silent: nobody can know, and nobody may rerun it."""

    def __init__(self, process_id: str, record: ProcessRecord) -> None:
        self.record = record
        super().__init__(
            process_id,
            f"the outcome of process {process_id!r} is uncertain: started, its owner silent, no proof of death; "
            "an abandon request settles it",
        )


class NoResult(LashError):
    """The process has ended, and not with a result; raised by ``result()``.

    Attributes:
        process_id: of the process.
        outcome: how it ended instead.
    """

    outcome: Failure | Cancelled | Abandoned

    def __init__(self, process_id: str, what: str) -> None:
        self.process_id = process_id
        super().__init__(f"process {process_id!r} {what}")


class WorkFailed(NoResult):
    """The work reported failure. A note on the error has the traceback of the work, if there is one."""

    outcome: Failure

    def __init__(self, process_id: str, outcome: Failure) -> None:
        self.outcome = outcome
        super().__init__(process_id, f"failed: {outcome.code}: {outcome.message}".rstrip(": "))
        if outcome.traceback:
            self.add_note(f"in its worker:\n{outcome.traceback.rstrip()}")


class WorkCancelled(NoResult):
    """Someone asked for a stop, and the work stopped or never ran."""

    outcome: Cancelled

    def __init__(self, process_id: str, outcome: Cancelled) -> None:
        self.outcome = outcome
        super().__init__(process_id, f"was cancelled: {outcome.reason}" if outcome.reason else "was cancelled")


class WorkAbandoned(NoResult):
    """The owner was lost, and nobody can know the result: the work may have been done all the same."""

    outcome: Abandoned

    def __init__(self, process_id: str, outcome: Abandoned) -> None:
        self.outcome = outcome
        super().__init__(process_id, f"was abandoned, and nobody can know its result ({outcome.evidence})")


class StopRequested(BaseException):
    """Raised into a plain task's thread at a drain, a cancel or a lost lease.

    A ``BaseException``, so that ``except Exception`` in user code does not swallow it.
    """

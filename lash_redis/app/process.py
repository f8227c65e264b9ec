"""The handle of one process: wait for its outcome, read its record, request a cancel or an abandon."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, cast

from lash_redis.app.code_places import CodePlace
from lash_redis.app.sessions import Sessions
from lash_redis.app.unserved import Unserved
from lash_redis.app.wait import End, Wait, missing_error
from lash_redis.core.bounds import QueueBound
from lash_redis.core.checks import checked_bool
from lash_redis.core.error_text import shown
from lash_redis.core.errors import (
    OutcomePruned,
    SettingsError,
    UnknownProcess,
    WorkAbandoned,
    WorkCancelled,
    WorkFailed,
)
from lash_redis.core.model import AbandonRequest, CancelRequest, ProcessRecord, ProcessRegistration
from lash_redis.core.outcomes import Abandoned, Cancelled, Failure, Outcome, Resolution, ResolutionKind, Success, T_co
from lash_redis.core.policies import Policy
from lash_redis.core.schedules import ScheduleDeclaration
from lash_redis.core.terms import Terms
from lash_redis.core.timing import wall_ms
from lash_redis.recovery.living_starters import check_may_resolve
from lash_redis.tasks.arguments import decode_result
from lash_redis.tasks.declaration import Declaration, policies_of

OnUncertain = Literal["wait", "raise"]
_ON_UNCERTAIN: Final = ("wait", "raise")


@dataclass(frozen=True, slots=True)
class AppContext:
    """What all handles and tasks of one ``Lash`` share.

    Attributes:
        sessions: of the ``Lash``.
        declarations: by task name.
        schedules: that its code declares, by name.
        schedule_places: where in the code, by name.
        stored_schedules: what it has stored of them, by name, with the uuid of the namespace.
        unserved: looks whether anybody serves what is submitted.
        bounds: those of the declared queues, by name.
        limits: the declared limits that several tasks may share, by name.
    """

    sessions: Sessions
    declarations: dict[str, Declaration]
    schedules: dict[str, ScheduleDeclaration] = field(default_factory=dict)
    schedule_places: dict[str, CodePlace] = field(default_factory=dict)
    stored_schedules: dict[str, tuple[str, ScheduleDeclaration]] = field(default_factory=dict)
    unserved: Unserved = field(default_factory=Unserved)
    bounds: dict[str, QueueBound] = field(default_factory=dict)
    limits: dict[str, Policy] = field(default_factory=dict)

    @property
    def terms(self) -> Terms:
        """The bounds of all declared queues, and the policies of all declared tasks."""
        return Terms(bounds=list(self.bounds.values()), policies=policies_of(self.declarations.values()))

    def terms_of(self, task: Declaration, registrations: Iterable[ProcessRegistration]) -> Terms:
        """Return what stands in the registry before registrations of a task."""
        queues = {each.queue for each in registrations} if self.bounds else ()
        bounds = [bound for queue, bound in self.bounds.items() if queue in queues]
        return Terms(task.signature.named, bounds, task.limits.policies)


def outcome_in(context: AppContext, process_id: str, end: End) -> Outcome[Any]:
    """Return the outcome of a process that has ended, a result as the type that its task declares.

    Raises:
        OutcomePruned: it is not kept any more.
        PayloadError: the result is of another type.
    """
    outcome = end.outcome
    if outcome is None:
        raise OutcomePruned(process_id, end.status.value)
    if isinstance(outcome, Success) and end.task is not None:
        declaration = context.declarations.get(end.task)
        if declaration is not None:
            return Success(decode_result(declaration, outcome.value))
    return outcome


class _Handle(Generic[T_co]):
    """What both handles share.

    Args:
        context: of its ``Lash``.
        id: the process id.
        known: whether the process is known to be registered. If so, a missing row was pruned.
    """

    __slots__ = ("_context", "_known", "id")

    def __init__(self, context: AppContext, id: str, *, known: bool) -> None:
        self._context = context
        self._known = known
        self.id: Final = id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id!r}>"

    def _wait(self, timeout: float | None, on_uncertain: OnUncertain = "wait") -> Wait:
        if on_uncertain not in _ON_UNCERTAIN:
            raise SettingsError(f"expected on_uncertain to be 'wait' or 'raise', got {shown(on_uncertain)}")
        return Wait(self.id, known=self._known, raise_uncertain=on_uncertain == "raise", timeout=timeout)

    def _existing(self, record: ProcessRecord | None) -> ProcessRecord:
        if record is None:
            raise UnknownProcess(self.id)
        return record


class Process(_Handle[T_co], Generic[T_co]):
    """The handle of one durable execution, known by its id. Making a handle does no I/O.

    ``Process[str]`` is one whose task returns ``str``. ``Process`` alone is one of an unknown task.
    """

    __slots__ = ()

    @property
    def blocking(self) -> BlockingProcess[T_co]:
        """The same handle for code without an event loop."""
        return BlockingProcess(self._context, self.id, known=self._known)

    async def outcome(self, timeout: float | None = None, on_uncertain: OnUncertain = "wait") -> Outcome[T_co]:
        """Wait until the process has ended and return its outcome, a result as the type that its task declares.

        Args:
            timeout: seconds; None waits for ever, and 0 reads once. During an outage, and where the namespace is not
                the one that was opened (flushed, or another server at its address), the wait goes on, and the error at
                its end names that.
            on_uncertain: ``"wait"`` until an operator has settled it, or ``"raise"`` an error (within 10 s).

        Raises:
            TimeoutError: it was read, and has not ended within the timeout.
            RegistryUnavailable: no read was answered within the timeout, so that nothing is known of it.
            NamespaceMismatch: no read was answered since the namespace is not the one that was opened.
            UnknownProcess: no process has this id.
            OutcomePruned: it ended, and its record or its result is not kept any more; ``status`` says how, if known.
            OutcomeUncertain: its owner is silent, and ``on_uncertain`` is ``"raise"``.
            PayloadError: the function returned another type than it declares; ``record`` has the stored result.
        """
        wait = self._wait(timeout, on_uncertain)
        session = self._context.sessions.current()
        try:
            return outcome_in(self._context, self.id, await session.waiter.wait_for(wait))
        except (OutcomePruned, UnknownProcess) as error:
            (tombstone,) = await session.registry.tombstones([self.id])
            raise missing_error(self.id, tombstone, error) from None

    async def result(self, timeout: float | None = None, on_uncertain: OnUncertain = "wait") -> T_co:
        """Wait until the process has ended and return what the work returned, as the type that its task declares.

        Args:
            timeout: as for ``outcome``.
            on_uncertain: as for ``outcome``.

        Raises:
            NoResult: it ended otherwise; ``outcome`` of the error says how. Each way has an error of its own:
                ``WorkFailed``, ``WorkCancelled``, ``WorkAbandoned``.
            TimeoutError: and all others that ``outcome`` raises.
        """
        return result_of(self.id, await self.outcome(timeout, on_uncertain))

    async def record(self) -> ProcessRecord:
        """Return the present record, with payloads as they are stored.

        Raises:
            UnknownProcess: no process has this id, or it was pruned.
        """
        session = self._context.sessions.current()
        return self._existing(await session.registry.get(self.id))

    async def request_cancel(self, *, by: str, reason: str | None = None) -> ProcessRecord:
        """Ask for the work to stop. A process that nobody holds is cancelled at once if recovery could run it again.

        Raises:
            UnknownProcess: no process has this id.
            AlreadyTerminal: the process has ended.
        """
        session = self._context.sessions.current()
        return await session.registry.request_cancel(self.id, CancelRequest(by, wall_ms(), reason))

    async def request_abandon(self, *, by: str, reason: str | None = None) -> ProcessRecord:
        """Record the permission to accept that the result stays unknown. A sweep acts on it.

        Raises:
            UnknownProcess: no process has this id.
            AlreadyTerminal: the process has ended.
            NothingToAbandon: the process is rerunnable or was never started; cancel it instead.
        """
        session = self._context.sessions.current()
        return await session.registry.request_abandon(self.id, AbandonRequest(by, wall_ms(), reason))

    async def resolve(
        self, kind: ResolutionKind | str, *, by: str, reason: str | None = None, value: Any = None, force: bool = False
    ) -> ProcessRecord:
        """Say what was found out about the process after it was abandoned. The fact stays; this stands beside it.

        The first resolution stands for ever: ``resolution`` of the record that is returned says which one it is.

        Args:
            kind: ``"happened"``, ``"did_not_happen"``, or ``"accepted"``: it stays unknown, and nobody will look.
            by: who says so, 1 to 256 bytes.
            reason: how they know, at most 4096 bytes.
            value: what the work brought, if it happened and that is known (plain builtins, at most 4096 bytes encoded).
            force: say that it did not happen, or that nobody will look, also while its starter may still do it.

        Raises:
            UnknownProcess: no process has this id.
            NothingToResolve: the process has not ended, or ended otherwise.
            StarterAlive: its starter is provably alive on this machine, and may still do it.
            SettingsError: an argument is outside what is allowed.
            PayloadError: the value cannot be carried.
        """
        resolution, registry = _resolution(kind, by, reason, value), self._context.sessions.current().registry
        if not checked_bool("force", force):
            (row,) = await registry.rows([self.id])
            check_may_resolve(row, resolution)
        return await registry.resolve(self.id, resolution)


class BlockingProcess(_Handle[T_co], Generic[T_co]):
    """The handle for code without an event loop: the same names, and each call blocks its thread.

    Where an event loop runs, each call raises a ``SettingsError``.
    """

    __slots__ = ()

    @property
    def blocking(self) -> BlockingProcess[T_co]:
        """This handle."""
        return self

    def outcome(self, timeout: float | None = None, on_uncertain: OnUncertain = "wait") -> Outcome[T_co]:
        """Do what ``Process.outcome`` does."""
        wait = self._wait(timeout, on_uncertain)
        session = self._context.sessions.blocking()
        try:
            return outcome_in(self._context, self.id, session.waiter.wait_for(wait))
        except (OutcomePruned, UnknownProcess) as error:
            (tombstone,) = session.registry.tombstones([self.id])
            raise missing_error(self.id, tombstone, error) from None

    def result(self, timeout: float | None = None, on_uncertain: OnUncertain = "wait") -> T_co:
        """Do what ``Process.result`` does."""
        return result_of(self.id, self.outcome(timeout, on_uncertain))

    def record(self) -> ProcessRecord:
        """Do what ``Process.record`` does."""
        return self._existing(self._context.sessions.blocking().registry.get(self.id))

    def request_cancel(self, *, by: str, reason: str | None = None) -> ProcessRecord:
        """Do what ``Process.request_cancel`` does."""
        registry = self._context.sessions.blocking().registry
        return registry.request_cancel(self.id, CancelRequest(by, wall_ms(), reason))

    def request_abandon(self, *, by: str, reason: str | None = None) -> ProcessRecord:
        """Do what ``Process.request_abandon`` does."""
        registry = self._context.sessions.blocking().registry
        return registry.request_abandon(self.id, AbandonRequest(by, wall_ms(), reason))

    def resolve(
        self, kind: ResolutionKind | str, *, by: str, reason: str | None = None, value: Any = None, force: bool = False
    ) -> ProcessRecord:
        """Do what ``Process.resolve`` does."""
        resolution, registry = _resolution(kind, by, reason, value), self._context.sessions.blocking().registry
        if not checked_bool("force", force):
            (row,) = registry.rows([self.id])
            check_may_resolve(row, resolution)
        return registry.resolve(self.id, resolution)


def _resolution(kind: ResolutionKind | str, by: str, reason: str | None, value: Any) -> Resolution:
    return Resolution(cast("ResolutionKind", kind), by, wall_ms(), reason, value)


def result_of(process_id: str, outcome: Outcome[T_co]) -> T_co:
    """Return the value of a success; raise any other outcome."""
    match outcome:
        case Success(value):
            return value
        case Failure():
            raise WorkFailed(process_id, outcome)
        case Cancelled():
            raise WorkCancelled(process_id, outcome)
        case Abandoned():
            raise WorkAbandoned(process_id, outcome)

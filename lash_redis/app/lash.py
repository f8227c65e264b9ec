"""``Lash``: one namespace on one server, its tasks, and externally owned work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Literal, ParamSpec, Self, TypeVar, Unpack, overload

from lash_redis.app.process import AppContext, Process
from lash_redis.app.server_source import ServerSource
from lash_redis.app.sessions import Sessions
from lash_redis.app.task import Task
from lash_redis.core.checks import MAX_PAYLOAD_BYTES, checked_id, checked_text
from lash_redis.core.errors import PayloadError, SettingsError
from lash_redis.core.model import (
    ExternalInput,
    ExternalOwner,
    Outcome,
    ProcessRecord,
    ProcessRegistration,
    RecoveryDisposition,
)
from lash_redis.core.options import ChosenOptions
from lash_redis.core.struct_checks import checked_kind
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.declaration import MISSING, Declaration, declare, two_tasks_error
from lash_redis.tasks.payload import InvalidValue, plain_value

P = ParamSpec("P")
R = TypeVar("R")

_RecoveryName = Literal["rerunnable", "owner_bound"]
_Recovery = Literal[RecoveryDisposition.RERUNNABLE, RecoveryDisposition.OWNER_BOUND]

_SOME_URL = "unix:///"


class _Handles:
    """What ``Lash`` and ``BlockingLash`` share: handles, which need no I/O."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._sessions = context.sessions

    def process(self, process_id: str) -> Process:
        """Return the handle of a process that somebody registered; it is not looked up.

        Raises:
            SettingsError: the id is outside what is allowed.
        """
        return Process(self._context, checked_id("process_id", process_id), known=False)


class Lash(_Handles):
    """One namespace on one server. Constructing it does no I/O and needs no event loop.

    Without a URL the server is that of ``$LASH_REDIS_URL``, which is read at first use. Without that variable it is the
    project's embedded server, which is started at first use and kept alive until this ``Lash`` is closed. One event
    loop after another may use a ``Lash``. Code without an event loop uses ``blocking``.

    Args:
        url_or_client: ``redis://…``, ``rediss://…`` or ``unix://…``, or a client, redis.asyncio or fakeredis.
        namespace: 1 to 64 characters of ``[a-z0-9-]``.
        partitions: their number, which never changes for one namespace. None takes it from the namespace, which must
            exist then.
        max_payload_bytes: the longest input or outcome, bytes.
        allow_unsafe_server: accept a server that evicts keys.

    Raises:
        SettingsError: an argument is outside what is allowed.
    """

    def __init__(
        self,
        url_or_client: Any = None,
        namespace: str = "lash",
        partitions: int | None = 1,
        *,
        max_payload_bytes: int = MAX_PAYLOAD_BYTES,
        allow_unsafe_server: bool = False,
    ) -> None:
        new_registry = partial(
            ProcessRegistry,
            namespace=namespace,
            partitions=partitions,
            max_payload_bytes=max_payload_bytes,
            allow_unsafe_server=allow_unsafe_server,
        )
        new_registry(
            _SOME_URL if url_or_client is None else url_or_client
        )  # refuses bad arguments now, not at first use
        sessions = Sessions(ServerSource(url_or_client), new_registry)
        super().__init__(AppContext(sessions, {}))
        self._tasks: dict[str, Task[..., Any]] = {}
        self.blocking = BlockingLash(self._context)

    @property
    def registry(self) -> ProcessRegistry:
        """The registry of the running event loop, or of the next one if none runs.

        Reading it blocks while the embedded server starts. ``await lash.open()`` starts the server without blocking.
        """
        return self._sessions.current_or_next().registry

    @property
    def tasks(self) -> tuple[Task[..., Any], ...]:
        """The declared tasks, in their order."""
        return tuple(self._tasks.values())

    # Overloads, so that a type checker wants a recovery that a function may have. The body tells those who use none.
    @overload
    def task(
        self, /, *, recovery: _RecoveryName, name: str | None = None, **options: Unpack[ChosenOptions]
    ) -> Callable[[Callable[P, R]], Task[P, R]]: ...
    @overload
    def task(
        self, /, *, recovery: _Recovery, name: str | None = None, **options: Unpack[ChosenOptions]
    ) -> Callable[[Callable[P, R]], Task[P, R]]: ...
    def task(
        self,
        bare: Any = None,
        /,
        *,
        recovery: Any = MISSING,
        name: str | None = None,
        **options: Unpack[ChosenOptions],
    ) -> Callable[[Callable[P, R]], Task[P, R]]:
        """Make a task of the decorated function; ``recovery`` is required.

        Args:
            bare: nothing; ``@lash.task`` without parentheses passes the function here and is refused.
            recovery: what may be done with a process whose owner was lost: ``"rerunnable"`` or ``"owner_bound"``.
            name: what rows call the task; ``module.qualname`` unless given. Rows keep it, so it must not change.
            **options: those of ``ProcessOptions``, for every submit that gives no others.

        Raises:
            SettingsError: the recovery is missing, another function has this task's name, or as ``declare`` says.
        """
        declaring = partial(declare, recovery=recovery, name=name, **options)
        if bare is not None:
            raise _bad_decorator_error(bare)

        def decorate(function: Callable[P, R]) -> Task[P, R]:
            declaration = declaring(function)
            task = Task(self._context, declaration, function, declaration.options)
            self._add(task, declaration)
            return task

        return decorate

    def _add(self, task: Task[..., Any], declaration: Declaration) -> None:
        known = self._context.declarations.get(task.name)
        # A module that is reloaded and a notebook's cell that runs again define the same function: the new one stands.
        if known is not None and not known.is_redefined_by(declaration):
            raise two_tasks_error(known, declaration)
        self._context.declarations[task.name] = declaration
        self._tasks[task.name] = task

    async def open(self) -> None:
        """Connect to the server and open the namespace now, not at first use.

        Raises:
            RegistryUnavailable: the server does not answer.
            UnsafeServerError: the server evicts keys or is too old.
            NamespaceMismatch: the header of the namespace is gone or has other values than this ``Lash`` expects.
        """
        await (await self._sessions.current()).registry.open()

    async def expect(
        self, process_id: str, grantee: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> Process:
        """Register externally owned work. The pool never runs it; ``complete_external`` ends it.

        Args:
            process_id: the id. A call with the same id and content gives the same process.
            grantee: the name of the only ``ExternalOwner`` that may complete it; None allows any.
            metadata: plain values for the outside actor.

        Raises:
            RegistrationConflict: the id is registered with other content.
            PayloadError: no payload can hold the metadata.
        """
        registration = _external_registration(process_id, grantee, metadata)
        session = await self._sessions.current()
        await session.registry.register_many([registration])
        return Process(self._context, process_id, known=True)

    async def complete_external(self, process_id: str, outcome: Outcome, authority: ExternalOwner) -> ProcessRecord:
        """Write the outcome of externally owned work. The same outcome sent again returns the record.

        Raises:
            UnknownProcess: no process has this id.
            AlreadyTerminal: the process has ended with another outcome.
            AuthorityRejected: the process is not externally owned, or has another grantee.
        """
        session = await self._sessions.current()
        return await session.registry.complete_unleased(process_id, outcome, authority)

    async def aclose(self) -> None:
        """Close what was opened for this event loop and for ``blocking``; the next use opens it again."""
        await self._sessions.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class BlockingLash(_Handles):
    """``Lash`` for code without an event loop: the same names, and each call blocks its thread. Any thread may call."""

    def open(self) -> None:
        """Do what ``Lash.open`` does."""
        self._sessions.blocking().registry.open()

    def expect(self, process_id: str, grantee: str | None = None, metadata: Mapping[str, Any] | None = None) -> Process:
        """Do what ``Lash.expect`` does."""
        registration = _external_registration(process_id, grantee, metadata)
        self._sessions.blocking().registry.register_many([registration])
        return Process(self._context, process_id, known=True)

    def complete_external(self, process_id: str, outcome: Outcome, authority: ExternalOwner) -> ProcessRecord:
        """Do what ``Lash.complete_external`` does."""
        return self._sessions.blocking().registry.complete_unleased(process_id, outcome, authority)

    def close(self) -> None:
        """Close what was opened for ``blocking``; the next use opens it again."""
        self._sessions.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _external_registration(
    process_id: str, grantee: str | None, metadata: Mapping[str, Any] | None
) -> ProcessRegistration:
    if grantee is not None:
        checked_text("grantee", grantee, 256)
    try:
        plain = plain_value(dict(checked_kind("metadata", {} if metadata is None else metadata, Mapping)))
    except InvalidValue as invalid:
        raise PayloadError(f"metadata{invalid.where}: {invalid.why}") from invalid.__cause__
    return ProcessRegistration(
        process_id, ExternalInput(plain), RecoveryDisposition.EXTERNALLY_OWNED, granted_to=grantee
    )


def _bad_decorator_error(bare: Any) -> SettingsError:
    """Return the error for ``@lash.task`` and for ``@lash.task("rerunnable")``."""
    if callable(bare):
        try:
            declare(bare, recovery=MISSING)
        except SettingsError as error:
            return error
    return SettingsError(f'expected @lash.task(recovery="..."), got @lash.task({bare!r})')

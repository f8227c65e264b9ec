"""``Lash``: one namespace on one server, its tasks, and externally owned work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Any, Literal, ParamSpec, Self, TypeVar, Unpack, overload

import msgspec

from lash_redis.app.blocking_lash import BlockingLash, external_registration
from lash_redis.app.groups import GroupControls
from lash_redis.app.limit_controls import LimitControls
from lash_redis.app.many_controls import ManyControls
from lash_redis.app.process import AppContext, Process
from lash_redis.app.queue_controls import QueueControls
from lash_redis.app.schedule_controls import ScheduleControls
from lash_redis.app.server_source import ServerSource
from lash_redis.app.sessions import Replacement, Sessions
from lash_redis.app.several import SeveralControls
from lash_redis.app.task import Task
from lash_redis.core.checks import MAX_PAYLOAD_BYTES, checked_id
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.model import ExternalOwner, ProcessRecord, RecoveryDisposition
from lash_redis.core.options import SubmitOptions
from lash_redis.core.outcomes import Outcome
from lash_redis.core.unique import UNIQUE, Unique
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.address import Address
from lash_redis.tasks.declaration import MISSING, Declaration, declare, two_tasks_error
from lash_redis.tasks.limits import ChosenTaskOptions
from lash_redis.tasks.unique_keys import check_names

P = ParamSpec("P")
R = TypeVar("R")

_RecoveryName = Literal["rerunnable", "owner_bound"]
_Recovery = Literal[RecoveryDisposition.RERUNNABLE, RecoveryDisposition.OWNER_BOUND]


class Lash(QueueControls, LimitControls, ManyControls, ScheduleControls, GroupControls, SeveralControls):
    """One namespace on one server. Constructing it does no I/O and needs no event loop.

    Without a URL the server is that of ``$LASH_REDIS_URL``, which is read at first use. Without that variable it is the
    project's embedded server, which is started at first use, again if its guardian was killed, and kept alive until
    this ``Lash`` is closed. Event loops may use a ``Lash`` one after another, and several at a time. Code without an
    event loop uses ``blocking``.

    ``async with lash`` opens it and counts as a user of the running event loop, and so does a running ``Worker``. The
    last one that leaves closes what was opened there (rule 11.8).

    Args:
        url_or_client: ``redis://…``, ``rediss://…`` or ``unix://…``; ``redis+cluster://HOST:PORT,HOST:PORT``;
            ``redis+sentinel://HOST:PORT,HOST:PORT/SERVICE``; or a client of redis-py, also of a cluster or Sentinels,
            or of fakeredis.
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
        source = ServerSource(url_or_client)
        registry = ProcessRegistry(
            source,
            namespace,
            partitions,
            max_payload_bytes=max_payload_bytes,
            allow_unsafe_server=allow_unsafe_server,
        )
        if url_or_client is not None:
            registry.address.find()  # refuses a bad argument now, not at first use
        self._sessions = Sessions(source, registry)
        self._context = AppContext(self._sessions, {})
        self._tasks: dict[str, Task[..., Any]] = {}
        self.blocking = BlockingLash(self._context)

    @property
    def registry(self) -> ProcessRegistry:
        """The registry underneath. It is always the same one, for every event loop; reading it does no I/O."""
        return self._sessions.registry

    @property
    def tasks(self) -> tuple[Task[..., Any], ...]:
        """The declared tasks, in their order."""
        return tuple(self._tasks.values())

    # Overloads, so that a type checker wants a recovery that a function may have. The body tells those who use none.
    @overload
    def task(
        self,
        /,
        *,
        recovery: _RecoveryName,
        name: str | None = None,
        aliases: Iterable[str] = (),
        unique: Unique | None = None,
        **options: Unpack[ChosenTaskOptions],
    ) -> Callable[[Callable[P, R]], Task[P, R]]: ...
    @overload
    def task(
        self,
        /,
        *,
        recovery: _Recovery,
        name: str | None = None,
        aliases: Iterable[str] = (),
        unique: Unique | None = None,
        **options: Unpack[ChosenTaskOptions],
    ) -> Callable[[Callable[P, R]], Task[P, R]]: ...
    def task(
        self,
        bare: Any = None,
        /,
        *,
        recovery: Any = MISSING,
        name: str | None = None,
        aliases: Iterable[str] = (),
        unique: Unique | None = None,
        **options: Unpack[ChosenTaskOptions],
    ) -> Callable[[Callable[P, R]], Task[P, R]]:
        """Make a task of the decorated function; ``recovery`` is required.

        Args:
            bare: nothing; ``@lash.task`` without parentheses passes the function here and is refused.
            recovery: what may be done with a process whose owner was lost: ``"rerunnable"`` or ``"owner_bound"``.
            name: what rows call the task; ``module.qualname`` unless given. Rows keep it, so it must not change.
            aliases: the names that the task had in earlier releases. It runs what was submitted under them too, and no
                other task may have one of them.
            unique: what makes a second submit of the same work no second process.
            **options: those of ``ProcessOptions``, for every submit that gives no others; and of keys and limits:
                ``key``, the name of a parameter; ``fair=True``, keys take turns; ``limit``, how many run at once, and
                ``rate=(starts, seconds)``, how many start in a window, of each key if there are keys; ``cost``, how
                many slots one takes, a number or the name of a parameter; ``within``, a limit that several tasks
                share; ``revision``, raised with each change of ``limit`` or ``rate``; or ``sequence=True`` with
                ``after_loss="halt"`` or ``"continue"``: the work of a key runs one at a time, in order. ``retries``
                says how often a run that failed is made again: runs in all, or a ``Retries``; of rerunnable work only.

        Raises:
            SettingsError: the recovery is missing, another function has this task's name, or as ``declare`` says.
        """
        UNIQUE.checked("unique", unique)
        declaring = partial(declare, recovery=recovery, name=name, aliases=aliases, **options)
        if bare is not None:
            raise _bad_decorator_error(bare)

        def decorate(function: Callable[P, R]) -> Task[P, R]:
            declaration = declaring(function)
            if unique is not None:
                check_names(declaration, unique)
            options = SubmitOptions(**msgspec.structs.asdict(declaration.options), unique=unique)
            task = Task(self._context, declaration, function, options)
            self._add(task, declaration)
            return task

        return decorate

    def _add(self, task: Task[..., Any], declaration: Declaration) -> None:
        declared = self._context.declarations
        for name in declaration.names:
            known = declared.get(name)
            # A module that is reloaded and a notebook's cell that runs again define the same function: the new one
            # stands.
            if known is not None and not known.is_redefined_by(declaration):
                raise two_tasks_error(known, declaration)
        for name in declared[task.name].names if task.name in declared else ():
            del declared[name]
        declared.update(dict.fromkeys(declaration.names, declaration))
        self._tasks[task.name] = task

    def process(self, process_id: str) -> Process[Any]:
        """Return the handle of a process that somebody registered; it is not looked up.

        Type checkers do not know what it returns: ``charge: Process[str] = lash.process(...)`` says it.

        Raises:
            SettingsError: the id is outside what is allowed.
        """
        return Process(self._context, checked_id("process_id", process_id), known=False)

    def use(self, url_or_client: Any) -> AbstractContextManager[None]:
        """Take another server from now on, such as a fake one in a test: ``lash.use(fakeredis.FakeAsyncRedis())``.

        Tasks, handles and ``registry`` follow, whenever they were made. In a ``with`` statement the end of the block
        gives the former server back.

        Args:
            url_or_client: what the constructor takes; None is ``$LASH_REDIS_URL``, else the embedded server.

        Raises:
            SettingsError: the argument is outside what is allowed, or somebody uses the present server: within
                ``async with lash`` or ``with lash.blocking``, by a running ``Worker``, or waiting for an outcome.
        """
        if url_or_client is not None:
            Address(url_or_client)  # refuses a bad one
        return Replacement(self._sessions, self._sessions.use(url_or_client))

    async def open(self) -> None:
        """Connect to the server and open the namespace now, not at first use.

        Raises:
            RegistryUnavailable: the server does not answer.
            UnsafeServerError: the server evicts keys or is too old.
            NamespaceMismatch: the header of the namespace is gone or has other values than this ``Lash`` expects.
            SettingsError: what a queue is bounded by is less than one for each partition of the namespace.
        """
        await self.registry.open()
        await self.registry.terms_stored(self._context.terms)

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
        registration = external_registration(process_id, grantee, metadata)
        await self.registry.register_many([registration])
        return Process(self._context, process_id, known=True)

    async def complete_external(self, process_id: str, outcome: Outcome, authority: ExternalOwner) -> ProcessRecord:
        """Write the outcome of externally owned work. The same outcome sent again returns the record.

        Raises:
            UnknownProcess: no process has this id.
            AlreadyTerminal: the process has ended with another outcome.
            AuthorityRejected: the process is not externally owned, or has another grantee.
        """
        return await self.registry.complete_unleased(process_id, outcome, authority)

    async def aclose(self) -> None:
        """Close what was opened for this event loop and for ``blocking``; the next use opens it again.

        A wait of other code ends with an error. Inside ``async with lash`` and beside a ``Worker`` that runs on this
        event loop it closes nothing: the last user to leave does.
        """
        await self._sessions.aclose()

    async def __aenter__(self) -> Self:
        self.registry.join()
        try:
            await self.open()
        except BaseException:
            await self.registry.part()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.registry.part()


def _bad_decorator_error(bare: Any) -> SettingsError:
    """Return the error for ``@lash.task`` and for ``@lash.task("rerunnable")``."""
    if callable(bare):
        try:
            declare(bare, recovery=MISSING)
        except SettingsError as error:
            return error
    return SettingsError(f'expected @lash.task(recovery="..."), got @lash.task({shown(bare)})')

"""What ``@lash.task`` makes of a function: it can be called as before, and submitted."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, Unpack, overload

from lash_redis.app.bulk_submits import Batch, registered, registered_blocking
from lash_redis.app.many_calls import in_batches
from lash_redis.app.process import AppContext, BlockingProcess, Process
from lash_redis.app.registrations import Registrations
from lash_redis.core.checks import KEY, checked_id
from lash_redis.core.model import ProcessRegistration
from lash_redis.core.options import ChosenSubmitOptions, SubmitOptions, with_options
from lash_redis.core.schedules import ScheduleDeclaration
from lash_redis.core.unique import Unique
from lash_redis.tasks.arguments import bind, bound
from lash_redis.tasks.declaration import Declaration
from lash_redis.tasks.option_names import checked_submitted
from lash_redis.tasks.unique_keys import check_names

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")
T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
F_co = TypeVar("F_co", covariant=True)


class _Calls(Protocol[F_co]):
    """What calls such a function: Python can say of no ``P.args`` which tuples hold them."""

    @property
    def _function(self) -> F_co: ...


class Task(Generic[P, R_co]):
    """A function whose calls can be registered as processes. A direct call runs the function here and now."""

    def __init__(
        self,
        context: AppContext,
        declaration: Declaration,
        function: Callable[P, R_co],
        options: SubmitOptions,
        process_id: str | None = None,
        *,
        key: str | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.declaration = declaration
        self._context = context
        self._function = function
        self._options = options
        self._process_id = process_id
        self._key = key
        self._registrations = Registrations(declaration, options, process_id, key)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function itself. Nothing is registered."""
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    @property
    def name(self) -> str:
        """The name of the task in its rows."""
        return self.declaration.name

    @property
    def process_id(self) -> str | None:
        """The id of the process that a submit makes; None: a random one for each."""
        return self._process_id

    @property
    def schedules(self) -> tuple[ScheduleDeclaration, ...]:
        """The schedules that are declared for this task: a worker that is given the task stores them."""
        return tuple(each for each in self._context.schedules.values() if each.task == self.name)

    @property
    def blocking(self) -> BlockingTask[P, R_co]:
        """The same task for code without an event loop."""
        return BlockingTask(self, self._context)

    def options(
        self, *, process_id: str | None = None, key: str | None = None, **options: Unpack[ChosenSubmitOptions]
    ) -> Task[P, R_co]:
        """Return the task with other options for what is submitted through it.

        Args:
            process_id: makes the submit idempotent: a submit with the same id and content gives the same process.
                None: each submit makes a process with a random id.
            key: whom the work is for, at most 256 bytes, where the task has keys; in place of its parameter's argument.
            **options: those of ``SubmitOptions``. An option that is not given, or is None, stays as it was. ``delay``
                is in seconds or a timedelta, and ``at`` a datetime with a zone.

        Raises:
            SettingsError: an option is unknown or outside what is allowed.
        """
        given = checked_submitted(options)
        if isinstance(unique := given.get("unique"), Unique):
            check_names(self.declaration, unique)
        chosen_id = self._process_id if process_id is None else checked_id("process_id", process_id)
        chosen_key = self._key if key is None else KEY.checked("key", key)
        chosen = with_options(self._options, given)
        return Task(self._context, self.declaration, self._function, chosen, chosen_id, key=chosen_key)

    # What an ``async def`` returns is awaited by the worker, and so is what a plain function returns to be awaited.
    @overload
    async def submit(self: Task[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> Process[T]: ...
    @overload
    async def submit(self, /, *args: P.args, **kwargs: P.kwargs) -> Process[R_co]: ...
    async def submit(self, /, *args: Any, **kwargs: Any) -> Process[Any]:
        """Register one process that calls the function with these arguments, and return its handle.

        Submits of one task that are awaited at the same time share calls: each is refused or registered by itself.
        If no worker that lives declares the task, ``work.unserved`` is logged, once for each task and queue.

        Raises:
            PayloadError: an argument is missing, unexpected, of the wrong type or too long; the message names it.
            RegistrationConflict: ``process_id`` is registered with other content.
            NotUnique: another process has its unique key, and ``on_duplicate`` is ``"refuse"``.
            QueueFull: too many wait in its queue, which is bounded.
            RegistryUnavailable: the server does not answer. With a ``process_id`` the same submit may be sent again.
        """
        registration = self.registration(args, kwargs)
        sessions = self._context.sessions
        terms_of = partial(self._context.terms_of, self.declaration)
        stands = await sessions.submit(registration, self.declaration, terms_of)
        await self._context.unserved.look(sessions.registry, registration)
        return self.handle(stands)

    @overload
    async def submit_many(self: _Calls[Callable[[], Awaitable[T]]], calls: Iterable[tuple[()]]) -> list[Process[T]]: ...
    @overload
    async def submit_many(self: _Calls[Callable[[A], Awaitable[T]]], calls: Iterable[tuple[A]]) -> list[Process[T]]: ...
    @overload
    async def submit_many(
        self: _Calls[Callable[[A, B], Awaitable[T]]], calls: Iterable[tuple[A, B]]
    ) -> list[Process[T]]: ...
    @overload
    async def submit_many(
        self: _Calls[Callable[[A, B, C], Awaitable[T]]], calls: Iterable[tuple[A, B, C]]
    ) -> list[Process[T]]: ...
    @overload
    async def submit_many(
        self: _Calls[Callable[[A, B, C, D], Awaitable[T]]], calls: Iterable[tuple[A, B, C, D]]
    ) -> list[Process[T]]: ...
    @overload
    async def submit_many(
        self: _Calls[Callable[Concatenate[Any, Any, Any, Any, Any, ...], Awaitable[T]]],
        calls: Iterable[tuple[Any, ...]],
    ) -> list[Process[T]]: ...
    @overload
    async def submit_many(self: _Calls[Callable[[], R]], calls: Iterable[tuple[()]]) -> list[Process[R]]: ...
    @overload
    async def submit_many(self: _Calls[Callable[[A], R]], calls: Iterable[tuple[A]]) -> list[Process[R]]: ...
    @overload
    async def submit_many(self: _Calls[Callable[[A, B], R]], calls: Iterable[tuple[A, B]]) -> list[Process[R]]: ...
    @overload
    async def submit_many(
        self: _Calls[Callable[[A, B, C], R]], calls: Iterable[tuple[A, B, C]]
    ) -> list[Process[R]]: ...
    @overload
    async def submit_many(
        self: _Calls[Callable[[A, B, C, D], R]], calls: Iterable[tuple[A, B, C, D]]
    ) -> list[Process[R]]: ...
    @overload
    async def submit_many(
        self: _Calls[Callable[Concatenate[Any, Any, Any, Any, Any, ...], R]], calls: Iterable[tuple[Any, ...]]
    ) -> list[Process[R]]: ...
    async def submit_many(self, calls: Iterable[tuple[Any, ...]]) -> list[Process[Any]]:
        """Register one process for each tuple of arguments, and return their handles in that order.

        The calls are sent in batches of 500 while ``calls`` is read. A refused call ends the submit; a note on the
        error says how many processes were registered before. Type checkers compare the tuples with the parameters of
        functions that up to four arguments can call.

        Raises:
            PayloadError: as for ``submit``.
            SettingsError: an item is no tuple, or the task has a ``process_id``.
            RegistryUnavailable: the server does not answer.
        """
        stand = await registered(self._context, self.declaration, self._whole_batches(calls))
        return [Process(self._context, each, known=True) for each in stand]

    def registration(self, args: tuple[Any, ...], kwargs: dict[str, Any], **more: bool) -> ProcessRegistration:
        """Return the registration of a ``submit``, with its errors; ``more`` says whether it opens a group."""
        return self._registrations.of(bind(self.declaration, args, kwargs), **more)

    def batches(self, calls: Iterable[tuple[Any, ...]]) -> Iterator[list[ProcessRegistration]]:
        """Yield the registrations of ``submit_many``, 500 at a time."""
        return in_batches(calls, self._process_id, lambda args: self.registration(args, {}))

    def _whole_batches(self, calls: Iterable[tuple[Any, ...]]) -> Iterator[Batch]:
        """Yield the same as it is sent: where they differ in id and arguments alone it is encoded at once."""
        if not self._registrations.are_alike:
            yield from self.batches(calls)
            return
        sent, most = 0, self._context.sessions.registry.target.namespace.max_payload_bytes
        for batch in in_batches(calls, self._process_id, lambda args: bound(self.declaration, args, {})):
            yield self._registrations.alike(batch, most, sent)
            sent += len(batch)

    def handle(self, process_id: str) -> Process:
        """Return the handle of a registered process."""
        return Process(self._context, process_id, known=True)


class BlockingTask(Generic[P, R_co]):
    """The task for code without an event loop: the same names, and each call blocks its thread."""

    def __init__(self, task: Task[P, R_co], context: AppContext) -> None:
        self._task = task
        self._function = task._function  # noqa: SLF001 - the same task
        self._context = context

    @overload
    def submit(self: BlockingTask[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> BlockingProcess[T]: ...
    @overload
    def submit(self, /, *args: P.args, **kwargs: P.kwargs) -> BlockingProcess[R_co]: ...
    def submit(self, /, *args: Any, **kwargs: Any) -> BlockingProcess[Any]:
        """Do what ``Task.submit`` does."""
        registration = self._task.registration(args, kwargs)
        session = self._context.sessions.blocking()
        terms = self._context.terms_of(self._task.declaration, [registration])
        stands = session.waiter.submit(registration, terms)
        self._context.unserved.look_blocking(session.registry, registration)
        return BlockingProcess(self._context, stands, known=True)

    @overload
    def submit_many(
        self: _Calls[Callable[[], Awaitable[T]]], calls: Iterable[tuple[()]]
    ) -> list[BlockingProcess[T]]: ...
    @overload
    def submit_many(
        self: _Calls[Callable[[A], Awaitable[T]]], calls: Iterable[tuple[A]]
    ) -> list[BlockingProcess[T]]: ...
    @overload
    def submit_many(
        self: _Calls[Callable[[A, B], Awaitable[T]]], calls: Iterable[tuple[A, B]]
    ) -> list[BlockingProcess[T]]: ...
    @overload
    def submit_many(
        self: _Calls[Callable[[A, B, C], Awaitable[T]]], calls: Iterable[tuple[A, B, C]]
    ) -> list[BlockingProcess[T]]: ...
    @overload
    def submit_many(
        self: _Calls[Callable[[A, B, C, D], Awaitable[T]]], calls: Iterable[tuple[A, B, C, D]]
    ) -> list[BlockingProcess[T]]: ...
    @overload
    def submit_many(
        self: _Calls[Callable[Concatenate[Any, Any, Any, Any, Any, ...], Awaitable[T]]],
        calls: Iterable[tuple[Any, ...]],
    ) -> list[BlockingProcess[T]]: ...
    @overload
    def submit_many(self: _Calls[Callable[[], R]], calls: Iterable[tuple[()]]) -> list[BlockingProcess[R]]: ...
    @overload
    def submit_many(self: _Calls[Callable[[A], R]], calls: Iterable[tuple[A]]) -> list[BlockingProcess[R]]: ...
    @overload
    def submit_many(self: _Calls[Callable[[A, B], R]], calls: Iterable[tuple[A, B]]) -> list[BlockingProcess[R]]: ...
    @overload
    def submit_many(
        self: _Calls[Callable[[A, B, C], R]], calls: Iterable[tuple[A, B, C]]
    ) -> list[BlockingProcess[R]]: ...
    @overload
    def submit_many(
        self: _Calls[Callable[[A, B, C, D], R]], calls: Iterable[tuple[A, B, C, D]]
    ) -> list[BlockingProcess[R]]: ...
    @overload
    def submit_many(
        self: _Calls[Callable[Concatenate[Any, Any, Any, Any, Any, ...], R]], calls: Iterable[tuple[Any, ...]]
    ) -> list[BlockingProcess[R]]: ...
    def submit_many(self, calls: Iterable[tuple[Any, ...]]) -> list[BlockingProcess[Any]]:
        """Do what ``Task.submit_many`` does."""
        batches = self._task._whole_batches(calls)  # noqa: SLF001 - the same task
        stand = registered_blocking(self._context, self._task.declaration, batches)
        return [BlockingProcess(self._context, each, known=True) for each in stand]

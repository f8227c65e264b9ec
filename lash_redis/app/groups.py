"""Groups: members of any number, and one process that continues when all of them have ended (rule 13.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

import msgspec

from lash_redis.app.given_tasks import checked_task
from lash_redis.app.many_calls import located
from lash_redis.app.process import AppContext, BlockingProcess, Process, outcome_in
from lash_redis.app.task import Task
from lash_redis.app.wait import End
from lash_redis.core.checks import checked_id
from lash_redis.core.current import current_process
from lash_redis.core.errors import SettingsError, UnknownProcess
from lash_redis.core.model import ProcessRegistration
from lash_redis.core.outcomes import Outcome
from lash_redis.registry.rows import Row

R = TypeVar("R")
T = TypeVar("T")

_MEMBER: Final = "the task of a member"


class Member(msgspec.Struct, frozen=True):
    """A member of a group: its process id, and how it ended (None: it has not, or that is not kept any more)."""

    id: str
    outcome: Outcome | None


class _Members:
    """What a group registers; the ids of its members are made of its own and of a number, unless they are chosen."""

    def __init__(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.task = checked_task("the task that continues a group", task)
        self.continuation = self.task.registration(args, kwargs, opens_group=True)
        self.number = 0
        self.is_registered = False

    @property
    def id(self) -> str:
        """The id of the process that continues the group."""
        return self.continuation.id

    def member(self, registration: ProcessRegistration) -> ProcessRegistration:
        """Return the registration of the next member."""
        chosen = registration.id if registration.chosen_id else f"{self.id}::{self.number}"
        self.number += 1
        return msgspec.structs.replace(registration, id=chosen, chosen_id=True, member_of=self.id)

    def check_entered(self) -> None:
        """Check that the block of the group was entered, which registers it.

        Raises:
            SettingsError: it was not.
        """
        if not self.is_registered:
            raise SettingsError(
                "expected a group whose block was entered, got one that is not registered yet: "
                "`async with lash.group(...) as group:` (`with`, without an event loop); wait for it after the block"
            )

    def left_open(self, error: BaseException) -> None:
        """Say on an error of the block what has become of the group, and what helps."""
        again = "the same block run again adds what is missing and closes it"
        alone = (
            f"lash-redis cancel {self.id} --by … gives it up. With options(process_id=...) on its task the same block "
            "could have been run again"
        )
        error.add_note(f"group {self.id!r} is held open: {again if self.continuation.chosen_id else alone}")


class Group(Generic[R]):
    """A group within ``async with``. The end of the block closes it; an error leaves it open."""

    def __init__(self, members: _Members, context: AppContext) -> None:
        self._members = members
        self._context = context

    @property
    def process(self) -> Process[R]:
        """The handle of the process that continues the group.

        Raises:
            SettingsError: the block was not entered, so that there is no process yet.
        """
        self._members.check_entered()
        return Process(self._context, self._members.id, known=True)

    async def _register(self, task: Task[..., Any], registrations: Sequence[ProcessRegistration]) -> None:
        registry = self._context.sessions.registry
        await registry.submit_many(registrations, self._context.terms_of(task.declaration, registrations))
        await self._context.unserved.look(registry, registrations[0])

    async def __aenter__(self) -> Self:
        await self._register(self._members.task, [self._members.continuation])
        self._members.is_registered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._members.left_open(error)
            return
        try:
            await self._close()
        except BaseException as refusal:
            self._members.left_open(refusal)
            raise

    async def _close(self) -> None:
        registry = self._context.sessions.registry
        try:
            await registry.close_group(self._members.id)
        except UnknownProcess:
            if await registry.tombstones([self._members.id]) == [None]:
                raise  # else it has ended and was forgotten: the same block again does nothing

    async def submit(self, task: Task[..., Any], /, *args: Any, **kwargs: Any) -> Process[Any]:
        """Register one member, and return its handle.

        Each call makes another member: if an answer is lost, run the block again instead of repeating the call.

        Raises:
            CannotJoinGroup: the group is closed or has ended, or the process is no member of it.
        """
        self._members.check_entered()
        member = self._members.member(checked_task(_MEMBER, task).registration(args, kwargs))
        await self._register(task, [member])
        return task.handle(member.id)

    async def submit_many(self, task: Task[..., Any], calls: Iterable[tuple[Any, ...]]) -> list[Process[Any]]:
        """Register one member for each tuple of arguments, and return their handles in that order.

        Raises:
            CannotJoinGroup: as for ``submit``.
        """
        self._members.check_entered()
        handles: list[Process[Any]] = []
        for batch in checked_task(_MEMBER, task).batches(calls):
            members = [self._members.member(each) for each in batch]
            with located([each.id for each in members], len(handles)):
                await self._register(task, members)
            handles += [task.handle(each.id) for each in members]
        return handles

    async def outcome(self, timeout: float | None = None) -> Outcome[R]:
        """Wait until the process that continues the group has ended, as ``Process.outcome`` does."""
        return await self.process.outcome(timeout)


class BlockingGroup(Generic[R]):
    """A group within ``with``, for code without an event loop: the same names, and each call blocks its thread."""

    def __init__(self, members: _Members, context: AppContext) -> None:
        self._members = members
        self._context = context

    @property
    def process(self) -> BlockingProcess[R]:
        """The handle of the process that continues the group.

        Raises:
            SettingsError: the block was not entered, so that there is no process yet.
        """
        self._members.check_entered()
        return BlockingProcess(self._context, self._members.id, known=True)

    def _register(self, task: Task[..., Any], registrations: Sequence[ProcessRegistration]) -> None:
        registry = self._context.sessions.blocking().registry
        registry.submit_many(registrations, self._context.terms_of(task.declaration, registrations))
        self._context.unserved.look_blocking(registry, registrations[0])

    def __enter__(self) -> Self:
        self._register(self._members.task, [self._members.continuation])
        self._members.is_registered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._members.left_open(error)
            return
        try:
            self._close()
        except BaseException as refusal:
            self._members.left_open(refusal)
            raise

    def _close(self) -> None:
        registry = self._context.sessions.blocking().registry
        try:
            registry.close_group(self._members.id)
        except UnknownProcess:
            if registry.tombstones([self._members.id]) == [None]:
                raise

    def submit(self, task: Task[..., Any], /, *args: Any, **kwargs: Any) -> BlockingProcess[Any]:
        """Do what ``Group.submit`` does."""
        self._members.check_entered()
        member = self._members.member(checked_task(_MEMBER, task).registration(args, kwargs))
        self._register(task, [member])
        return task.handle(member.id).blocking

    def submit_many(self, task: Task[..., Any], calls: Iterable[tuple[Any, ...]]) -> list[BlockingProcess[Any]]:
        """Do what ``Group.submit_many`` does."""
        self._members.check_entered()
        handles: list[BlockingProcess[Any]] = []
        for batch in checked_task(_MEMBER, task).batches(calls):
            members = [self._members.member(each) for each in batch]
            with located([each.id for each in members], len(handles)):
                self._register(task, members)
            handles += [task.handle(each.id).blocking for each in members]
        return handles

    def outcome(self, timeout: float | None = None) -> Outcome[R]:
        """Do what ``Group.outcome`` does."""
        return self.process.outcome(timeout)


def _member(context: AppContext, process_id: str, row: Row | None) -> Member:
    record = row.record() if row is not None and row.is_terminal else None
    if record is None or record.outcome is None:
        return Member(process_id, None)
    return Member(process_id, outcome_in(context, process_id, End.in_record(record)))


class GroupControls:
    """The part of ``Lash`` that is about several processes at once."""

    _context: AppContext

    def group(self, task: Task[..., R], /, *args: Any, **kwargs: Any) -> Group[Any]:
        """Return a group that a call of ``task`` continues, once all of its members have ended.

        Args:
            task: with ``options(if_failed="cancel")`` or ``"run"``: what becomes of it if a member does not complete.
                With a ``process_id`` the same block may run again, and completes the group.
            args: of the call.
            kwargs: of the call.
        """
        return Group(_Members(task, args, kwargs), self._context)

    async def members(self, process_id: str | None = None) -> AsyncIterator[Member]:
        """Iterate over the members of a group, in the order in which they joined, each with its outcome.

        A replay of the process that continues a group has the members of that group.

        Args:
            process_id: of the process that continues the group; None: the one that the calling code is a run of.

        Raises:
            UnknownProcess: no process has this id.
            OutcomePruned: it ended and was forgotten, and so was who its members were; ``status`` says how it ended.
        """
        of = current_process().id if process_id is None else checked_id("process_id", process_id)
        first = 0
        while (page := await self._context.sessions.registry.members(of, first)).ids:
            for each, row in zip(page.ids, page.rows, strict=True):
                yield _member(self._context, each, row)
            first += len(page.ids)


class BlockingGroupControls:
    """The same part of ``Lash.blocking``."""

    _context: AppContext

    def group(self, task: Task[..., R], /, *args: Any, **kwargs: Any) -> BlockingGroup[Any]:
        """Do what ``Lash.group`` does, for a ``with`` statement."""
        return BlockingGroup(_Members(task, args, kwargs), self._context)

    def members(self, process_id: str | None = None) -> Iterator[Member]:
        """Do what ``Lash.members`` does."""
        of = current_process().id if process_id is None else checked_id("process_id", process_id)
        first = 0
        while (page := self._context.sessions.blocking().registry.members(of, first)).ids:
            yield from map(partial(_member, self._context), page.ids, page.rows)
            first += len(page.ids)

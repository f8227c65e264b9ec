"""What a ``Lash`` does with many processes: cancel them, and submit them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, Unpack

from lash_redis.app.given_tasks import name_of
from lash_redis.app.process import AppContext
from lash_redis.app.task import Task
from lash_redis.core.durations import Duration, milliseconds
from lash_redis.core.fields import check_names
from lash_redis.core.model import CancelRequest, Phase, ProcessStatus
from lash_redis.core.timing import wall_ms
from lash_redis.recovery.living_starters import why_not_replayed
from lash_redis.registry.answers import BulkReport
from lash_redis.registry.calls.selecting import MOST, Which, phase_named, status_named


class ChosenProcesses(TypedDict, total=False):
    """Which processes are meant: all that is so, and is given."""

    queue: str | None
    task: Task[..., object] | str | None
    labels: Mapping[str, str]
    older_than: Duration | None  # since they were registered


class ManyControls:
    """The part of ``Lash`` that is about many processes."""

    _context: AppContext

    async def cancel_many(
        self,
        *,
        by: str,
        reason: str | None = None,
        phase: Phase | str | None = None,
        most: int = MOST,
        only_count: bool = False,
        **meant: Unpack[ChosenProcesses],
    ) -> BulkReport:
        """Ask for the work of many processes to stop. What nobody holds ends at once if recovery could run it again.

        What has a cancel request already is left out.

        Args:
            by: who asks, up to 256 bytes.
            reason: why, up to 4096 bytes.
            phase: only what is in this phase, such as ``"queued"``.
            most: how many at most; ``has_more`` of the report says that there are more.
            only_count: count them, and change nothing.
            **meant: which: all of a ``queue``, a ``task`` (or its name), with these ``labels``, and registered longer
                ago than ``older_than`` (seconds or a timedelta). One of these, or a phase, must be given.

        Raises:
            SettingsError: nothing says which processes are meant, or a value is outside what is allowed.
        """
        request = CancelRequest(by, wall_ms(), reason)
        registry = self._context.sessions.current().registry
        return await registry.cancel_many(request, _which(meant, phase), most=most, only_count=only_count)

    async def replay_many(
        self,
        state: ProcessStatus | str,
        *,
        most: int = MOST,
        only_count: bool = False,
        force: bool = False,
        **meant: Unpack[ChosenProcesses],
    ) -> BulkReport:
        """Submit again what ended in a state, each as a new process whose record names the old one (``replay_of``).

        The new id follows from the old one, so that the same replay sent again makes no second process. Of what was
        abandoned only what is resolved as ``did_not_happen`` or ``accepted`` is submitted, and not while its starter is
        provably alive on this machine. The oldest is submitted first. What waited for others when it was cancelled,
        what was replaced, and what does not fit into a bounded queue is left out; ``left_out`` of the report says why.

        Args:
            state: ``"failed"``, ``"cancelled"``, ``"completed"`` or ``"abandoned"``.
            most: how many at most; ``has_more`` of the report says that there are more.
            only_count: count them, and submit nothing.
            force: submit also what its living starter may still do, so that it may be done twice.
            **meant: which, as for ``cancel_many``; all of that state if nothing is given.

        Raises:
            SettingsError: a value is outside what is allowed.
        """
        registry = self._context.sessions.current().registry
        why_not = why_not_replayed(force=force)
        return await registry.replay_many(_which(meant, state=state), most=most, only_count=only_count, why_not=why_not)


class BlockingManyControls:
    """The same for code without an event loop."""

    _context: AppContext

    def cancel_many(
        self,
        *,
        by: str,
        reason: str | None = None,
        phase: Phase | str | None = None,
        most: int = MOST,
        only_count: bool = False,
        **meant: Unpack[ChosenProcesses],
    ) -> BulkReport:
        """Do what ``Lash.cancel_many`` does."""
        request = CancelRequest(by, wall_ms(), reason)
        registry = self._context.sessions.blocking().registry
        return registry.cancel_many(request, _which(meant, phase), most=most, only_count=only_count)

    def replay_many(
        self,
        state: ProcessStatus | str,
        *,
        most: int = MOST,
        only_count: bool = False,
        force: bool = False,
        **meant: Unpack[ChosenProcesses],
    ) -> BulkReport:
        """Do what ``Lash.replay_many`` does."""
        registry = self._context.sessions.blocking().registry
        why_not = why_not_replayed(force=force)
        return registry.replay_many(_which(meant, state=state), most=most, only_count=only_count, why_not=why_not)


def _which(meant: ChosenProcesses, phase: Phase | str | None = None, state: ProcessStatus | str | None = None) -> Which:
    check_names("a filter", meant, ChosenProcesses.__annotations__)
    older_than = meant.get("older_than")
    return Which(
        queue=meant.get("queue"),
        task=name_of(meant.get("task")),
        phase=None if phase is None else phase_named(phase),
        status=None if state is None else status_named(state),
        labels=meant.get("labels", {}),
        older_than_ms=None if older_than is None else milliseconds("older_than", older_than),
    )

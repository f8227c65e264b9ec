"""The worker: the door to one incarnation in each OS process that acts as it. One of the public classes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Unpack

from lash_redis.core.checks import checked_bool, refused
from lash_redis.core.errors import SettingsError
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import DrainReport
from lash_redis.recovery.last_writes import LastWrites
from lash_redis.recovery.sweep import SweepReport
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.catalogue import Catalogue, HasDeclaration
from lash_redis.tasks.declaration import Declaration
from lash_redis.worker.identity import Identity, default_owner
from lash_redis.worker.incarnation import Incarnation
from lash_redis.worker.probe import Probe
from lash_redis.worker.renewal import RenewalSource
from lash_redis.worker.run_contexts import RunContexts
from lash_redis.worker.settings import ChosenSettings, settings_from
from lash_redis.worker.signals import DrainStep, signals_that_drain


class Worker:
    """Claims, runs, keeps leases, writes, recovers and drains, on the running event loop.

    ``run``, ``drive_pending`` and ``drain`` may overlap. Constructing it checks its arguments and does no more. Its
    owner is minted in the OS process in which it first acts, and anew in a child made by ``os.fork`` (rule 2.8). So it
    may be made at module level, before a daemon or a server forks. Reading ``owner`` is acting.

    Args:
        registry: where the processes are.
        tasks: what ``@lash.task`` made; work of other tasks is left for workers that know them.
        owner: None: one of the OS process in which it acts. One that is given acts only in the OS process in which this
            ``Worker`` is made.
        renewal: who renews this worker's leases; None: a thread of this OS process.
        **settings: of ``WorkerSettings``: ``queues``, ``concurrency``, ``lease_ttl_ms`` and the other times, ms.

    Raises:
        SettingsError: a setting is unknown or outside what is allowed, or two tasks have one name. Where it first acts
            also: the owner that was given is of another OS process.
    """

    def __init__(
        self,
        registry: ProcessRegistry,
        tasks: Iterable[Declaration | HasDeclaration] = (),
        owner: LeaseOwner | None = None,
        *,
        renewal: RenewalSource | None = None,
        **settings: Unpack[ChosenSettings],
    ) -> None:
        if not isinstance(registry, ProcessRegistry):
            raise refused("registry", "a ProcessRegistry", registry)
        self.registry = registry
        if owner is not None and not isinstance(owner, LeaseOwner):
            raise refused("owner", "a LeaseOwner", owner)
        self.settings = settings_from(settings)
        self._catalogue = Catalogue(tasks)
        self._given_owner = owner
        self._renewal = renewal
        self._contexts = RunContexts()  # here: what its caller sets later is not meant for the runs
        self._made_in = os.getpid()
        self._incarnation: Incarnation | None = None

    async def run(self, *, signals: bool = False) -> None:
        """Claim and run until ``drain`` is called; of a worker that has drained return at once.

        Args:
            signals: SIGTERM and SIGINT (Ctrl-C) drain, and one more, a second or more later, hurries. The program goes
                on after the drain, whose report a call of ``drain`` returns. Then the handlers are those of before.
                A signal that the program ignores stays ignored: a script that starts it with ``&`` lets it ignore
                SIGINT, so that Ctrl-C is for the script alone. SIGTERM drains it there too.

        Raises:
            SettingsError: ``signals`` is neither True nor False, or True outside of the main thread.
            LashError: the server or the namespace is not what it must be, at the start.
            RecordedDead: others take this worker for dead; it has drained.
        """
        incarnation = self._here()
        with _drained_by(signals, incarnation):
            async with incarnation:
                await incarnation.run()

    async def drive_pending(self, *, signals: bool = False) -> SweepReport:
        """Sweep every partition, then claim once from each; return when what was claimed has ended.

        Args:
            signals: as for ``run``; of a worker that has drained the next call claims nothing.

        Raises:
            SettingsError: ``signals`` is neither True nor False, or True outside of the main thread.
            LashError: no answer, or a refusal; what was claimed meanwhile has ended all the same.
        """
        incarnation = self._here()
        with _drained_by(signals, incarnation):
            async with incarnation:
                return await incarnation.drive_pending()

    async def drain(self) -> DrainReport:
        """Leave gracefully; a second call waits for the same drain. ``run`` returns once it is done."""
        async with (here := self._here()):
            return await here.drain()

    def hurry(self) -> None:
        """Shorten the grace of a drain to nothing; it is still a drain."""
        self._here().hurry()

    @property
    def owner(self) -> LeaseOwner:
        """The owner under which this OS process acts.

        Raises:
            SettingsError: the owner that was given is of another OS process.
        """
        return self._here().identity.owner

    @property
    def is_draining(self) -> bool:
        """True once it claims no more."""
        return self._here().is_draining

    @property
    def unsent(self) -> LastWrites:
        """What a drain could not send before its time was over: whoever sees this OS process end may send it."""
        return self._here().unsent

    @property
    def probe(self) -> Probe:
        """The parts of this worker, for tests and views."""
        return self._here().probe

    def _here(self) -> Incarnation:
        """Return the incarnation of this OS process: a new one after a fork, or if its event loop was closed under it.

        Raises:
            SettingsError: the owner was given, and so cannot begin another life.
        """
        here = self._incarnation
        if here is None or not here.identity.is_here() or here.is_broken_off:
            here = self._incarnation = Incarnation(
                self.registry,
                self._catalogue,
                Identity(self._own()),
                self.settings,
                contexts=self._contexts,
                renewal=self._renewal,
            )
        return here

    def _own(self) -> LeaseOwner:
        is_given = self._given_owner is not None or self._renewal is not None
        if is_given and os.getpid() != self._made_in:
            raise SettingsError(
                f"expected a worker whose owner was given to act in the OS process that made it ({self._made_in}), "
                f"got {os.getpid()}: make the Worker after the fork, or give it no owner"
            )
        if is_given and self._incarnation is not None:
            raise SettingsError(
                "expected a worker whose owner was given to leave before its event loop is closed, got one whose event "
                "loop was closed while it ran: make a new Worker with another owner"
            )
        return self._given_owner or default_owner()


def _drained_by(signals: object, incarnation: Incarnation) -> AbstractContextManager[None]:
    if not checked_bool("signals", signals):
        return nullcontext()

    def on_step(step: DrainStep) -> None:
        if step is DrainStep.BEGIN:
            incarnation.begin_drain()
        else:
            incarnation.hurry()

    return signals_that_drain(on_step)

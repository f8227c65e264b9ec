"""One incarnation of a worker: its parts wired together, in the OS process that acts as it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterable
from types import TracebackType

from lash_redis.core.errors import LashError, RecordedDead, SettingsError
from lash_redis.core.events import WorkerHasNoTasks, WorkerReady
from lash_redis.core.model import DrainReport
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import call_later, within
from lash_redis.core.trouble import SURVIVED, Trouble
from lash_redis.recovery.last_writes import LastWrites
from lash_redis.recovery.sweep import Sweep, SweepReport
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.catalogue import Catalogue
from lash_redis.worker.changes import Changes
from lash_redis.worker.drain import Drain
from lash_redis.worker.forked_copy import runs_on
from lash_redis.worker.identity import Identity
from lash_redis.worker.inflight import InFlight
from lash_redis.worker.lease_keeper import Renewal
from lash_redis.worker.loops.checking_server import Checking
from lash_redis.worker.loops.claiming import Claiming
from lash_redis.worker.loops.leaving import Leaving
from lash_redis.worker.loops.looking import Looking
from lash_redis.worker.loops.loop import Loop, lasting, repeat
from lash_redis.worker.loops.polling import Polling
from lash_redis.worker.loops.retaining import Retaining
from lash_redis.worker.loops.sweeping import Sweeping
from lash_redis.worker.probe import Probe
from lash_redis.worker.renewal import RenewalSource, RenewalThread
from lash_redis.worker.run_contexts import RunContexts
from lash_redis.worker.services import Service, Services
from lash_redis.worker.settings import WorkerSettings
from lash_redis.worker.stillness import Stillness
from lash_redis.worker.wakeups import WakeUps

_ANSWER_WITHIN_S = 0.25  # for the answer to a claim on its way, once the grace is over
_LEAST_OPENING_MS = 500  # for a drain to reach the server, where its grace is over already


class Incarnation:
    """What ``Worker`` does, for one owner in one OS process.

    Args:
        registry: where the processes are.
        catalogue: the tasks.
        identity: under which it acts, and in which OS process.
        settings: of the worker.
        contexts: makes the context variables of runs.
        renewal: who renews its leases; None: a thread of this OS process.
    """

    def __init__(
        self,
        registry: ProcessRegistry,
        catalogue: Catalogue,
        identity: Identity,
        settings: WorkerSettings,
        *,
        contexts: RunContexts,
        renewal: RenewalSource | None,
    ) -> None:
        self.registry = registry
        self.identity = identity
        self._task_count = catalogue.task_count
        self._settings = settings
        self._changes = Changes()
        self._trouble = Trouble("renew")
        self._services = Services(self._shared_services, self._stop_keeping, self._leave_for)
        self._in_flight = InFlight(
            registry,
            catalogue,
            identity,
            settings,
            contexts,
            on_change=self._changes.notify,
            start=self._services.start,
        )
        digest = owner_digest(identity.owner)
        self._renewal = renewal or RenewalThread(registry, digest, settings.lease_ttl_ms)
        stillness = Stillness(self._in_flight.claimer, self._changes, settings.poll_ms)
        self._sweep = Sweep(registry, identity.owner, self._in_flight, on_glance=stillness.glanced)
        self._claiming = Claiming(self._in_flight, self._changes)
        self._looking = Looking(registry, self._in_flight, self._changes, stillness, settings.poll_ms)
        self._wake_ups = WakeUps(
            registry,
            self._in_flight,
            self._claiming,
            self._changes,
            looking=self._looking,
            start=self._services.start,
        )
        self._loops: tuple[Loop, ...] = (
            Sweeping(self._sweep, identity, settings.sweep_ms),
            Polling(registry, self._in_flight.claimer, self._changes, stillness, settings.poll_ms),
            self._looking,
            Checking(registry, self._claiming),
            Retaining(registry, identity, settings),
        )
        self._drain_steps = Drain(registry, identity, settings, self._in_flight, self._changes, looking=self._looking)
        self._claims: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[DrainReport] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._acts = 0

    @property
    def is_broken_off(self) -> bool:
        """Its event loop was closed while it acted, so that nothing of it has ended in order."""
        return self._acts > 0 and self._loop is not None and self._loop.is_closed()

    async def __aenter__(self) -> None:
        """Act on the running event loop, and be a user of the registry there (rule 11.8).

        Raises:
            SettingsError: it acts on another event loop now.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._acts:
                raise SettingsError(
                    "expected a Worker to act on one event loop at a time, got one that acts on another now: "
                    "make a Worker for each event loop, or drain this one by asyncio.run_coroutine_threadsafe(...)"
                )
            self._loop = loop
            self._in_flight.runner.take_over()
        self._acts += 1
        self.registry.join()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._loop is not None and not self._loop.is_closed():  # else its tasks are only being collected
            self._acts -= 1
            await self.registry.part()

    async def run(self) -> None:
        """Claim and run until ``drain`` is called.

        Raises:
            LashError: the server or the namespace is not what it must be, at the start.
            RecordedDead: others take this worker for dead; it has drained.
        """
        runs_on(asyncio.get_running_loop())
        await self.registry.open()
        async with self._services:
            for loop in self._loops:
                self._services.start(repeat(loop))
            if self._settings.leaves_when_empty:
                delayed = self._settings.burst_delayed
                leaving = Leaving(self.registry, self._in_flight, self.begin_drain, waits_for_delayed=delayed)
                self._services.start(repeat(leaving))
            listen = functools.partial(self._wake_ups.listen, owner_digest(self.identity.owner))
            self._services.start(lasting("listen", listen))
            self._services.start(lasting("reconcile", self._in_flight.scheduling.reconcile))
            emit(
                WorkerReady(
                    owner=self.identity.owner.owner_id,
                    incarnation=self.identity.owner.incarnation_id,
                    queues=",".join(self._settings.queues),
                    concurrency=self._settings.concurrency,
                )
            )
            if not self._task_count:
                emit(WorkerHasNoTasks(owner=self.identity.owner.owner_id))
            self._claims = asyncio.get_running_loop().create_task(lasting("claim", self._claiming.run))
            try:
                await asyncio.wait([self._claims])
                if not self._claims.cancelled() and (fault := self._claims.exception()) is not None:
                    self._services.fail(fault)
                if self._draining is not None:
                    await asyncio.shield(self._draining)
            except asyncio.CancelledError:
                # Whoever cancels this gets no drain, but nothing goes on running under a lease that nobody renews.
                self._in_flight.stop_all()
                self._services.adopt(self._claims)
                raise
        if self._services.fault is not None:
            raise self._services.fault

    async def drive_pending(self) -> SweepReport:
        """Sweep every partition, then claim once from each; return when what was claimed has ended.

        Raises:
            LashError: no answer, or a refusal; what was claimed meanwhile has ended all the same.
        """
        if self._draining is not None:
            await self.drain()
            return SweepReport()
        runs_on(asyncio.get_running_loop())
        await self.registry.open()
        async with self._services:
            report = await self._sweep.run_once()
            await self._looking.step()
            await self._in_flight.scheduling.reconcile()
            try:
                for partition in range(self.registry.partitions):
                    while self._in_flight.room <= 0 and self._draining is None:
                        await self._changes.wait()
                    if is_alone := self._claims is None:  # nothing follows that would serve what changes meanwhile
                        self._in_flight.lanes.renew(at_once=True)
                    await self._in_flight.claim(partition, once=is_alone)
            except RecordedDead:
                self.begin_drain()
                raise
            except asyncio.CancelledError:
                self._in_flight.stop_all()
                raise
            finally:
                await self._until_written()
            if self._services.fault is not None:
                await self.drain()
                raise self._services.fault
        return report

    async def drain(self) -> DrainReport:
        """Leave gracefully; a second call waits for the same drain. ``run`` returns once it is done."""
        return await asyncio.shield(self.begin_drain())

    def begin_drain(self) -> asyncio.Task[DrainReport]:
        """Begin to leave, once, and return what does it."""
        if self._draining is None or self._draining.cancelled():  # by the end of its event loop
            self._draining = asyncio.get_running_loop().create_task(self._drain())
        return self._draining

    def hurry(self) -> None:
        """Shorten the grace of a drain to nothing; it is still a drain."""
        self._drain_steps.hurry()
        if self._draining is not None and self._claims is not None:
            call_later(self._claims.get_loop(), _ANSWER_WITHIN_S, self._claims.cancel)

    @property
    def unsent(self) -> LastWrites:
        """What could not be sent yet."""
        return self._in_flight.outbox.unsent

    @property
    def is_draining(self) -> bool:
        """True once it claims no more."""
        return self._draining is not None

    @property
    def probe(self) -> Probe:
        """The parts of this worker, for tests and views."""
        return Probe(self._in_flight, self._claiming, self._wake_ups, self._looking, self._sweep, self._changes)

    async def _until_written(self) -> None:
        """Wait until what was begun has ended and is written, or nothing is left that could write it."""
        while self._services.fault is None and (self._in_flight.roster.running or not self._in_flight.outbox.is_empty):
            if self._draining is not None:
                await self.drain()
                return
            await self._changes.wait()

    async def _drain(self) -> DrainReport:
        self._drain_steps.begin()
        self._in_flight.claimer.leave()
        self.identity.check()
        try:
            await within(max(self._drain_steps.grace_left_ms, _LEAST_OPENING_MS), self.registry.open())
        except (LashError, TimeoutError):
            return DrainReport()  # it never reached the server, and so holds nothing
        async with self._services:
            self._changes.notify()
            if self._claims is not None and not self._claims.done():  # one of another event loop has ended
                grace_s = self._drain_steps.grace_left_ms / 1000
                await asyncio.wait([self._claims], timeout=max(grace_s, _ANSWER_WITHIN_S))
                self._claims.cancel()  # a server that hangs: what its claim started is given back as never begun
            return await self._drain_steps.run()

    # ── services ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _shared_services(self) -> Iterable[Service]:
        """Write results, watch trust and renew leases, whichever method is at work."""
        self._renewal.start(self._apply)
        return lasting("write", self._in_flight.outbox.run), lasting("watch trust", self._in_flight.keeper.run)

    def _stop_keeping(self) -> None:
        # Leases are kept until the last service that needs them has ended, so the renewal stops last.
        self._renewal.stop()
        self._in_flight.runner.close()

    def _leave_for(self, _fault: BaseException) -> None:
        """Leave in order rather than go on without a part."""
        if self.identity.is_here():
            self.begin_drain()
        self._changes.notify()

    def _apply(self, renewal: Renewal) -> None:
        try:
            self._in_flight.keeper.apply(renewal)
        except SURVIVED as error:  # the next renewal says the same
            self._trouble.met(error)
        self._changes.notify()

"""The worker: wires claims, runs, loops and the drain of one owner together. One of the public classes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Unpack

from lash_redis.core.errors import LashError, SettingsError
from lash_redis.core.events import WorkerReady
from lash_redis.core.liveness import LeaseOwner, node_name
from lash_redis.core.model import DrainReport
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import new_incarnation_id, within
from lash_redis.recovery.sweep import Sweep, SweepReport
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.listening import listen
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.catalogue import Catalogue, HasDeclaration
from lash_redis.tasks.declaration import Declaration
from lash_redis.worker.changes import Changes
from lash_redis.worker.drain import Drain
from lash_redis.worker.inflight import InFlight
from lash_redis.worker.lease_keeper import Renewal
from lash_redis.worker.loops.checking_server import Checking
from lash_redis.worker.loops.claiming import Claiming
from lash_redis.worker.loops.loop import Loop, repeat
from lash_redis.worker.loops.polling import Polling
from lash_redis.worker.loops.sweeping import Sweeping
from lash_redis.worker.probe import Probe
from lash_redis.worker.renewal import RenewalSource, RenewalThread
from lash_redis.worker.services import Service, Services
from lash_redis.worker.settings import ChosenSettings, settings_from
from lash_redis.worker.wakeups import WakeUps

_LEAST_OPENING_MS = 500  # for a drain to reach the server, where its grace is over already


def default_owner(slot: str = "embedded") -> LeaseOwner:
    """Return an owner of this OS process: named after the machine and a slot, with an incarnation of its own."""
    return LeaseOwner.local_process(f"{node_name()}/{slot}", new_incarnation_id())


class Worker:
    """Claims, runs, keeps leases, writes, recovers and drains, on the running event loop.

    ``run``, ``drive_pending`` and ``drain`` may overlap.

    Args:
        registry: where the processes are.
        tasks: what ``@lash.task`` made; work of other tasks is left for workers that know them.
        owner: None: one of this OS process. A ``LeaseOwner`` of another OS process would prove nothing.
        renewal: who renews this worker's leases; None: a thread of this OS process.
        **settings: of ``WorkerSettings``: ``queues``, ``concurrency``, ``lease_ttl_ms`` and the other times, ms.

    Raises:
        SettingsError: a setting is unknown or outside what is allowed, or two tasks have one name.
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
            raise SettingsError(f"expected registry to be a ProcessRegistry, got {registry!r}")
        self.registry = registry
        if owner is not None and not isinstance(owner, LeaseOwner):
            raise SettingsError(f"expected owner to be a LeaseOwner, got {owner!r}")
        self.settings = settings_from(settings)
        self.owner = owner or default_owner()
        self._changes = Changes()
        self._in_flight = InFlight(registry, Catalogue(tasks), self.owner, self.settings, self._changes.notify)
        self._renewal = renewal or RenewalThread(registry, owner_digest(self.owner), self.settings.lease_ttl_ms)
        self._services = Services(self._shared_services, self._stop_keeping, self._leave_for)
        self._sweep = Sweep(registry, self.owner, self._in_flight)
        self._claiming = Claiming(self._in_flight, self._changes, self.settings.poll_ms)
        self._wake_ups = WakeUps(registry, self._in_flight, self._claiming, self._changes, self._services.start)
        self._loops: tuple[Loop, ...] = (
            Sweeping(self._sweep, self.settings.sweep_ms),
            Polling(self._in_flight.claimer, self._changes, self.settings.poll_ms),
            Checking(registry, self._claiming),
        )
        self._drain_steps = Drain(registry, self.owner, self.settings, self._in_flight, self._changes)
        self._claims: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[DrainReport] | None = None

    async def run(self) -> None:
        """Claim and run until ``drain`` is called.

        Raises:
            LashError: the server or the namespace is not what it must be, at the start.
        """
        await self.registry.open()
        async with self._services:
            for loop in self._loops:
                self._services.start(repeat(loop))
            self._services.start(
                listen(self.registry, owner_digest(self.owner), self._wake_ups.received, self._wake_ups.subscribed)
            )
            emit(
                WorkerReady(
                    owner=self.owner.owner_id,
                    incarnation=self.owner.incarnation_id,
                    queues=",".join(self.settings.queues),
                    concurrency=self.settings.concurrency,
                )
            )
            self._claims = asyncio.get_running_loop().create_task(self._claiming.run())
            try:
                await asyncio.wait([self._claims])
                if not self._claims.cancelled():
                    self._claims.result()
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
            RegistryUnavailable: no answer; what was claimed meanwhile has ended all the same.
        """
        if self._draining is not None:
            await self.drain()
            return SweepReport()
        await self.registry.open()
        async with self._services:
            report = await self._sweep.run_once()
            try:
                for partition in range(self.registry.partitions):
                    while self._in_flight.room <= 0 and self._draining is None:
                        await self._changes.wait()
                    await self._in_flight.claim(partition)
            finally:
                await self._until_written()
            if self._services.fault is not None:
                await self.drain()
                raise self._services.fault
        return report

    async def drain(self) -> DrainReport:
        """Leave gracefully; a second call waits for the same drain. ``run`` returns once it is done."""
        return await asyncio.shield(self._begin_drain())

    def hurry(self) -> None:
        """Shorten the grace of a drain to nothing; it is still a drain."""
        self._drain_steps.hurry()

    @property
    def is_draining(self) -> bool:
        """True once it claims no more."""
        return self._draining is not None

    @property
    def probe(self) -> Probe:
        """The parts of this worker, for tests and views."""
        return Probe(self._in_flight, self._claiming, self._wake_ups, self._sweep, self._changes)

    async def _until_written(self) -> None:
        """Wait until what was begun has ended and is written, or nothing is left that could write it."""
        while self._services.fault is None and (self._in_flight.roster.running or not self._in_flight.outbox.is_empty):
            if self._draining is not None:
                await self.drain()
                return
            await self._changes.wait()

    def _begin_drain(self) -> asyncio.Task[DrainReport]:
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain())
        return self._draining

    async def _drain(self) -> DrainReport:
        self._drain_steps.begin()
        self._in_flight.claimer.leave()
        try:
            await within(max(self._drain_steps.grace_left_ms, _LEAST_OPENING_MS), self.registry.open())
        except (LashError, TimeoutError):
            return DrainReport()  # it never reached the server, and so holds nothing
        async with self._services:
            self._changes.notify()
            if self._claims is not None:
                await asyncio.wait([self._claims], timeout=self._drain_steps.grace_left_ms / 1000)
                self._claims.cancel()  # a server that hangs: the drain asks for the answer to its claim once more
            return await self._drain_steps.run()

    # ── services ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _shared_services(self) -> Iterable[Service]:
        """Write results, watch trust and renew leases, whichever method is at work."""
        self._renewal.start(self._apply)
        return self._in_flight.outbox.run(), self._in_flight.keeper.run()

    def _stop_keeping(self) -> None:
        # Leases are kept until the last service that needs them has ended, so the renewal stops last.
        self._renewal.stop()
        self._in_flight.runner.close()

    def _leave_for(self, _fault: BaseException) -> None:
        """Leave in order rather than go on without a part: a bug of ours, or a refusal of the server."""
        self._begin_drain()
        self._changes.notify()

    def _apply(self, renewal: Renewal) -> None:
        self._in_flight.keeper.apply(renewal)
        self._changes.notify()

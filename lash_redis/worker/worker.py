"""The worker: when to claim, when to sweep, how to leave. One of the three doors of lash-redis."""

from __future__ import annotations

import asyncio
import platform
import re
from collections.abc import Coroutine, Iterable
from typing import Any

from lash_redis.core.errors import LashError, RegistryUnavailable, SettingsError, UnsafeServerError
from lash_redis.core.events import WorkerReady, WorkerStoppedClaiming, WorkerUnavailable
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import DrainReport
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import backoff, jittered, new_incarnation_id, sleep
from lash_redis.recovery.leftovers import in_time
from lash_redis.recovery.sweep import Sweep, SweepReport
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.listening import listen
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.catalogue import Catalogue, HasDeclaration
from lash_redis.tasks.declaration import Declaration
from lash_redis.worker.drain import Drain
from lash_redis.worker.inflight import InFlight
from lash_redis.worker.keeper import Renewal
from lash_redis.worker.renewal import RenewalSource, RenewalThread
from lash_redis.worker.settings import WorkerSettings

_CHECK_SERVER_EVERY_S = 60.0
_ASK_AGAIN_S = 0.25


def default_owner(slot: str = "embedded") -> LeaseOwner:
    """Return an owner of this OS process: named after the machine and a slot, with an incarnation of its own."""
    node = re.sub(r"[^A-Za-z0-9._-]", "-", platform.node())[:128] or "host"
    return LeaseOwner.local_process(f"{node}/{slot}", new_incarnation_id())


class Worker:
    """Claims, runs, keeps leases, writes, recovers and drains, in the running event loop (design, section 10).

    Args:
        registry: where the processes are.
        tasks: what ``@lash.task`` made; work of other tasks is left for workers that know them.
        owner: None: one of this OS process. A ``LeaseOwner`` of another OS process would prove nothing.
        queues: served in this order.
        concurrency: runs at a time, ``async`` and plain together.
        lease_ttl_ms: at least 1,000.
        renewal: who renews this worker's leases; None: a thread of this OS process.
        **times: the other times of ``WorkerSettings``, ms.

    Raises:
        SettingsError: a value is outside what is allowed, or two tasks have one name.
    """

    def __init__(
        self,
        registry: ProcessRegistry,
        tasks: Iterable[Declaration | HasDeclaration] = (),
        owner: LeaseOwner | None = None,
        *,
        queues: Iterable[str] = ("default",),
        concurrency: int = 64,
        lease_ttl_ms: int = 30_000,
        renewal: RenewalSource | None = None,
        **times: int,
    ) -> None:
        if not isinstance(registry, ProcessRegistry):
            raise SettingsError(f"expected registry to be a ProcessRegistry, got {registry!r}")
        self.registry = registry
        if isinstance(queues, str):
            raise SettingsError(f"expected queues to be a sequence of names, got {queues!r}")
        if owner is not None and not isinstance(owner, LeaseOwner):
            raise SettingsError(f"expected owner to be a LeaseOwner, got {owner!r}")
        try:
            self.settings = WorkerSettings(
                queues=tuple(queues), concurrency=concurrency, lease_ttl_ms=lease_ttl_ms, **times
            )
        except TypeError as error:
            raise SettingsError(str(error)) from None
        self.owner = owner or default_owner()
        digest = owner_digest(self.owner)
        self._in_flight = InFlight(registry, Catalogue(tasks), self.owner, self.settings, self._changed)
        self._sweep = Sweep(registry, self.owner, self._in_flight)
        self._renewal = renewal or RenewalThread(registry, digest, lease_ttl_ms)
        self._digest = digest
        self._services: list[asyncio.Task[None]] = []
        self._users = 0
        self._opening = asyncio.Lock()
        self._claiming: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[DrainReport] | None = None
        self._phases = Drain(registry, self.owner, self.settings, self._in_flight)
        self._change = asyncio.Event()
        self._refused = ""
        self._server_is_unsafe = False
        self._fault: BaseException | None = None

    # ── the doors ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Claim and run until ``drain`` is called.

        Raises:
            LashError: the server or the namespace is not what it must be, at the start.
        """
        await self.registry.open()
        await self._start_services()
        self._serve(self._sweep_for_ever(), self._poll_for_ever(), self._check_server_for_ever())
        self._serve(listen(self.registry, self._digest, self._told, self._subscribed))
        emit(
            WorkerReady(
                owner=self.owner.owner_id,
                incarnation=self.owner.incarnation_id,
                queues=",".join(self.settings.queues),
                concurrency=self.settings.concurrency,
            )
        )
        self._claiming = asyncio.get_running_loop().create_task(self._claim_for_ever())
        try:
            await asyncio.wait([self._claiming])
            if not self._claiming.cancelled():
                self._claiming.result()
            if self._draining is not None:
                await asyncio.shield(self._draining)
        except asyncio.CancelledError:
            # Whoever cancels this gets no drain, but nothing runs on whose lease nobody keeps.
            self._in_flight.stop_all()
            self._services.append(self._claiming)
            raise
        finally:
            await self._stop_services()
        if self._fault is not None:
            raise self._fault

    async def drive_pending(self) -> SweepReport:
        """Sweep every partition, then claim once from each; return when what was claimed has ended.

        Raises:
            RegistryUnavailable: no answer; what was claimed meanwhile has ended all the same.
        """
        if self._draining is not None:
            await self.drain()
            return SweepReport()
        await self.registry.open()
        await self._start_services()
        try:
            report = await self._sweep.run_once()
            try:
                for partition in range(self.registry.partitions):
                    while self._in_flight.room <= 0 and self._draining is None:
                        await self._changes()
                    await self._in_flight.claim(partition)
            finally:
                await self._until_written()
            if self._fault is not None:
                await self.drain()
                raise self._fault
        finally:
            await self._stop_services()
        return report

    async def _until_written(self) -> None:
        """Wait until what was begun has ended and is written, or nobody is left who could write it."""
        while self._fault is None and (self._in_flight.roster.running or not self._in_flight.outbox.is_empty):
            if self._draining is not None:
                await self.drain()
                return
            await self._changes()

    async def drain(self) -> DrainReport:
        """Leave gracefully (design, section 5): twice is the same drain. ``run`` returns once it is done."""
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain())
        return await asyncio.shield(self._draining)

    def hurry(self) -> None:
        """Shorten the grace of a drain to nothing; it is still a drain."""
        self._phases.hurry()

    @property
    def is_draining(self) -> bool:
        """True once it claims no more."""
        return self._draining is not None

    @property
    def _may_claim(self) -> bool:
        return self._in_flight.room > 0 and self._in_flight.keeper.may_claim and not self._server_is_unsafe

    # ── claiming ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _claim_for_ever(self) -> None:
        claimer = self._in_flight.claimer
        claimer.everything()
        failures = 0
        while self._draining is None:
            partition = claimer.next_hungry() if self._may_claim or claimer.unanswered else None
            if partition is None:
                await self._changes()
                continue
            try:
                await self._in_flight.claim(partition)
            except RegistryUnavailable as error:
                failures += 1
                emit(WorkerUnavailable(operation="claim", reason=str(error)))
                await self._changes(within_s=jittered(backoff(failures, 0.05, 2.0), 0.2))
            except LashError as error:
                self._refuse(error)
                claimer.hungry.clear()
                await self._changes(within_s=self.settings.poll_ms / 1000)
            else:
                failures, self._refused = 0, ""

    def _refuse(self, error: LashError) -> None:
        """Say once that the namespace or the server is not what it was; the slow poll looks again."""
        if self._refused != str(error):
            self._refused = str(error)
            emit(WorkerStoppedClaiming(reason=str(error)))

    async def _poll_for_ever(self) -> None:
        while True:
            await sleep(jittered(self.settings.poll_ms / 1000, 0.33))
            self._subscribed()

    def _subscribed(self) -> None:
        """Look everywhere: what was published before is lost."""
        self._in_flight.claimer.everything()
        self._changed()

    def _told(self, partition: int, text: str) -> None:
        what, _, name = text.partition(" ")
        if what == "request":
            self._in_flight.look_at_request(name)
        elif what == "lane":
            serves = name in self._in_flight.lanes and self._draining is None
            if serves:
                # Also while it may not claim: there may be nobody to pass it on to.
                self._in_flight.claimer.hungry.add(partition)
                self._changed()
            if not serves or not self._may_claim:
                self._serve(self._pass_on(partition, name))

    async def _pass_on(self, partition: int, lane: str) -> None:
        """Pass a wake-up on: another worker may serve the lane that this one cannot, or not now (design, section 6)."""
        try:
            await self.registry.wake(partition, lane)
        except RegistryUnavailable as error:
            emit(WorkerUnavailable(operation="wake", reason=str(error)))
        # Being told took it from among the idle. It asks again, but not so soon that it would be told of this again.
        await sleep(jittered(_ASK_AGAIN_S, 0.5))
        self._in_flight.claimer.hungry.add(partition)
        self._changed()

    # ── recovery ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _sweep_for_ever(self) -> None:
        while True:
            await sleep(jittered(self.settings.sweep_ms / 1000, 0.2))
            try:
                await self._sweep.run_once()
            except RegistryUnavailable as error:
                emit(WorkerUnavailable(operation="sweep", reason=str(error)))

    async def _check_server_for_ever(self) -> None:
        while True:
            await sleep(jittered(_CHECK_SERVER_EVERY_S, 0.2))
            try:
                await self.registry.check_server()
            except UnsafeServerError as error:
                self._server_is_unsafe = True
                self._refuse(error)
            except RegistryUnavailable as error:
                emit(WorkerUnavailable(operation="check", reason=str(error)))
            else:
                self._server_is_unsafe = False
                self._changed()

    def _apply(self, renewal: Renewal) -> None:
        self._in_flight.keeper.apply(renewal)
        self._changed()

    # ── leaving ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _drain(self) -> DrainReport:
        self._phases.begin()
        self._in_flight.claimer.leave()
        try:
            await in_time(self.registry.open(), max(self._phases.grace_left_ms, 500))
        except (LashError, TimeoutError):
            return DrainReport()  # it never reached the server, and so holds nothing
        await self._start_services()
        self._changed()
        if self._claiming is not None:
            await asyncio.wait([self._claiming], timeout=self._phases.grace_left_ms / 1000)
            self._claiming.cancel()  # a server that hangs: the answer to its claim is asked for once more
        try:
            return await self._phases.leave(self._changes)
        finally:
            await self._stop_services()

    # ── services ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _start_services(self) -> None:
        """Start what every door needs: results are written, trust is watched, leases are renewed."""
        async with self._opening:
            self._users += 1
            if self._users == 1:
                self._serve(self._in_flight.outbox.run(), self._in_flight.keeper.run())
                self._renewal.start(self._apply)

    def _serve(self, *loops: Coroutine[Any, Any, None]) -> None:
        for loop in loops:
            task = asyncio.get_running_loop().create_task(loop)
            self._services.append(task)
            task.add_done_callback(self._service_ended)

    def _service_ended(self, task: asyncio.Task[None]) -> None:
        if task in self._services:
            self._services.remove(task)
        if not task.cancelled() and task.exception() is not None and self._fault is None:
            # A bug of ours, or a refusal of the server: leave in order rather than run half.
            self._fault = task.exception()
            if self._draining is None:
                self._draining = asyncio.get_running_loop().create_task(self._drain())
            self._changed()

    async def _stop_services(self) -> None:
        """Leases are kept until the last thing that needs them has gone, so the renewal stops last.

        The doors may be open at once: the last one that closes stops what all need.
        """
        async with self._opening:
            self._users -= 1
            if self._users > 0:
                return
            services, self._services = set(self._services), []
            while services:
                for task in services:
                    task.cancel()
                # Again until it has ended: the `wait_for` of Python 3.11, which redis-py uses, can swallow a cancel.
                _, services = await asyncio.wait(services, timeout=0.25)
            self._renewal.stop()
            self._in_flight.runner.close()

    def _changed(self) -> None:
        self._change.set()

    async def _changes(self, within_s: float | None = None) -> None:
        """Wait until something changed: a slot is free, a wake-up came, a drain begins."""
        try:
            async with asyncio.timeout(within_s):
                await self._change.wait()
        except TimeoutError:
            return
        self._change.clear()

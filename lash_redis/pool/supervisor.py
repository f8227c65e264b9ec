"""The supervisor: keeps its slots filled, renews for the living worker processes, and drains the pool.

It is one event loop in the main thread of an OS process that never imports user code.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from functools import partial

import msgspec

from lash_redis.core.events import (
    PoolDrained,
    PoolFault,
    PoolOtherLash,
    PoolQueuesWithoutTasks,
    PoolServing,
    PoolSignal,
    PoolStarted,
    PoolVersionDiffers,
    PoolWaiting,
)
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import DrainReport
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import boottime_ms, call_later, new_incarnation_id
from lash_redis.pool.connection import PoolConnection
from lash_redis.pool.deaths import merged
from lash_redis.pool.drain import PoolDrain
from lash_redis.pool.first_words import FirstWords
from lash_redis.pool.life import Life
from lash_redis.pool.messages import DEFERRED, FAULT, VERSION, Fatal, Serves
from lash_redis.pool.osprocess import Spawn, reap_orphans, spawn
from lash_redis.pool.pool import LifeEnd
from lash_redis.pool.renewal import Renewer
from lash_redis.pool.settings import PoolSettings
from lash_redis.pool.signals import signals_handled
from lash_redis.pool.slot import Slot
from lash_redis.pool.starts import Starts
from lash_redis.pool.streams import stacks_of_threads
from lash_redis.pool.watch import described, keep_running
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.services import Services
from lash_redis.worker.signals import DrainStep, SignalCounter

_INIT = 1  # the pid that inherits every orphan of its namespace


class PoolEnd(msgspec.Struct, frozen=True):
    """How a pool ended.

    Attributes:
        exit_code: of the pool (rule 7.5).
        report: of its drain, None if it never had anything to drain.
        text: why it ended without having been asked to, empty if it was.
    """

    exit_code: int
    report: DrainReport | None
    text: str = ""


def pool_end(ends: list[LifeEnd], fatal: Fatal | None) -> PoolEnd:
    """Return how a pool ended.

    Args:
        ends: how each of its slots ended.
        fatal: why it could not start or go on, None if it could.
    """
    report = merged(*(end.report for end in ends))
    if fatal is not None:
        return PoolEnd(fatal.exit_code, None if report == DrainReport() else report, fatal.text)
    if any(end.is_fault for end in ends):
        return PoolEnd(FAULT, report)
    return PoolEnd(DEFERRED if report.deferred else 0, report)


class Supervisor:
    """One pool, from its start to the end of its drain.

    Args:
        settings: of the pool.
        announce: shows one line to the user who started the pool.
        start: starts a worker process; a simulation passes another function.
    """

    def __init__(self, settings: PoolSettings, announce: Callable[[str], object], start: Spawn = spawn) -> None:
        self.settings = settings
        self.supervisor = LeaseOwner.local_process(settings.owner_id("supervisor"), new_incarnation_id())
        self.connection = PoolConnection()
        self.drain = PoolDrain(settings.worker)
        self.first_words = FirstWords()
        self._announce = announce
        self._signals = SignalCounter()
        self._slots = [Slot(self, str(number + 1), start) for number in range(settings.workers)]
        self._services = Services(tuple, lambda: None, self._on_fault)
        self._starts = Starts()
        self._serves = Serves()
        self._other_versions: set[str] = set()
        self._fatal: Fatal | None = None

    async def run(self) -> PoolEnd:
        """Run the pool until a signal asks it to drain and all its worker processes have ended."""
        with signals_handled(self._on_signal):
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored, the status of a child is lost
            if os.getpid() == _INIT:
                asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap_orphans)
            self.first_words.tell(
                PoolStarted(
                    pid=os.getpid(), workers=self.settings.workers, must_allow_s=self.settings.worker.must_allow_s
                )
            )
            try:
                async with self._services:
                    ends = await asyncio.gather(*map(self._run_slot, self._slots))
            finally:
                await self.connection.aclose()
        end = pool_end(ends, self._fatal or self._starts.fatal)
        report = end.report or DrainReport()
        self.first_words.tell(
            PoolDrained(
                abandoned=report.abandoned,
                deferred=report.deferred,
                released=report.released,
                finished=report.finished,
            )
        )
        return end

    async def _run_slot(self, slot: Slot) -> LifeEnd:
        """Return how a slot ended. After a bug in one slot the others drain."""
        try:
            return await slot.run()
        except Exception as error:  # noqa: BLE001 - a bug, which must not leave the other slots alone
            self._on_fault(error)
            return LifeEnd("not known", is_fault=True)

    def _on_fault(self, fault: BaseException) -> None:
        """Leave in order rather than go on without a part, and say why."""
        if self._fatal is None:
            self._fatal = Fatal(f"the pool ended by a fault: {described(fault)}", FAULT)
        self.first_words.begin()
        emit(PoolFault(part="pool", reason=described(fault)))
        self._drain()

    # ── what its worker processes report ───────────────────────────────────────────────────────────────────────────

    def on_registry_opened(self, registry: ProcessRegistry) -> None:
        """Begin to renew, before any worker process may claim, and announce the pool."""
        self._starts.on_answer()
        worker = self.settings.worker
        renewer = Renewer(registry, self._renewed_lives, worker.lease_ttl_ms, self.connection.revive_server)
        self._services.start(keep_running("renewal", renewer.run))
        server = registry.server
        self._announce(
            f"pool {os.getpid()}: {_counted(self.settings.workers, 'worker process', 'es')} "
            f"for {','.join(worker.queues)} of namespace {registry.namespace} on {registry.address.shown} "
            f"({f'{server.version}, durability: {server.durability}' if server is not None else 'unknown'}); "
            f"{_counted(self._serves.task_count, 'task', 's')}: {', '.join(self._serves.tasks)}; "
            f"allow {worker.must_allow_s} s when you stop it"
        )

    def on_waiting(self, reason: str) -> None:
        """Tell of it, and give up after a while if no worker process has ever been ready."""
        self.first_words.begin()
        timeout_s, now_ms = self.settings.start_timeout_ms / 1000, boottime_ms()
        emit(
            PoolWaiting(operation="open", reason=reason, gives_up_after_s=None if self._starts.was_ready else timeout_s)
        )
        if self._starts.on_waiting(reason, now_ms):
            call_later(asyncio.get_running_loop(), timeout_s, partial(self._give_up_waiting, now_ms))

    def _give_up_waiting(self, since_ms: int) -> None:
        self._starts.on_timeout(since_ms, f"{self.settings.start_timeout_ms / 1000:g} s (--start-timeout)")
        if self._starts.is_hopeless:
            self._drain()

    def on_hello(self, serves: Serves) -> None:
        """Tell what the worker processes run: once, and again if the code on disk has changed meanwhile."""
        self._starts.on_answer()
        self.first_words.begin()
        if serves != self._serves:
            self._serves = serves
            _tell_what_is_served(serves, list(self.settings.worker.queue_names))

    def on_ready(self, version: str) -> None:
        """Take notice that a worker process claims."""
        self._starts.on_ready()
        if version != VERSION and version not in self._other_versions:
            self._other_versions.add(version)
            emit(PoolVersionDiffers(supervisor=VERSION, worker=version))

    def on_life_end(self, end: LifeEnd, failed_starts: int) -> None:
        """Give up if no worker process of this pool can start; otherwise the slot starts another one."""
        self._starts.on_life_end(end, failed_starts, is_open=self.connection.is_open)
        if self._starts.is_hopeless:
            self._drain()

    def _lives(self) -> list[Life]:
        return [slot.life for slot in self._slots if slot.life is not None]

    def _renewed_lives(self) -> list[Life]:
        return [life for life in self._lives() if life.is_renewed]

    # ── signals ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_signal(self, number: signal.Signals) -> None:
        step = self._signals.count(boottime_ms())
        if step is None:
            return
        self.first_words.begin()
        grace_ms = self.settings.worker.grace_ms if step is DrainStep.BEGIN else 0
        emit(PoolSignal(signal=number.name, grace_ms=grace_ms))
        if grace_ms and number is not signal.SIGQUIT:
            self._announce(
                f"pool {os.getpid()}: what runs has {grace_ms / 1000:g} s to end; a second Ctrl-C or SIGTERM stops it"
            )
        if number is signal.SIGQUIT:
            self._announce(stacks_of_threads())
            for life in self._lives():
                life.show_stacks()
        self._drain(hurry=step is DrainStep.HURRY or number is signal.SIGQUIT)

    def _drain(self, *, hurry: bool = False) -> None:
        if hurry:
            self.drain.hurry()
        else:
            self.drain.begin()
        for life in self._lives():
            life.drain()

    def _reap_orphans(self) -> None:
        reap_orphans([life.pid for life in self._lives()])


def _counted(number: int, what: str, plural: str) -> str:
    return f"{number} {what}{plural if number != 1 else ''}"


def _tell_what_is_served(serves: Serves, queues: list[str]) -> None:
    emit(
        PoolServing(
            task_count=serves.task_count,
            tasks=serves.tasks,
            queues=queues,
            modules=serves.modules,
            unserved_queues=serves.unserved_queues,
        )
    )
    if serves.bare_queues:
        emit(PoolQueuesWithoutTasks(queues=serves.bare_queues))
    for lash, tasks in serves.others.items():
        emit(PoolOtherLash(lash=lash, tasks=tasks))

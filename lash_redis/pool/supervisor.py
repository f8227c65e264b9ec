"""The supervisor: keeps its slots filled, renews for the living, and leads the pool out.

One event loop in the main thread of an OS process that never imports user code.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
from collections.abc import Callable

import msgspec

from lash_redis.core.events import PoolDrained, PoolSignal, PoolStarted
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import DrainReport
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import boottime_ms, new_incarnation_id
from lash_redis.pool.connection import PoolConnection
from lash_redis.pool.deaths import together
from lash_redis.pool.drain import PoolDrain
from lash_redis.pool.life import Ended, Life
from lash_redis.pool.messages import DEFERRED, FAULT, Fatal
from lash_redis.pool.osprocess import Spawn, reap_strangers, spawn
from lash_redis.pool.renewal import Renewer
from lash_redis.pool.settings import PoolSettings
from lash_redis.pool.signals import Asked, Presses, listening
from lash_redis.pool.slot import Slot
from lash_redis.registry.registry import ProcessRegistry

_INIT = 1  # the pid that inherits every orphan of its namespace


class PoolEnd(msgspec.Struct, frozen=True):
    """How a pool ended.

    Attributes:
        exit_code: as design, section 5, has it.
        report: of its drain.
        text: why it could not be started, empty if it could.
    """

    exit_code: int
    report: DrainReport
    text: str = ""


class Supervisor:
    """One pool, from its start to the end of its drain.

    Args:
        settings: what was asked for.
        say: takes one line for whoever started the pool.
        start: starts a worker process; a simulation has another.
    """

    def __init__(self, settings: PoolSettings, say: Callable[[str], None], start: Spawn = spawn) -> None:
        self.settings = settings
        self.supervisor = LeaseOwner.local_process(settings.owner_id("supervisor"), new_incarnation_id())
        self.connection = PoolConnection()
        self.drain = PoolDrain(settings.worker)
        self._say = say
        self._presses = Presses()
        self._slots = [Slot(self, str(number + 1), start) for number in range(settings.workers)]
        self._renewing: asyncio.Task[None] | None = None
        self._fatal: Fatal | None = None

    async def run(self) -> PoolEnd:
        """Run the pool until a signal asks it to leave, and all its worker processes have left."""
        with listening(self._signalled):
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if it is ignored, nobody learns how a child ended
            if os.getpid() == _INIT:
                asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap_strangers)
            emit(
                PoolStarted(
                    pid=os.getpid(), workers=self.settings.workers, must_allow_s=self.settings.worker.must_allow_s
                )
            )
            try:
                end = self._summed_up(await self._all_ended())
            finally:
                if self._renewing is not None:
                    self._renewing.cancel()
                await self.connection.aclose()
        emit(
            PoolDrained(
                abandoned=end.report.abandoned,
                deferred=end.report.deferred,
                released=end.report.released,
                finished=end.report.finished,
            )
        )
        return end

    async def _all_ended(self) -> list[Ended]:
        """Return how each slot ended. A bug of ours in one lets all others leave in order before it is raised."""
        ends = await asyncio.gather(*map(self._kept, self._slots), return_exceptions=True)
        faults = [end for end in ends if isinstance(end, BaseException)]
        if faults:
            raise faults[0]
        return [end for end in ends if isinstance(end, Ended)]

    async def _kept(self, slot: Slot) -> Ended:
        try:
            return await slot.run()
        except BaseException:
            self._leave()
            raise

    def _summed_up(self, ends: list[Ended]) -> PoolEnd:
        report = together(*(end.report for end in ends))
        if self._fatal is not None:
            return PoolEnd(self._fatal.exit_code, report, self._fatal.text)
        if any(end.is_fault for end in ends):
            return PoolEnd(FAULT, report)
        return PoolEnd(DEFERRED if report.deferred else 0, report)

    # ── what its worker processes tell ─────────────────────────────────────────────────────────────────────────────

    def opened(self, registry: ProcessRegistry) -> None:
        """Renew from now on, before anybody may claim, and say what this pool is."""
        worker = self.settings.worker
        renewer = Renewer(registry, self._renewed, worker.lease_ttl_ms, self.connection.revive)
        self._renewing = asyncio.get_running_loop().create_task(renewer.run())
        server = registry.server
        self._say(
            f"pool {os.getpid()}: {self.settings.workers} worker processes for {','.join(worker.queues)} of namespace "
            f"{registry.namespace} on {registry.address.shown} "
            f"({f'{server.version}, durability: {server.durability}' if server is not None else 'unknown'}); "
            f"allow {worker.must_allow_s} s when you stop it"
        )

    def cannot_start(self, fatal: Fatal) -> None:
        """Give up if no worker process could ever be started; later it is a crash like any other."""
        if not self.connection.is_open and self._fatal is None:
            self._fatal = fatal
            self._leave()

    def _lives(self) -> list[Life]:
        return [slot.life for slot in self._slots if slot.life is not None]

    def _renewed(self) -> list[Life]:
        return [life for life in self._lives() if life.is_renewed]

    # ── signals ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _signalled(self, number: signal.Signals) -> None:
        asked = self._presses.press(boottime_ms())
        if asked is None:
            return
        emit(PoolSignal(signal=number.name, grace_ms=self.settings.worker.grace_ms if asked is Asked.DRAIN else 0))
        if number is signal.SIGQUIT:
            faulthandler.dump_traceback()
            for life in self._lives():
                life.show_stacks()
        self._leave(hurry=asked is Asked.HURRY or number is signal.SIGQUIT)

    def _leave(self, *, hurry: bool = False) -> None:
        if hurry:
            self.drain.hurry()
        else:
            self.drain.begin()
        for life in self._lives():
            life.drain()

    def _reap_strangers(self) -> None:
        reap_strangers([life.pid for life in self._lives()])

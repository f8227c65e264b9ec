"""One life of one worker process: from its start until it is seen to end, reaped, recorded and settled.

``live`` alone fixes the order of what happens at its end.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from functools import partial
from typing import Any

import msgspec

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.events import PoolDied, PoolFault, PoolSlowStart, PoolSpawned
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import boottime_ms, new_incarnation_id, sleep
from lash_redis.core.trouble import Trouble, pool_fault
from lash_redis.pool import messages
from lash_redis.pool.burst_queues import check_queues
from lash_redis.pool.deaths import Deaths, Ended
from lash_redis.pool.osprocess import Spawn, status_text
from lash_redis.pool.pipe import Pipe
from lash_redis.pool.pool import LifeEnd, Pool
from lash_redis.pool.signals import HANDLED
from lash_redis.pool.watch import described
from lash_redis.registry.keys import owner_digest
from lash_redis.worker.lease_keeper import Renewal

EXIT_TIMEOUT_S = 5.0  # for one that has reported, or closed its pipe, and does not exit
SLOW_START_S = 10.0  # for one that is still loading user code; then it is told of
LOADING_TIMEOUT_S = 1.0  # for one that is still loading user code when the pool drains: it has claimed nothing
# How one that has reported may end. Python exits with 120 if what user code printed cannot be written at the end. While
# the interpreter ends, a signal has its default effect again; the last one here is the clock of ``exit_within``.
_IN_ORDER = (
    *("exit 0", f"exit {messages.DEFERRED}", "exit 120"),
    *(status_text(exited=False, status=each) for each in (*HANDLED, signal.SIGALRM)),
)

_decoder: msgspec.msgpack.Decoder[messages.ToSupervisor] = msgspec.msgpack.Decoder(messages.ToSupervisor)


class Life:
    """One incarnation, minted here right before its OS process is started.

    Args:
        pool: the pool.
        slot: its name in the pool; every life in one slot has the same owner id.
        spawn: starts the OS process.

    Raises:
        OSError: the system refused to start an OS process.
    """

    def __init__(self, pool: Pool, slot: str, spawn: Spawn) -> None:
        settings, owner_id, incarnation = pool.settings, pool.settings.owner_id(slot), new_incarnation_id()
        self._pool = pool
        self._slot = slot
        self._process = spawn(owner_id)
        self._pipe = Pipe(self._process.pipe_end, _decoder, self._on_message, self._on_pipe_closed)
        self._admitting: asyncio.Task[None] | None = None
        self._killing: asyncio.Task[None] | None = None
        self._owner: LeaseOwner | None = None  # set once it may claim
        self._ready_at_ms: int | None = None
        self._version = ""
        self._report: messages.Report | None = None
        self._fatal: messages.Fatal | None = None
        self._kill_reason = ""  # empty unless the supervisor killed it
        self._has_ended = False
        pool.first_words.tell(PoolSpawned(slot=slot, pid=self.pid, incarnation=incarnation))
        self._doing = "starting Python"
        self._loading = self._watched(self._tell_if_slow())
        self._pipe.send(
            messages.Start(
                settings.target,
                owner_id,
                incarnation,
                settings.worker,
                settings.tasks,
                settings.imports,
                settings.discovery,
                settings.reload,
                settings.url or "",
            )
        )

    @property
    def pid(self) -> int:
        """Its pid."""
        return self._process.pid

    @property
    def is_renewed(self) -> bool:
        """Whether its leases are renewed: from when it may claim until it is seen to have ended."""
        return self._owner is not None and not self._has_ended

    @property
    def is_ready(self) -> bool:
        """Whether it has reported that it claims."""
        return self._ready_at_ms is not None

    @property
    def digest(self) -> str:
        """The digest of its owner, empty before it may claim."""
        return owner_digest(self._owner) if self._owner is not None else ""

    def take_renewal(self, renewal: Renewal) -> None:
        """Send it what was renewed for it; an older unsent renewal of the same partition is dropped."""
        self._pipe.send(messages.Renewed(renewal), newest_of=("renewed", renewal.partition))

    def show_stacks(self) -> None:
        """Make it write the stacks of its threads."""
        if not self._has_ended:
            self._process.show_stacks()

    def drain(self) -> None:
        """Tell it to drain, and kill it when its time is over. Called again, tell it to hurry if the pool hurries."""
        self._pipe.send(messages.Hurry() if self._pool.drain.hurried else messages.Drain())
        if self._report is None:
            timeout_s = LOADING_TIMEOUT_S if self._owner is None else self._pool.drain.workers_left_s
            self._kill_after(timeout_s, "it did not report in time")

    # ── its messages ───────────────────────────────────────────────────────────────────────────────────────────────

    def _on_message(self, message: messages.ToSupervisor) -> None:
        match message:
            case messages.Importing():
                self._doing = f"importing {message.module}" if message.module is not None else "opening the registry"
            case messages.Waiting():
                self._loading.cancel()
                self._pool.on_waiting(message.reason)
            case messages.Hello():
                self._loading.cancel()
                self._version = message.version
                self._pool.on_hello(message.serves)
                self._admitting = self._watched(self._admit(message))
            case messages.Ready():
                self._ready_at_ms = boottime_ms()
                self._pool.on_ready(self._version)
            case messages.Fatal():
                self._fatal = message
            case messages.Report():
                self._report = message
                if message.still_running:
                    self._kill_after(0.0, "a thread would not stop")
                else:
                    self._kill_after(min(EXIT_TIMEOUT_S, self._pool.drain.pool_left_s), "it did not exit")

    def _on_pipe_closed(self) -> None:
        """Expect it to exit soon: it can receive nothing more."""
        if not self._has_ended:
            self._kill_after(
                min(EXIT_TIMEOUT_S, self._pool.drain.workers_left_s), "it closed its pipe and did not exit"
            )

    async def _tell_if_slow(self) -> None:
        """Tell of it if it loads user code for long, again and again; nothing else would."""
        began_at_ms, wait_s = boottime_ms(), SLOW_START_S
        while True:
            await sleep(wait_s)
            wait_s *= 2
            waited_s = (boottime_ms() - began_at_ms) // 1000
            self._pool.first_words.begin()
            emit(PoolSlowStart(slot=self._slot, pid=self.pid, doing=self._doing, waited_s=waited_s))

    async def _admit(self, hello: messages.Hello) -> None:
        """Let it claim once its leases can be renewed, unless the pool drains."""
        trouble = Trouble("open", 0.1, fault=pool_fault)
        check = partial(check_queues, own=hello.serves.own_queues, settings=self._pool.settings.worker)
        while not self._pool.drain.has_begun:
            try:
                was_opened = await self._pool.connection.ensure_open(hello.location, check)
            except RegistryUnavailable as error:
                self._pool.on_waiting(str(error))
                await sleep(trouble.met(error))
            except Exception as error:  # noqa: BLE001 - it would wait for ever for a supervisor that has given up
                self._fatal = messages.fatal_for(error)
                self._process.kill()
                return
            else:
                if was_opened:
                    self._pool.on_registry_opened(self._pool.connection.registry)
                if not self._pool.drain.has_begun:
                    self._owner = hello.owner
                    self._pipe.send(messages.Go())
                return

    # ── its end ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def live(self) -> LifeEnd:
        """Wait until it has ended; then kill its group, finish its drain, reap it, and record and settle its death.

        The order keeps the proof of death true (rule 2.5). Nothing is written about work that still runs (rule 7.3).
        """
        status = await self._process.wait_for_end()
        self._has_ended = True  # nothing is renewed for it from here on
        for task in (self._admitting, self._killing, self._loading):
            if task is not None:
                task.cancel()
        self._process.kill_group()
        self._pipe.read_rest()
        self._pipe.close()
        pool = self._pool
        deaths = Deaths(pool.connection, pool.supervisor, pool.settings.worker, pool.drain)
        ended = Ended(self._slot, self.pid, status, self._owner, self._report, self._kill_reason)
        report = await deaths.drain_report(ended)
        self._process.reap()
        lived_ms = None if self._ready_at_ms is None else boottime_ms() - self._ready_at_ms
        end = LifeEnd(status, lived_ms, report, self._is_fault(status), self._fatal)
        if end.is_fault and (pool.first_words.are_told or not end.has_bad_settings):
            pool.first_words.begin()
            why = self._fatal.text if self._fatal is not None else self._kill_reason
            emit(PoolDied(slot=self._slot, pid=self.pid, status=f"{status}: {why}" if why else status))
        return msgspec.structs.replace(end, report=await deaths.settle(ended, report))

    def _is_fault(self, status: str) -> bool:
        if self._report is not None:
            return self._report.is_fault or not (self._kill_reason or status in _IN_ORDER)
        if self._pool.drain.has_begun:
            return self._owner is not None and not self._kill_reason
        return True

    def _kill_after(self, seconds: float, why: str) -> None:
        if self._killing is not None:
            self._killing.cancel()
        self._killing = self._watched(self._kill(seconds, why))

    async def _kill(self, seconds: float, why: str) -> None:
        await sleep(seconds)
        self._kill_reason = why
        self._process.kill()

    def _watched(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._tell_of_fault)
        return task

    def _tell_of_fault(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            emit(PoolFault(part=f"slot {self._slot}", reason=described(error)))

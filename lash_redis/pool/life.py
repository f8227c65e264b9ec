"""One life of one worker process: from its start until it is seen to end, reaped, recorded and settled.

What must be done in which order at its end is in ``live``, and only there.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import msgspec

from lash_redis.core.errors import LashError, RegistryUnavailable
from lash_redis.core.events import PoolDied, PoolReaped, PoolSpawned, WorkerUnavailable
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Deferred, DrainReport
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import backoff, boottime_ms, new_incarnation_id, sleep
from lash_redis.pool.connection import PoolConnection
from lash_redis.pool.deaths import Deaths, together, without
from lash_redis.pool.drain import PoolDrain
from lash_redis.pool.messages import (
    DEFERRED,
    Drain,
    Fatal,
    Go,
    Hello,
    Hurry,
    Ready,
    Renewed,
    Report,
    Start,
    ToSupervisor,
    refusal,
)
from lash_redis.pool.osprocess import Spawn
from lash_redis.pool.pipe import Link
from lash_redis.pool.settings import PoolSettings
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.keeper import Renewal

EXIT_PATIENCE_S = 5.0  # for one that has said all, or closed its pipe, and does not exit
UNBORN_PATIENCE_S = 1.0  # for one that is still being loaded when the pool drains: it has claimed nothing

_decoder: msgspec.msgpack.Decoder[ToSupervisor] = msgspec.msgpack.Decoder(ToSupervisor)


class Pool(Protocol):
    """What a life needs of its pool."""

    settings: PoolSettings
    supervisor: LeaseOwner
    connection: PoolConnection
    drain: PoolDrain

    def opened(self, registry: ProcessRegistry) -> None:
        """Take notice that the pool's registry was opened just now."""

    def cannot_start(self, fatal: Fatal) -> None:
        """Take notice that a worker process cannot be started."""


class Ended(msgspec.Struct, frozen=True):
    """How a life ended.

    Attributes:
        status: exit status or signal, in words.
        lived_ms: since it was ready, None if it never was.
        report: what became of what it had in hand, as far as a drain of its own or in its name says.
        is_fault: it ended by itself, and not because it had drained.
        fatal: it could not be started.
    """

    status: str
    lived_ms: int | None = None
    report: DrainReport = DrainReport()
    is_fault: bool = False
    fatal: Fatal | None = None


class Life:
    """One incarnation. It is minted here, right before the OS process is started.

    Args:
        pool: the pool that it is part of.
        slot: its name in the pool; its owner id is the same for every life in this slot.
        spawn: starts the OS process.

    Raises:
        OSError: the system refused to start an OS process.
    """

    def __init__(self, pool: Pool, slot: str, spawn: Spawn) -> None:
        settings, owner_id, incarnation = pool.settings, pool.settings.owner_id(slot), new_incarnation_id()
        self._pool = pool
        self._slot = slot
        self._process = spawn(owner_id)
        self._link = Link(self._process.pipe, _decoder, self._heard, self._hung_up)
        self._admitting: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._owner: LeaseOwner | None = None  # once it may claim
        self._ready_at_ms: int | None = None
        self._report: Report | None = None
        self._fatal: Fatal | None = None
        self._killed = ""
        self._has_ended = False
        emit(PoolSpawned(slot=slot, pid=self.pid, incarnation=incarnation))
        self._link.send(Start(settings.target, owner_id, incarnation, settings.worker))

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
        """Whether it has ever claimed."""
        return self._ready_at_ms is not None

    @property
    def digest(self) -> str:
        """Its owner's digest."""
        return owner_digest(self._owner) if self._owner is not None else ""

    def hear(self, renewal: Renewal) -> None:
        """Tell it what was renewed for it; an older word on the same partition that it has not read is dropped."""
        self._link.send(Renewed(renewal), newest_of=("renewed", renewal.partition))

    def show_stacks(self) -> None:
        """Have it write the stacks of its threads."""
        if not self._has_ended:
            self._process.show_stacks()

    def drain(self) -> None:
        """Tell it to leave, and end it when its time is over; tell it again to hurry."""
        self._link.send(Hurry() if self._pool.drain.hurried else Drain())
        if self._report is None:
            patience_s = UNBORN_PATIENCE_S if self._owner is None else self._pool.drain.left_s
            self._end_after(patience_s, "it did not report in time")

    # ── what it says ───────────────────────────────────────────────────────────────────────────────────────────────

    def _heard(self, message: ToSupervisor) -> None:
        match message:
            case Hello():
                self._admitting = asyncio.get_running_loop().create_task(self._admit(message))
            case Ready():
                self._ready_at_ms = boottime_ms()
            case Fatal():
                self._fatal = message
            case Report():
                self._report = message
                if message.still_running:
                    self._end_after(0.0, "a thread would not stop")
                else:
                    self._end_after(min(EXIT_PATIENCE_S, self._pool.drain.closing_s), "it did not exit")

    def _hung_up(self) -> None:
        """See it exit soon: it closed its pipe, and can be told nothing more."""
        if not self._has_ended:
            self._end_after(min(EXIT_PATIENCE_S, self._pool.drain.left_s), "it closed its pipe and did not exit")

    async def _admit(self, hello: Hello) -> None:
        """Let it claim, once its leases can be renewed. Nobody is let in while the pool drains."""
        failures = 0
        while not self._pool.drain.has_begun:
            try:
                is_first = await self._pool.connection.let_in(hello.place)
            except RegistryUnavailable as error:
                failures += 1
                emit(WorkerUnavailable(operation="open", reason=str(error)))
                await sleep(backoff(failures, 0.1, 2.0))
            except (LashError, OSError) as error:
                self._fatal = refusal(error)
                self._process.kill()
                return
            else:
                if is_first:
                    self._pool.opened(self._pool.connection.registry)
                if not self._pool.drain.has_begun:
                    self._owner = hello.owner
                    self._link.send(Go())
                return

    # ── its end ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def live(self) -> Ended:
        """Wait until it has ended, and see to everything that this asks for (design, sections 3 and 5)."""
        status = await self._process.ended()
        self._has_ended = True  # nothing is renewed for it from here on
        for task in (self._admitting, self._ending):
            if task is not None:
                task.cancel()
        self._process.end_group()
        self._link.read_rest()
        self._link.close()
        report = await self._drained_report(status)
        self._process.reap()
        lived_ms = None if self._ready_at_ms is None else boottime_ms() - self._ready_at_ms
        ended = Ended(status, lived_ms, report, self._is_fault(status), self._fatal)
        if ended.is_fault:
            why = f": {self._fatal.text}" if self._fatal is not None else ""
            emit(PoolDied(slot=self._slot, pid=self.pid, status=f"{status}{why}"))
        return await self._recorded(ended)

    def _is_fault(self, status: str) -> bool:
        if self._report is not None:
            return not self._killed and status not in ("exit 0", f"exit {DEFERRED}")
        if self._pool.drain.has_begun:
            return self._owner is not None and not self._killed
        return True

    async def _drained_report(self, status: str) -> DrainReport:
        said = self._report
        still_running = said.still_running if said is not None else []
        own = without(said.report, set(still_running)) if said is not None else DrainReport()
        is_unfinished = bool(still_running) if said is not None else self._pool.drain.has_begun
        if self._owner is None or not self._killed or not is_unfinished:
            return own
        why, budget_ms = f"{status} after the drain: {self._killed}", self._pool.drain.finish_ms
        return together(own, await self._deaths().finish_drain(self._owner, still_running, why, budget_ms))

    async def _recorded(self, ended: Ended) -> Ended:
        if self._owner is None:
            return ended
        try:
            settling = self._deaths().record_and_settle(self._owner, ended.status)
            settled = await self._pool.drain.in_time(settling)
        except (LashError, TimeoutError) as error:
            emit(WorkerUnavailable(operation="record_death", reason=str(error)))
            if self._report is not None and not self._report.still_running:
                return ended  # it left nothing that its death could settle
            left = Deferred("*", f"the death of {self._owner.owner_id} could not be recorded: {error}")
            return msgspec.structs.replace(ended, report=together(ended.report, DrainReport(deferred=[left])))
        emit(PoolReaped(slot=self._slot, pid=self.pid, status=ended.status, settled=settled))
        return ended

    def _deaths(self) -> Deaths:
        return Deaths(self._pool.connection.registry, self._pool.supervisor, self._pool.settings.worker)

    def _end_after(self, seconds: float, why: str) -> None:
        if self._ending is not None:
            self._ending.cancel()
        self._ending = asyncio.get_running_loop().create_task(self._end(seconds, why))

    async def _end(self, seconds: float, why: str) -> None:
        await sleep(seconds)
        self._killed = why
        self._process.kill()

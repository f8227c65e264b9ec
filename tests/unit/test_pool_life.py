"""One life of a worker process, with a stand-in for the OS process: the order of its end, and who may claim."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import fakeredis
import msgspec
import pytest

from lash_redis.core.errors import LashError, SettingsError
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import (
    AbandonWriter,
    Acquired,
    Deferred,
    DrainReport,
    Phase,
    ProcessRegistration,
    RecoveryDisposition,
    TaskInput,
)
from lash_redis.pool.connection import PoolConnection
from lash_redis.pool.drain import PoolDrain
from lash_redis.pool.life import Ended, Life
from lash_redis.pool.messages import Drain, Fatal, Go, Hello, Hurry, Place, Ready, Report, Start, ToWorker
from lash_redis.pool.pipe import Link
from lash_redis.pool.settings import PoolSettings
from lash_redis.registry.answers import BatchClaim
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.settings import WorkerSettings
from tests.support import wait_until

PLACE = Place("unix:///nowhere", "lash", 1)


class StandIn:
    """An OS process that does and ends as the test says, and writes down what is done to it."""

    pid = 4711

    def __init__(self, journal: list[str]) -> None:
        self.journal = journal
        self.pipe, theirs = socket.socketpair()
        self.told: list[ToWorker] = []
        decoder: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
        self.link = Link(theirs, decoder, self.told.append, lambda: None)
        self._status: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def end(self, status: str) -> None:
        """Let it end."""
        if not self._status.done():
            self._status.set_result(status)

    async def ended(self) -> str:
        """Wait until it has ended."""
        return await self._status

    def kill(self) -> None:
        """End it now."""
        self.journal.append("killed")
        self.end("killed by SIGKILL")

    def show_stacks(self) -> None:
        """Show nothing."""

    def end_group(self) -> None:
        """Write it down."""
        self.journal.append("group ended")

    def reap(self) -> None:
        """Write it down."""
        self.journal.append("reaped")


class Pool:
    """What a life needs of its pool, on a fake server."""

    def __init__(self, registry: ProcessRegistry, settings: WorkerSettings) -> None:
        self.settings = PoolSettings(target="a:b", name="pool", worker=settings)
        self.supervisor = LeaseOwner.local_process("pool/supervisor", "supervisors-life")
        self.drain = PoolDrain(self.settings.worker)
        self.connection = PoolConnection()
        self.connection._registry, self.connection._place = registry, PLACE
        self.journal: list[str] = []
        self.processes: list[StandIn] = []
        self._lives: list[asyncio.Task[Ended]] = []

    def opened(self, registry: ProcessRegistry) -> None:
        """Do nothing."""

    def cannot_start(self, fatal: Fatal) -> None:
        """Do nothing."""

    def begin(self) -> tuple[Life, StandIn, asyncio.Task[Ended]]:
        """Begin a life; return it, its OS process, and what waits for its end."""
        self.processes.append(StandIn(self.journal))
        life = Life(self, "1", lambda _: self.processes[-1])
        self._lives.append(asyncio.get_running_loop().create_task(life.live()))
        return life, self.processes[-1], self._lives[-1]

    async def admitted(self) -> tuple[Life, StandIn, asyncio.Task[Ended], LeaseOwner]:
        """Begin a life that may claim."""
        life, process, end = self.begin()
        await wait_until(lambda: process.told, "it is told what to be")
        start = process.told[0]
        assert isinstance(start, Start)
        owner = LeaseOwner.opaque(start.owner_id, start.incarnation_id)
        process.link.send(Hello(owner, PLACE))
        await wait_until(lambda: Go() in process.told, "it may claim")
        process.link.send(Ready())
        await wait_until(lambda: life.is_ready, "it is ready")
        return life, process, end, owner

    async def close(self) -> None:
        """End everything."""
        for process in self.processes:
            process.end("exit 0")
        await asyncio.gather(*self._lives, return_exceptions=True)
        for process in self.processes:
            process.link.close()


@pytest.fixture
async def registry() -> AsyncIterator[ProcessRegistry]:
    """Return a registry on a fake server."""
    made = ProcessRegistry(fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer()))
    yield made
    await made.aclose()


@pytest.fixture
async def pool(registry: ProcessRegistry) -> AsyncIterator[Pool]:
    """Return a pool whose drain has no time to lose."""
    made = Pool(registry, WorkerSettings(grace_ms=0, cancel_ms=0, drain_ms=0))
    yield made
    await made.close()


async def held(registry: ProcessRegistry, owner: LeaseOwner, name: str, kind: RecoveryDisposition) -> None:
    """Have ``owner`` run a process."""
    await registry.register(ProcessRegistration(name, TaskInput("task"), kind))
    claimed = await registry.claim(name, owner, 30_000)
    assert isinstance(claimed, Acquired)
    await registry.start(claimed.lease)


async def test_a_death_is_seen_its_group_ended_then_reaped_then_recorded_and_settled(
    pool: Pool, registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this order nothing outlives the proof, and no proof is written that is not one."""
    _, process, end, owner = await pool.admitted()
    await held(registry, owner, "pay", RecoveryDisposition.OWNER_BOUND)
    await held(registry, owner, "measure", RecoveryDisposition.RERUNNABLE)
    record_death, settle = registry.record_death, registry.settle_many

    async def recording(*args: Any) -> None:
        pool.journal.append("recorded")
        await record_death(*args)

    async def settling(*args: Any, **options: Any) -> list[bool]:
        pool.journal.append("settled")
        return await settle(*args, **options)

    monkeypatch.setattr(registry, "record_death", recording)
    monkeypatch.setattr(registry, "settle_many", settling)

    process.end("killed by SIGSEGV")

    ended = await end
    assert pool.journal == ["group ended", "reaped", "recorded", "settled"]
    assert (ended.status, ended.is_fault) == ("killed by SIGSEGV", True)
    pay, measure = await registry.get("pay"), await registry.get("measure")
    assert pay is not None
    assert pay.outcome.evidence.writer is AbandonWriter.SWEEP  # type: ignore[union-attr]
    assert pay.outcome.evidence.proof == "reaped"  # type: ignore[union-attr]
    assert measure is not None
    assert (measure.phase, measure.losses) == (Phase.QUEUED, 1)


async def test_leases_are_renewed_from_go_until_the_end_is_seen(pool: Pool) -> None:
    """Before, it has claimed nothing; after, nobody is left to hold them."""
    life, process, _ = pool.begin()
    assert not life.is_renewed
    process.link.close()
    process.end("exit 1")

    life, process, end, owner = await pool.admitted()
    assert life.is_renewed
    assert owner.owner_id == "pool/1"

    process.end("exit 1")
    await end
    assert not life.is_renewed


async def test_each_life_is_another_incarnation_of_the_same_owner(pool: Pool) -> None:
    """Names are reused and prove nothing; an incarnation is minted for each OS process."""
    lives = [await pool.admitted() for _ in range(2)]

    owners = [owner for *_, owner in lives]
    assert owners[0].owner_id == owners[1].owner_id
    assert owners[0].incarnation_id != owners[1].incarnation_id


async def test_nobody_is_let_in_while_the_pool_drains(pool: Pool) -> None:
    """One that was still being loaded has claimed nothing, and never will."""
    life, process, end = pool.begin()
    pool.drain.begin()
    life.drain()

    process.link.send(Hello(LeaseOwner.opaque("pool/1", "i"), PLACE))
    await wait_until(lambda: Drain() in process.told, "it is told to leave")
    process.end("exit 0")

    assert not (await end).is_fault
    assert Go() not in process.told
    assert pool.journal == ["group ended", "reaped"]


async def test_what_still_runs_is_settled_before_the_worker_process_is_reaped(
    pool: Pool, registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drain in its name: rerunnable work without a loss, owner-bound work with the exit status as evidence."""
    life, process, end, owner = await pool.admitted()
    await held(registry, owner, "pay", RecoveryDisposition.OWNER_BOUND)
    await held(registry, owner, "measure", RecoveryDisposition.RERUNNABLE)
    settle = registry.settle_many

    async def settling(*args: Any, **options: Any) -> list[bool]:
        pool.journal.append("settled")
        return await settle(*args, **options)

    monkeypatch.setattr(registry, "settle_many", settling)
    pool.drain.begin()
    life.drain()

    report = DrainReport(["other"], [Deferred("pay", "still running"), Deferred("late", "not written")], 1, 5)
    process.link.send(Report(report, ["pay", "measure"]))

    ended = await end
    assert pool.journal == ["killed", "group ended", "settled", "reaped"]
    assert ended.report == DrainReport(["other", "pay"], [Deferred("late", "not written")], 2, 5)
    assert not ended.is_fault
    pay, measure = await registry.get("pay"), await registry.get("measure")
    assert pay is not None
    evidence = pay.outcome.evidence  # type: ignore[union-attr]
    assert (evidence.writer, evidence.proof, evidence.owner) == (AbandonWriter.OWNER_DRAIN, "ended_here", owner)
    assert evidence.detail == "killed by SIGKILL after the drain: a thread would not stop"
    assert measure is not None
    assert (measure.phase, measure.losses) == (Phase.QUEUED, 0)


async def test_one_that_does_not_report_in_time_is_ended_and_its_drain_finished(
    pool: Pool, registry: ProcessRegistry
) -> None:
    """The time is that of the drain's phases."""
    life, _process, end, owner = await pool.admitted()
    await held(registry, owner, "pay", RecoveryDisposition.OWNER_BOUND)

    pool.drain.begin()
    life.drain()

    ended = await end
    assert pool.journal[0] == "killed"
    assert ended.report.abandoned == ["pay"]
    assert not ended.is_fault


async def test_a_late_copy_of_its_claim_is_stale_once_its_drain_was_finished(
    pool: Pool, registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim that it sent right before its end may still be on its way: it hands out nothing any more."""

    async def not_yet(*_: object) -> None:
        """Be late: a recorded death would make it stale too."""

    monkeypatch.setattr(registry, "record_death", not_yet)
    life, _process, end, owner = await pool.admitted()
    await registry.register(ProcessRegistration("new", TaskInput("task"), RecoveryDisposition.OWNER_BOUND))
    late = BatchClaim(0, owner, 7, 10, 30_000, [("default", ["default|task|"])])
    pool.drain.begin()
    life.drain()
    await end

    assert (await registry.claim_next(late)).rows == []
    record = await registry.get("new")
    assert record is not None
    assert record.phase is Phase.QUEUED


async def test_one_that_is_elsewhere_is_not_let_in(pool: Pool) -> None:
    """The pool renews in one namespace only: another one's leases would lapse."""
    _life, process, end = pool.begin()

    process.link.send(Hello(LeaseOwner.opaque("pool/1", "i"), Place("unix:///nowhere", "another", 1)))

    ended = await end
    assert ended.fatal is not None
    assert "another server or namespace" in ended.fatal.text
    assert Go() not in process.told


async def test_one_that_dies_while_it_drains_is_a_fault(pool: Pool, registry: ProcessRegistry) -> None:
    """It did not do its drain's work: what it held is settled by the proof, and the exit code says so."""
    life, process, end, owner = await pool.admitted()
    await held(registry, owner, "pay", RecoveryDisposition.OWNER_BOUND)
    pool.drain.begin()
    life.drain()

    process.end("killed by SIGSEGV")

    assert (await end).is_fault
    record = await registry.get("pay")
    assert record is not None
    assert record.outcome.evidence.writer is AbandonWriter.SWEEP  # type: ignore[union-attr]


async def test_the_last_words_of_a_dead_one_are_heard(pool: Pool) -> None:
    """Its report may still be in the pipe when it is seen to have ended."""
    _life, process, end, _owner = await pool.admitted()
    process.link.send(Report(DrainReport(finished=3)))
    process.end("exit 0")

    ended = await end

    assert ended.report.finished == 3
    assert not ended.is_fault


async def test_a_second_signal_reaches_the_worker_process(pool: Pool) -> None:
    """It is told to hurry, which is a drain too."""
    life, process, _, _ = await pool.admitted()

    pool.drain.hurry()
    life.drain()

    await wait_until(lambda: Hurry() in process.told, "it is told")


async def test_a_server_that_stays_away_does_not_hold_the_pool_for_ever(pool: Pool, registry: ProcessRegistry) -> None:
    """What could not be recorded in the drain's time is reported, so that the exit code says that something is left."""
    _life, process, end, _owner = await pool.admitted()
    registry.address._parameters["server"].connected = False
    process.end("killed by SIGKILL")
    await wait_until(lambda: "reaped" in pool.journal, "it is reaped all the same")
    assert not end.done()

    pool.drain.begin()

    (left,) = (await end).report.deferred
    assert "could not be recorded" in left.reason


async def test_a_server_that_hangs_does_not_hold_the_pool_longer_than_it_says(
    pool: Pool, registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finishing the drain and recording the death share one time, within what the pool asks to be allowed."""

    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    life, _process, end, _owner = await pool.admitted()
    monkeypatch.setattr(registry, "claim_next", hang)
    monkeypatch.setattr(registry, "record_death", hang)

    pool.drain.begin()
    life.drain()

    async with asyncio.timeout(pool.settings.worker.must_allow_s):
        ended = await end
    assert {left.process_id for left in ended.report.deferred} == {"*"}


@pytest.mark.parametrize("fails", ["claim_next", "page"])
async def test_what_still_ran_is_named_if_its_drain_cannot_be_finished(
    pool: Pool, registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """The worker process said what it left before it was ended."""

    async def fail(*_: object, **__: object) -> None:
        raise LashError("no")

    life, process, end, _owner = await pool.admitted()
    await registry.open()
    monkeypatch.setattr(registry, fails, fail)
    pool.drain.begin()
    life.drain()

    process.link.send(Report(DrainReport(deferred=[Deferred("pay", "still running")]), ["pay"]))

    deferred = (await end).report.deferred
    assert {left.process_id for left in deferred} == {"pay", "*"}
    assert all("no" in left.reason for left in deferred)


async def test_one_that_has_reported_and_does_not_exit_is_ended_before_the_pool_closes(pool: Pool) -> None:
    """All is said, so nothing is lost."""
    life, process, end, _owner = await pool.admitted()
    pool.drain.begin()
    life.drain()

    process.link.send(Report(DrainReport(finished=3)))

    async with asyncio.timeout(pool.settings.worker.must_allow_s):
        ended = await end
    assert (pool.journal[0], ended.report, ended.is_fault) == ("killed", DrainReport(finished=3), False)


def test_a_registry_that_nobody_else_can_open_is_no_place_for_a_pool() -> None:
    """Only a URL can be taken into another OS process."""
    from lash_redis.pool.connection import place_of

    with pytest.raises(SettingsError, match="made from a URL"):
        place_of(ProcessRegistry(fakeredis.FakeAsyncRedis()))

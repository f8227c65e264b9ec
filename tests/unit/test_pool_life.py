"""One life of a worker process, with a fake OS process: the order of steps at its end, and when it may claim."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import fakeredis
import msgspec
import pytest

from lash_redis.core.errors import LashError, NamespaceMismatch, SettingsError
from lash_redis.core.events import Event, PoolFault
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import (
    Acquired,
    Deferred,
    DrainReport,
    Phase,
    ProcessRegistration,
    RecoveryDisposition,
    TaskInput,
)
from lash_redis.core.outcomes import AbandonWriter
from lash_redis.core.subscribers import subscribed
from lash_redis.pool.connection import PoolConnection, location_of
from lash_redis.pool.drain import PoolDrain
from lash_redis.pool.first_words import FirstWords
from lash_redis.pool.life import Life
from lash_redis.pool.messages import Drain, Go, Hello, Hurry, Ready, RegistryLocation, Report, Serves, Start, ToWorker
from lash_redis.pool.pipe import Pipe
from lash_redis.pool.pool import LifeEnd
from lash_redis.pool.settings import PoolSettings
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.settings import WorkerSettings
from tests.conformance.actors import batch_claim
from tests.look import evidence, record_of
from tests.support import wait_until

LOCATION = RegistryLocation("unix:///nowhere", "lash", 1)


class FakeProcess:
    """An OS process that ends when the test says so, and notes in a journal what is done to it."""

    pid = 4711

    def __init__(self, journal: list[str]) -> None:
        self.journal = journal
        self.pipe_end, theirs = socket.socketpair()
        self.received: list[ToWorker] = []
        decoder: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
        self.pipe = Pipe(theirs, decoder, self.received.append, lambda: None)
        self._status: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def end(self, status: str) -> None:
        """End it."""
        if not self._status.done():
            self._status.set_result(status)

    async def wait_for_end(self) -> str:
        """Wait until it has ended."""
        return await self._status

    def kill(self) -> None:
        """Note it, and end it."""
        self.journal.append("killed")
        self.end("killed by SIGKILL")

    def show_stacks(self) -> None:
        """Show nothing."""

    def kill_group(self) -> None:
        """Note it."""
        self.journal.append("group killed")

    def reap(self) -> None:
        """Note it."""
        self.journal.append("reaped")


class Pool:
    """A pool with one slot, on a fake server."""

    def __init__(self, registry: ProcessRegistry, settings: WorkerSettings) -> None:
        self.settings = PoolSettings(target="a:b", name="pool", worker=settings)
        self.supervisor = LeaseOwner.local_process("pool/supervisor", "supervisors-life")
        self.drain = PoolDrain(self.settings.worker)
        self.connection = PoolConnection(lambda _location: registry)
        self.first_words = FirstWords()
        self.journal: list[str] = []
        self.processes: list[FakeProcess] = []
        self._lives: list[asyncio.Task[LifeEnd]] = []

    def on_registry_opened(self, registry: ProcessRegistry) -> None:
        """Do nothing."""

    def on_waiting(self, reason: str) -> None:
        """Do nothing."""

    def on_hello(self, serves: Serves) -> None:
        """Do nothing."""

    def on_ready(self, version: str) -> None:
        """Do nothing."""

    def on_life_end(self, end: LifeEnd, failed_starts: int) -> None:
        """Do nothing."""

    def begin(self) -> tuple[Life, FakeProcess, asyncio.Task[LifeEnd]]:
        """Begin a life; return it, its OS process, and the task that waits for its end."""
        self.processes.append(FakeProcess(self.journal))
        life = Life(self, "1", lambda _: self.processes[-1])
        self._lives.append(asyncio.get_running_loop().create_task(life.live()))
        return life, self.processes[-1], self._lives[-1]

    async def admitted(self) -> tuple[Life, FakeProcess, asyncio.Task[LifeEnd], LeaseOwner]:
        """Begin a life, and let it claim; return what ``begin`` does, and its owner."""
        life, process, end = self.begin()
        await wait_until(lambda: process.received, "it has received a message")
        start = process.received[0]
        assert isinstance(start, Start)
        owner = LeaseOwner.opaque(start.owner_id, start.incarnation_id)
        process.pipe.send(Hello(owner, LOCATION))
        await wait_until(lambda: Go() in process.received, "it has received that it may claim")
        process.pipe.send(Ready())
        await wait_until(lambda: life.is_ready, "the supervisor knows that it is ready")
        return life, process, end, owner

    async def close(self) -> None:
        """End all its worker processes."""
        for process in self.processes:
            process.end("exit 0")
        await asyncio.gather(*self._lives, return_exceptions=True)
        for process in self.processes:
            process.pipe.close()


@pytest.fixture
def server() -> fakeredis.FakeServer:
    """Return a fake server."""
    return fakeredis.FakeServer()


@pytest.fixture
async def registry(server: fakeredis.FakeServer) -> AsyncIterator[ProcessRegistry]:
    """Return a registry on the fake server."""
    made = ProcessRegistry(fakeredis.FakeAsyncRedis(server=server))
    yield made
    await made.aclose()


@pytest.fixture
async def pool(registry: ProcessRegistry) -> AsyncIterator[Pool]:
    """Return a pool whose drain allows no time for its phases."""
    made = Pool(registry, WorkerSettings(grace_ms=0, interrupt_ms=0, last_writes_ms=0))
    await made.connection.ensure_open(LOCATION)
    yield made
    await made.close()


DISPOSITIONS = {"pay": RecoveryDisposition.OWNER_BOUND, "measure": RecoveryDisposition.RERUNNABLE}


async def started(registry: ProcessRegistry, owner: LeaseOwner, *names: str) -> None:
    """Register processes, and claim and start them for ``owner``."""
    for name in names:
        await registry.register(ProcessRegistration(name, TaskInput("task"), DISPOSITIONS[name]))
        claimed = await registry.claim(name, owner, 30_000)
        assert isinstance(claimed, Acquired)
        await registry.start(claimed.lease)


def note_calls(pool: Pool, registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch, **notes: str) -> None:
    """Note in the pool's journal each call of a method, by the word given for it."""
    for method, word in notes.items():
        call = getattr(registry, method)

        async def noted(*args: Any, call: Any = call, word: str = word, **options: Any) -> Any:
            pool.journal.append(word)
            return await call(*args, **options)

        monkeypatch.setattr(registry, method, noted)


async def test_after_a_death_the_group_is_killed_then_it_is_reaped_recorded_and_settled(
    pool: Pool, registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this order no work outlives the proof of death, and no false proof is written."""
    _, process, end, owner = await pool.admitted()
    await started(registry, owner, "pay", "measure")
    note_calls(pool, registry, monkeypatch, record_death="recorded", settle_many="settled")

    process.end("killed by SIGSEGV")

    ended = await end
    assert pool.journal == ["group killed", "reaped", "recorded", "settled"]
    assert (ended.status, ended.is_fault) == ("killed by SIGSEGV", True)
    found = evidence(await record_of(registry, "pay"))
    assert (found.writer, found.proof) == (AbandonWriter.SWEEP, "reaped")
    measure = await record_of(registry, "measure")
    assert (measure.phase, measure.losses) == (Phase.QUEUED, 1)


async def test_leases_are_renewed_from_go_until_the_end_is_seen(pool: Pool) -> None:
    """Before that it has claimed nothing; afterwards it is dead."""
    life, process, _ = pool.begin()
    assert not life.is_renewed
    process.pipe.close()
    process.end("exit 1")

    life, process, end, owner = await pool.admitted()
    assert life.is_renewed
    assert owner.owner_id == "pool/1"

    process.end("exit 1")
    await end
    assert not life.is_renewed


async def test_each_life_is_another_incarnation_of_the_same_owner(pool: Pool) -> None:
    """The owner id is reused. The incarnation is minted for each OS process."""
    lives = [await pool.admitted() for _ in range(2)]

    owners = [owner for *_, owner in lives]
    assert owners[0].owner_id == owners[1].owner_id
    assert owners[0].incarnation_id != owners[1].incarnation_id


async def test_no_worker_process_may_claim_once_the_pool_drains(pool: Pool) -> None:
    """One that is still loading user code has claimed nothing, and never will."""
    life, process, end = pool.begin()
    pool.drain.begin()
    life.drain()

    process.pipe.send(Hello(LeaseOwner.opaque("pool/1", "i"), LOCATION))
    await wait_until(lambda: Drain() in process.received, "the drain has reached it")
    process.end("exit 0")

    assert not (await end).is_fault
    assert Go() not in process.received
    assert pool.journal == ["group killed", "reaped"]


async def test_what_still_runs_is_settled_before_the_worker_process_is_reaped(
    pool: Pool, registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor releases rerunnable work without a loss, and abandons owner-bound work with the exit status."""
    life, process, end, owner = await pool.admitted()
    await started(registry, owner, "pay", "measure")
    note_calls(pool, registry, monkeypatch, settle_many="settled")
    pool.drain.begin()
    life.drain()

    report = DrainReport(["other"], [Deferred("pay", "still running"), Deferred("late", "not written")], 1, 5)
    process.pipe.send(Report(report, ["pay", "measure"]))

    ended = await end
    assert pool.journal == ["killed", "group killed", "settled", "reaped"]
    assert ended.report == DrainReport(["other", "pay"], [Deferred("late", "not written")], 2, 5)
    assert not ended.is_fault
    found = evidence(await record_of(registry, "pay"))
    assert (found.writer, found.proof, found.owner) == (AbandonWriter.OWNER_DRAIN, "ended_here", owner)
    assert found.detail == "killed by SIGKILL after the drain: a thread would not stop"
    measure = await record_of(registry, "measure")
    assert (measure.phase, measure.losses) == (Phase.QUEUED, 0)


async def test_one_that_does_not_report_in_time_is_killed_and_its_drain_finished(
    pool: Pool, registry: ProcessRegistry
) -> None:
    """Its time is the sum of the drain's phases."""
    life, _process, end, owner = await pool.admitted()
    await started(registry, owner, "pay")

    pool.drain.begin()
    life.drain()

    ended = await end
    assert pool.journal[0] == "killed"
    assert ended.report.abandoned == ["pay"]
    assert not ended.is_fault


async def test_a_late_copy_of_its_claim_is_stale_once_its_drain_was_finished(
    pool: Pool, registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim that it sent right before its end may still be on its way; it must lease nothing."""

    async def not_yet(*_: object) -> None:
        """Record nothing: a recorded death would make the claim stale too."""

    monkeypatch.setattr(registry, "record_death", not_yet)
    life, _process, end, owner = await pool.admitted()
    await registry.register(ProcessRegistration("new", TaskInput("task"), RecoveryDisposition.OWNER_BOUND))
    late = batch_claim(registry, owner, number=7, count=10, served=[("default", ["default|task|"])])
    pool.drain.begin()
    life.drain()
    await end

    assert (await registry.claim_next(late)).rows == []
    assert (await record_of(registry, "new")).phase is Phase.QUEUED


async def test_one_with_another_namespace_is_refused(pool: Pool) -> None:
    """The pool renews in one namespace only; leases in another would lapse."""
    _life, process, end = pool.begin()

    process.pipe.send(Hello(LeaseOwner.opaque("pool/1", "i"), RegistryLocation("unix:///nowhere", "another", 1)))

    ended = await end
    assert ended.fatal is not None
    assert "another server or namespace" in ended.fatal.text
    assert Go() not in process.received


async def test_one_that_dies_while_it_drains_is_a_fault(pool: Pool, registry: ProcessRegistry) -> None:
    """It did not finish its drain. What it held is settled by the proof of its death, and the exit code reports it."""
    life, process, end, owner = await pool.admitted()
    await started(registry, owner, "pay")
    pool.drain.begin()
    life.drain()

    process.end("killed by SIGSEGV")

    assert (await end).is_fault
    assert evidence(await record_of(registry, "pay")).writer is AbandonWriter.SWEEP


async def test_the_last_messages_of_a_dead_one_are_read(pool: Pool) -> None:
    """Its report may still be in the pipe when it is seen to have ended."""
    _life, process, end, _owner = await pool.admitted()
    process.pipe.send(Report(DrainReport(finished=3)))
    process.end("exit 0")

    ended = await end

    assert ended.report.finished == 3
    assert not ended.is_fault


async def test_a_second_signal_reaches_the_worker_process(pool: Pool) -> None:
    """The worker process gets the message to hurry, and still drains."""
    life, process, _, _ = await pool.admitted()

    pool.drain.hurry()
    life.drain()

    await wait_until(lambda: Hurry() in process.received, "the message has reached it")


async def test_a_server_that_stays_away_does_not_delay_the_pool_for_ever(
    pool: Pool, server: fakeredis.FakeServer
) -> None:
    """A death that could not be recorded in the drain's time is reported as deferred, so that the exit code is 4."""
    _life, process, end, _owner = await pool.admitted()
    server.connected = False
    process.end("killed by SIGKILL")
    await wait_until(lambda: "reaped" in pool.journal, "it is reaped all the same")
    assert not end.done()

    pool.drain.begin()

    (left,) = (await end).report.deferred
    assert left.reason.startswith("whatever else pool/1 may hold: its death could not be recorded: ")


async def test_a_server_that_hangs_does_not_delay_the_pool_beyond_what_it_announces(
    pool: Pool, registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finishing the drain and recording the death share one time, within the time for which the pool asks."""

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


async def test_a_death_that_cannot_be_recorded_for_any_reason_ends_no_slot(
    pool: Pool, registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told of, and the slot starts the next worker process: a fault of one life is none of the pool."""

    async def fail(*_: object) -> None:
        raise OSError("no more files")

    _life, process, end, owner = await pool.admitted()
    await started(registry, owner, "pay")
    monkeypatch.setattr(registry, "record_death", fail)
    events = list[Event]()
    with subscribed(events.append):
        process.end("killed by SIGKILL")
        ended = await end

    assert "reaped" in pool.journal
    assert PoolFault(part="record_death", reason="OSError: no more files") in events
    assert [left.process_id for left in ended.report.deferred] == ["*"]


async def test_a_report_is_not_the_last_word_if_the_namespace_is_gone_when_the_death_is_recorded(
    pool: Pool, registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker process may have drained against another server too: more may be left, so that the exit code is 4."""

    async def mismatch(*_: object) -> None:
        raise NamespaceMismatch("the header is gone")

    life, process, end, _owner = await pool.admitted()
    monkeypatch.setattr(registry, "record_death", mismatch)
    pool.drain.begin()
    life.drain()
    process.pipe.send(Report(DrainReport(finished=3)))
    process.end("exit 0")

    (left,) = (await end).report.deferred
    assert left.process_id == "*"
    assert "the header is gone" in left.reason


@pytest.mark.parametrize("error", [LashError("no"), OSError("no")], ids=repr)
@pytest.mark.parametrize("fails", ["close_claims", "page"])
async def test_work_that_still_ran_is_reported_by_id_if_the_drain_cannot_be_finished(
    pool: Pool, registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch, fails: str, error: Exception
) -> None:
    """The worker process reported these ids before it was killed."""

    async def fail(*_: object, **__: object) -> None:
        raise error

    life, process, end, _owner = await pool.admitted()
    await registry.open()
    monkeypatch.setattr(registry, fails, fail)
    pool.drain.begin()
    life.drain()

    process.pipe.send(Report(DrainReport(deferred=[Deferred("pay", "still running")]), ["pay"]))

    deferred = (await end).report.deferred
    assert {left.process_id for left in deferred} == {"pay", "*"}
    assert all("no" in left.reason for left in deferred)


async def test_one_that_has_reported_and_does_not_exit_is_killed_before_the_pool_ends(pool: Pool) -> None:
    """It has reported everything, so that nothing is lost."""
    life, process, end, _owner = await pool.admitted()
    pool.drain.begin()
    life.drain()

    process.pipe.send(Report(DrainReport(finished=3)))

    async with asyncio.timeout(pool.settings.worker.must_allow_s):
        ended = await end
    assert (pool.journal[0], ended.report, ended.is_fault) == ("killed", DrainReport(finished=3), False)


def test_a_pool_needs_a_registry_made_from_a_url() -> None:
    """Another OS process can use a URL, and no client object."""
    with pytest.raises(SettingsError, match="made from a URL"):
        location_of(ProcessRegistry(fakeredis.FakeAsyncRedis()))

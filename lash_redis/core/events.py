"""The table of events: what a pool reports, each with typed fields, a level and its meaning.

This module is long because all events stand in one table.

An event is a struct. Its tag is its name, its docstring its meaning. Names and fields stay; a field may be added.
``subscribers.emit`` hands an event to whoever subscribed.
"""

from __future__ import annotations

import logging
from typing import ClassVar, Final

import msgspec

from lash_redis.core.model import Deferred


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened.

    Attributes:
        level: as ``logging`` has it.
        repeats_by: the field by whose value repetitions are told apart; empty if the event does not repeat itself.
    """

    level: ClassVar[int] = logging.INFO
    repeats_by: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """The event's name, ``subject.what_happened``."""
        return name_of(type(self))


def name_of(kind: type[Event]) -> str:
    """Return the name of one kind of event."""
    return str(kind.__struct_config__.tag)


class LimitKept(Event, frozen=True, tag="limit.kept"):
    """A limit or a rate was declared otherwise than what stands with the same revision: raise its revision."""

    level: ClassVar[int] = logging.WARNING

    limit: str
    revision: int
    declared: str


class QueueBoundKept(Event, frozen=True, tag="queue.bound_kept"):
    """A queue was declared with another bound than the one of the same revision that stands: raise its revision."""

    level: ClassVar[int] = logging.WARNING

    queue: str
    revision: int
    stands: str
    declared: str


class WorkerReady(Event, frozen=True, tag="worker.ready"):
    """The worker claims from now on."""

    owner: str
    incarnation: str
    queues: str
    concurrency: int


class WorkerHasNoTasks(Event, frozen=True, tag="worker.has_no_tasks"):
    """The worker was given no task: it recovers what others lose, and runs nothing."""

    level: ClassVar[int] = logging.WARNING

    owner: str


class WorkerReloading(Event, frozen=True, tag="worker.reloading"):
    """A file of its code has changed, and the pool reloads: the worker drains, and another one is started."""

    changed: str


class WorkerDraining(Event, frozen=True, tag="worker.draining"):
    """The worker claims no more."""

    owner: str
    running: int
    grace_ms: int


class WorkerDrained(Event, frozen=True, tag="worker.drained"):
    """The worker leaves."""

    owner: str
    finished: int
    released: int
    abandoned: list[str]
    deferred: list[Deferred]


class WorkerUnavailable(Event, frozen=True, tag="worker.unavailable"):
    """The server did not answer, or refused; the call is made again."""

    level: ClassVar[int] = logging.WARNING
    repeats_by: ClassVar[str] = "operation"

    operation: str
    reason: str


class WorkerFaulted(Event, frozen=True, tag="worker.faulted"):
    """A part of the worker met an error that nobody foresaw; it tries again."""

    level: ClassVar[int] = logging.ERROR
    repeats_by: ClassVar[str] = "operation"

    operation: str
    error: str
    traceback: str


class WorkerStoppedClaiming(Event, frozen=True, tag="worker.stopped_claiming"):
    """The namespace (one partition of it, or all) or the server is not what it was."""

    level: ClassVar[int] = logging.ERROR

    reason: str
    partition: int | None = None


class WorkerRecordedDead(Event, frozen=True, tag="worker.recorded_dead"):
    """Others take this worker for dead, although it lives; it drains and ends with a fault."""

    level: ClassVar[int] = logging.ERROR

    owner: str
    incarnation: str


class WorkerCannotBegin(Event, frozen=True, tag="worker.cannot_begin"):
    """The system gives no thread for what was claimed; it is given back, and less is claimed."""

    level: ClassVar[int] = logging.WARNING
    repeats_by: ClassVar[str] = "reason"

    process_id: str
    reason: str


class WorkerLeftLane(Event, frozen=True, tag="worker.left_lane"):
    """Work of another release's signature does not fit here; it stays queued, and its lane is left for some minutes."""

    level: ClassVar[int] = logging.WARNING

    task: str
    queue: str
    signature: str
    reason: str
    process_id: str | None = None


class RowsForgotten(Event, frozen=True, tag="rows.forgotten"):
    """Retention forgot so many rows that had ended, and results that were kept for a time of their own."""

    rows: int
    results: int


class RowsAccepted(Event, frozen=True, tag="rows.accepted"):
    """A prune resolved these abandoned processes as accepted, to forget them: nobody had said what became of them."""

    level: ClassVar[int] = logging.WARNING

    processes: list[str]
    by: str
    reason: str | None


class MemoryShort(Event, frozen=True, tag="server.memory_short"):
    """The server uses more than this share of its maxmemory: the oldest rows that have ended go, whatever their age."""

    level: ClassVar[int] = logging.WARNING

    used_bytes: int
    limit_bytes: int
    percent: int


class WorkerLanesFull(Event, frozen=True, tag="worker.lanes_full"):
    """More lanes of other releases have rows than the worker serves at a time; the others follow. Told once."""

    level: ClassVar[int] = logging.WARNING

    lanes: int


class WorkerBurstWaits(Event, frozen=True, tag="worker.burst_waits"):
    """A burst has had nothing to run for 10 s, and stays for what waits. Told once."""

    level: ClassVar[int] = logging.WARNING

    process_id: str
    reason: str
    then: str


class WorkerExitRefused(Event, frozen=True, tag="worker.exit_refused"):
    """User code (``sys.exit``, ``loop.stop``, a signal's handler) would end the worker process; it goes on."""

    level: ClassVar[int] = logging.WARNING
    repeats_by: ClassVar[str] = "where"

    asked_by: str
    where: str


class WorkerCancelled(Event, frozen=True, tag="worker.cancelled"):
    """User code cancelled all asyncio tasks, the worker's too; its worker process ends, and another is started."""

    level: ClassVar[int] = logging.ERROR

    by: str


class WorkUnserved(Event, frozen=True, tag="work.unserved"):
    """No worker that called within the last minute declares what was submitted; told once for each task and queue."""

    level: ClassVar[int] = logging.WARNING

    task: str
    queue: str
    reason: str


class RegistryBadAnswer(Event, frozen=True, tag="registry.bad_answer"):
    """The server refused a call of an open namespace, or answered what nobody understands; the call is made again."""

    level: ClassVar[int] = logging.ERROR
    repeats_by: ClassVar[str] = "operation"

    operation: str
    reply: str
    meaning: str


class RowUnreadable(Event, frozen=True, tag="row.unreadable"):
    """A row, owner, death, request or count cannot be read (a newer release wrote it?); it is left alone."""

    level: ClassVar[int] = logging.ERROR

    what: str
    id: str
    reason: str


class ProcessLeaseLost(Event, frozen=True, tag="process.lease_lost"):
    """The lease lapsed or was replaced while the work ran."""

    level: ClassVar[int] = logging.WARNING

    process_id: str


class ProcessResultRefused(Event, frozen=True, tag="process.result_refused"):
    """A result came too late to be written."""

    level: ClassVar[int] = logging.WARNING

    process_id: str
    status: str


class ProcessStopRequested(Event, frozen=True, tag="process.stop_requested"):
    """The work is asked to stop."""

    process_id: str
    why: str


class ProcessFailed(Event, frozen=True, tag="process.failed"):
    """The work raised an error, or its result could not be carried."""

    level: ClassVar[int] = logging.WARNING

    process_id: str
    code: str
    message: str
    traceback: str = ""
    attempt: int = 1


class ProcessRetried(Event, frozen=True, tag="process.retried"):
    """The run with this number failed, and the work runs again after so long; with no traceback if its code asked."""

    level: ClassVar[int] = logging.WARNING

    process_id: str
    attempt: int
    wait_ms: int
    code: str
    message: str
    traceback: str = ""


class ProcessCompleted(Event, frozen=True, tag="process.completed"):
    """The result of the work is written; its code took that long."""

    level: ClassVar[int] = logging.DEBUG

    process_id: str
    task: str
    took_ms: int


class ProcessSettled(Event, frozen=True, tag="process.settled"):
    """A verdict was carried out without a lease."""

    process_id: str
    line: int
    action: str


class ProcessAbandoned(Event, frozen=True, tag="process.abandoned"):
    """An owner was lost; the result is unknown."""

    level: ClassVar[int] = logging.WARNING

    process_id: str
    writer: str
    owner: str | None
    proof: str | None


class ProcessUncertain(Event, frozen=True, tag="process.uncertain"):
    """The work was started and its owner is silent; an abandon request settles it."""

    level: ClassVar[int] = logging.WARNING

    process_id: str
    owner: str | None


class PoolStarted(Event, frozen=True, tag="pool.started"):
    """The supervisor runs."""

    pid: int
    workers: int
    must_allow_s: int


class PoolServing(Event, frozen=True, tag="pool.serving"):
    """What the worker processes run, where it was found, and queues of these tasks that this pool does not serve."""

    task_count: int
    tasks: list[str]
    queues: list[str]
    modules: list[str]
    unserved_queues: list[str]


class PoolOtherLash(Event, frozen=True, tag="pool.other_lash"):
    """Modules that the pool imported have tasks of another Lash; a pool of that one runs them, this one does not."""

    level: ClassVar[int] = logging.WARNING

    lash: str
    tasks: list[str]


class PoolQueuesWithoutTasks(Event, frozen=True, tag="pool.queues_without_tasks"):
    """No task of this pool is declared for these of its queues; work is in them only if a submit names the queue."""

    level: ClassVar[int] = logging.WARNING

    queues: list[str]


class PoolWaiting(Event, frozen=True, tag="pool.waiting"):
    """A worker process that starts waits for its server; None as the limit: for as long as it takes."""

    level: ClassVar[int] = logging.WARNING
    repeats_by: ClassVar[str] = "operation"

    operation: str
    reason: str
    gives_up_after_s: float | None


class PoolSlowStart(Event, frozen=True, tag="pool.slow_start"):
    """A worker process does not get ready; SIGQUIT to its pid makes it show where it is."""

    level: ClassVar[int] = logging.WARNING

    slot: str
    pid: int
    doing: str
    waited_s: int


class PoolSpawned(Event, frozen=True, tag="pool.spawned"):
    """A worker process was started."""

    slot: str
    pid: int
    incarnation: str


class PoolDied(Event, frozen=True, tag="pool.died"):
    """A worker process ended on its own."""

    level: ClassVar[int] = logging.WARNING

    slot: str
    pid: int | None
    status: str


class PoolFault(Event, frozen=True, tag="pool.fault"):
    """A part of the pool failed; it goes on, is started again, or the pool ends with 1."""

    level: ClassVar[int] = logging.ERROR
    repeats_by: ClassVar[str] = "part"

    part: str
    reason: str


class PoolVersionDiffers(Event, frozen=True, tag="pool.version_differs"):
    """The package was changed on disk under a running supervisor; start the pool anew."""

    level: ClassVar[int] = logging.WARNING

    supervisor: str
    worker: str


class PoolReaped(Event, frozen=True, tag="pool.reaped"):
    """The death of a worker process is recorded and its work is settled."""

    slot: str
    pid: int
    status: str
    settled: int


class PoolSignal(Event, frozen=True, tag="pool.signal"):
    """A drain begins, or its grace is over."""

    signal: str
    grace_ms: int


class PoolDrained(Event, frozen=True, tag="pool.drained"):
    """The pool ends."""

    abandoned: list[str]
    deferred: list[Deferred]
    released: int
    finished: int


class ScheduleDeclared(Event, frozen=True, tag="schedule.declared"):
    """A schedule of the code is stored now: it is new, or its revision is higher than that of what stood."""

    schedule: str
    revision: int
    became: str


class ScheduleDiffers(Event, frozen=True, tag="schedule.differs"):
    """Code declares other content under the revision that is stored, which stands. Raise the revision in the code."""

    level: ClassVar[int] = logging.ERROR
    repeats_by: ClassVar[str] = "schedule"

    schedule: str
    revision: int
    location: str


class ScheduleNotStored(Event, frozen=True, tag="schedule.not_stored"):
    """A schedule of the code cannot be stored in this namespace. What stands of it stays, and so do all others."""

    level: ClassVar[int] = logging.ERROR
    repeats_by: ClassVar[str] = "schedule"

    schedule: str
    reason: str
    location: str


class ScheduleUndeclared(Event, frozen=True, tag="schedule.undeclared"):
    """A worker has the task of a stored schedule and does not declare the schedule. It ticks until it is removed."""

    level: ClassVar[int] = logging.WARNING

    schedule: str
    task: str


class ScheduleTicked(Event, frozen=True, tag="schedule.ticked"):
    """A tick was submitted."""

    level: ClassVar[int] = logging.DEBUG

    schedule: str
    process_id: str


class ScheduleMissed(Event, frozen=True, tag="schedule.missed"):
    """Ticks came too late and are left out; `missed=` of the schedule says which are made up for."""

    level: ClassVar[int] = logging.WARNING
    repeats_by: ClassVar[str] = "schedule"

    schedule: str
    ticks: int
    last_ms: int


class ScheduleRefused(Event, frozen=True, tag="schedule.refused"):
    """A bounded queue had no room for a tick. It counts as submitted, and does not come again."""

    level: ClassVar[int] = logging.WARNING
    repeats_by: ClassVar[str] = "schedule"

    schedule: str
    instant_ms: int


class ScheduleNotTicked(Event, frozen=True, tag="schedule.not_ticked"):
    """This worker cannot compute the ticks of a schedule; another one is told of it some seconds later."""

    level: ClassVar[int] = logging.ERROR
    repeats_by: ClassVar[str] = "schedule"

    schedule: str
    reason: str


EVENTS: Final[dict[str, type[Event]]] = {name_of(kind): kind for kind in Event.__subclasses__()}

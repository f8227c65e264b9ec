"""A worker process: ``python -m lash_redis.pool.child FD NAME``. Only the supervisor starts it.

It reads from its pipe which worker to be, imports the user's code, waits until its leases are renewed, and works until
it is told to drain. It leads a session of its own, so that signals to the supervisor's group do not reach it. SIGTERM
to it alone makes it alone drain.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from lash_redis.app.task import Task
from lash_redis.core.errors import LashError, RegistryUnavailable, SettingsError
from lash_redis.core.events import WorkerCancelled, WorkerUnavailable
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import DrainReport
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import backoff, boottime_ms, call_later, jittered
from lash_redis.core.trouble import SURVIVED
from lash_redis.pool import messages
from lash_redis.pool.connection import check_url, location_of
from lash_redis.pool.contained_loop import run_contained
from lash_redis.pool.forked_children import ForkedChildren
from lash_redis.pool.leaving import exit_within
from lash_redis.pool.loading import Loaded, load, serves, tasks_to_run
from lash_redis.pool.logs import log_to_stderr
from lash_redis.pool.pipe import Pipe
from lash_redis.pool.reloading import leave_when_changed
from lash_redis.pool.renewal import PipeRenewal
from lash_redis.pool.signals import block_signals, ignore_signals, unblock_signals
from lash_redis.pool.streams import background_stderr
from lash_redis.recovery.leftovers import STILL_RUNNING
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.transport.urls import URL_VARIABLE
from lash_redis.worker.renewal import RenewalThread
from lash_redis.worker.signals import DrainStep, SignalCounter, on_loop
from lash_redis.worker.worker import Worker

_EXIT_WITHIN_S = 2.0
_RENEW_AGAIN_S = 0.5
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0

_decoder: msgspec.msgpack.Decoder[messages.ToWorker] = msgspec.msgpack.Decoder(messages.ToWorker)


class Child:
    """One worker that follows its supervisor's messages.

    Args:
        start: which worker to be.
        loaded: the ``Lash`` of the user, and where it was found.
        tasks: of the ``Lash``, those to run.
        end: of the pipe to the supervisor.
        children: the OS processes that tasks fork.
    """

    def __init__(
        self,
        start: messages.Start,
        loaded: Loaded,
        tasks: Sequence[Task[..., Any]],
        end: socket.socket,
        children: ForkedChildren,
    ) -> None:
        self._start = start
        self._children = children
        self._loaded = loaded
        self._lash = loaded.lash
        self._tasks = tasks
        self._pipe: Pipe[messages.ToWorker] = Pipe(end, _decoder, self._on_message, self._on_supervisor_gone)
        self._signals = SignalCounter()
        self._may_claim = False
        self._told = asyncio.Event()  # set once it may claim, or is to leave without having claimed
        self._supervisor_gone = asyncio.Event()
        self._worker: Worker | None = None
        self._renewal: PipeRenewal | None = None
        self._draining: asyncio.Task[DrainReport] | None = None
        self._reloading: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Work until told to drain; return the exit code."""
        try:
            await self._prepare()
        except Exception as error:  # noqa: BLE001 - redis-py raises errors of its own for a URL that it does not know
            return await self._refuse(error)
        await self._told.wait()
        return await self._work() if self._may_claim else 0

    async def _prepare(self) -> None:
        check_url(self._lash, self._start.url)
        if not await self._open():
            return
        registry, start = self._lash.registry, self._start
        location = location_of(registry)
        owner = LeaseOwner.local_process(start.owner_id, start.incarnation_id)
        ttl_ms = start.settings.lease_ttl_ms
        self._renewal = PipeRenewal(RenewalThread(registry, owner_digest(owner), ttl_ms))
        self._worker = Worker(
            registry,
            self._tasks,
            owner,
            renewal=self._renewal,
            **msgspec.structs.asdict(start.settings),
        )
        told = serves(self._loaded, self._tasks, start.settings.queue_names)
        self._pipe.send(messages.Hello(owner, location, messages.VERSION, told))

    async def _open(self) -> bool:
        """Open the registry as soon as its server answers; return False if it is to leave before."""
        in_a_row = 0
        while not self._told.is_set():
            try:
                await self._lash.open()
            except RegistryUnavailable as error:
                self._pipe.send(messages.Waiting(str(error)), newest_of="waiting")
                in_a_row += 1
                with suppress(TimeoutError):
                    async with asyncio.timeout(jittered(backoff(in_a_row, _FIRST_WAIT_S, _LONGEST_WAIT_S), 0.2)):
                        await self._told.wait()
            else:
                return True
        return False

    async def _refuse(self, error: Exception) -> int:
        fatal = messages.fatal_for(error)
        self._pipe.send(fatal)
        await self._pipe.flush()
        return fatal.exit_code

    async def _work(self) -> int:
        assert self._worker is not None  # noqa: S101 - it is made before the supervisor can answer
        signal.signal(signal.SIGTERM, on_loop(asyncio.get_running_loop(), self._on_sigterm))
        self._children.own_handlers(signal.SIGTERM)
        self._pipe.send(messages.Ready())
        if self._start.reload:
            self._reloading = asyncio.get_running_loop().create_task(
                leave_when_changed(self._loaded.modules, self._loaded.since_ms, self._drain)
            )
        fault = None
        try:
            await self._worker.run()
        except SURVIVED as error:  # a bug here, or a server that refuses; the worker has drained anyway
            fault = error
            traceback.print_exception(error, file=background_stderr())
        return await self._report(await self._worker.drain(), fault)

    async def _report(self, report: DrainReport, fault: BaseException | None) -> int:
        assert self._worker is not None  # noqa: S101 - it has drained
        still_running = [left.process_id for left in report.deferred if left.reason == STILL_RUNNING]
        is_fault, unsent = fault is not None, self._worker.unsent
        self._pipe.send(messages.Report(report, still_running, is_fault=is_fault, unsent=unsent))
        await self._pipe.flush()
        if still_running:
            await self._supervisor_gone.wait()  # the supervisor kills this OS process and finishes the drain
        if fault is not None:
            return messages.FAULT
        return messages.DEFERRED if report.deferred else 0

    # ── messages and signals ───────────────────────────────────────────────────────────────────────────────────────

    def _on_message(self, message: messages.ToWorker) -> None:
        match message:
            case messages.Go():
                self._may_claim = True
                self._told.set()
            case messages.Renewed():
                if self._renewal is not None:
                    self._renewal.take_renewal(message.renewal)
            case messages.Drain():
                self._drain()
            case messages.Hurry():
                self._drain(hurry=True)
            case messages.Start():
                pass

    def _on_supervisor_gone(self) -> None:
        """Renew alone and drain: nobody else renews for this worker, and nobody would start it again (rule 6.6)."""
        self._supervisor_gone.set()
        self._renew_alone()
        self._drain()

    def _renew_alone(self) -> None:
        try:
            if self._renewal is not None:
                self._renewal.renew_alone()
        except (RuntimeError, MemoryError, OSError) as error:  # the system gives no thread now
            emit(WorkerUnavailable(operation="renew", reason=str(error)))
            call_later(asyncio.get_running_loop(), _RENEW_AGAIN_S, self._renew_alone)

    def _on_sigterm(self, _number: signal.Signals) -> None:
        step = self._signals.count(boottime_ms())
        if step is not None:
            self._drain(hurry=step is DrainStep.HURRY)

    def _drain(self, *, hurry: bool = False) -> None:
        self._told.set()
        if self._worker is None or not self._may_claim:
            return
        if hurry:
            self._worker.hurry()
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._worker.drain())


def main() -> int:
    """Run the worker that the supervisor names over the pipe whose file descriptor is the first argument.

    However it ends, this OS process ends soon after (``exit_within``): a worker process that hung at its end would be
    renewed for ever.
    """
    ignore_signals()
    with suppress(OSError, ValueError, AttributeError):  # there may be no standard error to write to
        faulthandler.register(signal.SIGQUIT, all_threads=True)
    unblock_signals()
    end = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(end.fileno(), False)  # noqa: FBT003 - positional only
    code = messages.FAULT
    try:
        code = _run(end, ForkedChildren(end))
    except BaseException as error:  # noqa: BLE001 - a bug here, or user code that has cancelled everything
        exit_within(_EXIT_WITHIN_S, code)  # first: the reader of standard error may be stalled
        traceback.print_exception(error)
    else:
        exit_within(_EXIT_WITHIN_S, code)
    block_signals()  # the interpreter ends its handlers before it ends
    return code


def _run(end: socket.socket, children: ForkedChildren) -> int:
    start = read_start(end)
    if start is None:
        return 0

    def tell(message: messages.ToSupervisor) -> None:
        with suppress(OSError):  # the supervisor is gone, which the pipe finds out
            end.sendall(messages.frame(message))

    if start.url:
        os.environ[URL_VARIABLE] = start.url
    try:
        loaded = load(
            start.target,
            start.imports,
            discovery=start.discovery,
            on_import=lambda module: tell(messages.Importing(module)),
        )
        tasks = tasks_to_run(loaded, start.tasks)
    except SettingsError as error:
        fatal = messages.fatal_for(error)
        tell(fatal)
        return fatal.exit_code
    tell(messages.Importing())
    log_to_stderr(loaded.modules)
    code = messages.FAULT

    async def work() -> None:
        nonlocal code
        try:
            code = await Child(start, loaded, tasks, end, children).run()
        finally:
            exit_within(_EXIT_WITHIN_S, code)  # before user code gets another turn: it may block the event loop
        with suppress(LashError):
            await loaded.lash.aclose()

    def ended(error: BaseException | None) -> None:
        if isinstance(error, asyncio.CancelledError):
            emit(WorkerCancelled(by="code in this worker process"))
        elif error is not None:
            traceback.print_exception(error)

    run_contained(work(), children.own_loop, ended)
    return code


def read_start(end: socket.socket) -> messages.Start | None:
    """Read the first message and nothing behind it, which is for the ``Pipe``. None if the supervisor is gone."""
    frames = messages.FrameReader()
    while received := end.recv(frames.missing_bytes):
        for body in frames.feed(received):
            return msgspec.msgpack.decode(body, type=messages.Start)
    return None


if __name__ == "__main__":
    sys.exit(main())

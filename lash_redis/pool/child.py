"""A worker process: ``python -m lash_redis.pool.child FD NAME``, started by the supervisor alone.

It is told over its pipe what to be, imports the user's code, waits until its leases are renewed, and works until it is
told to leave. Signals to the group of its supervisor do not reach it; SIGTERM to it alone lets it alone drain.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress

import msgspec

from lash_redis.app.lash import Lash
from lash_redis.core.errors import LashError, SettingsError
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import DrainReport
from lash_redis.core.timing import boottime_ms
from lash_redis.pool.connection import place_of
from lash_redis.pool.loading import load
from lash_redis.pool.logs import log_to_stderr
from lash_redis.pool.messages import (
    DEFERRED,
    FAULT,
    Drain,
    Frames,
    Go,
    Hello,
    Hurry,
    Ready,
    Renewed,
    Report,
    Start,
    ToWorker,
    framed,
    refusal,
)
from lash_redis.pool.pipe import Link
from lash_redis.pool.renewal import PipeRenewal
from lash_redis.pool.signals import HEARD, Asked, Presses, release
from lash_redis.recovery.leftovers import STILL_RUNNING
from lash_redis.registry.keys import owner_digest
from lash_redis.worker.worker import Worker

_LEAVE_WITHIN_S = 2.0

_decoder: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)


class Child:
    """One worker, led by its supervisor over the pipe.

    Args:
        start: what to be.
        lash: the user's.
        pipe: to the supervisor.
    """

    def __init__(self, start: Start, lash: Lash, pipe: socket.socket) -> None:
        self._start = start
        self._lash = lash
        self._link: Link[ToWorker] = Link(pipe, _decoder, self._heard, self._orphaned)
        self._presses = Presses()
        self._decided = asyncio.Event()  # whether it may claim, or is to leave before it ever did
        self._over = asyncio.Event()  # the supervisor is gone
        self._may_claim = False
        self._worker: Worker | None = None
        self._renewal: PipeRenewal | None = None
        self._draining: asyncio.Task[DrainReport] | None = None

    async def run(self) -> int:
        """Work until told to leave; return the exit code."""
        try:
            await self._prepare()
        except Exception as error:  # noqa: BLE001 - of a URL that redis-py does not understand the error is its own
            return await self._refuse(error)
        await self._decided.wait()
        return await self._work() if self._may_claim else 0

    async def _prepare(self) -> None:
        await self._lash.open()
        registry, start = self._lash.registry, self._start
        place = place_of(registry)
        owner = LeaseOwner.local_process(start.owner_id, start.incarnation_id)
        ttl_ms = start.settings.lease_ttl_ms
        self._renewal = PipeRenewal(registry, owner_digest(owner), ttl_ms)
        self._worker = Worker(
            registry, self._lash.tasks, owner, renewal=self._renewal, **msgspec.structs.asdict(start.settings)
        )
        self._link.send(Hello(owner, place))

    async def _refuse(self, error: Exception) -> int:
        fatal = refusal(error)
        self._link.send(fatal)
        await self._link.sent()
        return fatal.exit_code

    async def _work(self) -> int:
        assert self._worker is not None  # noqa: S101 - it was made before anybody could tell it to go
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._told_alone)
        self._link.send(Ready())
        fault = None
        try:
            await self._worker.run()
        except Exception as error:  # noqa: BLE001 - a bug of ours, or a server that refuses: it has drained all the same
            fault = error
            traceback.print_exception(error)
        return await self._report(await self._worker.drain(), fault)

    async def _report(self, report: DrainReport, fault: Exception | None) -> int:
        still_running = [left.process_id for left in report.deferred if left.reason == STILL_RUNNING]
        self._link.send(Report(report, still_running))
        await self._link.sent()
        if still_running:
            await self._over.wait()  # the supervisor ends us, and finishes the drain in our name
        if fault is not None:
            return FAULT
        return DEFERRED if report.deferred else 0

    # ── what it is told ────────────────────────────────────────────────────────────────────────────────────────────

    def _heard(self, message: ToWorker) -> None:
        match message:
            case Go():
                self._may_claim = True
                self._decided.set()
            case Renewed():
                if self._renewal is not None:
                    self._renewal.hear(message.renewal)
            case Drain():
                self._leave()
            case Hurry():
                self._leave(hurry=True)
            case Start():
                pass

    def _orphaned(self) -> None:
        """Nobody renews for it any more, and nobody restarts it: it renews by itself and leaves."""
        self._over.set()
        if self._renewal is not None:
            self._renewal.orphan()
        self._leave()

    def _told_alone(self) -> None:
        asked = self._presses.press(boottime_ms())
        if asked is not None:
            self._leave(hurry=asked is Asked.HURRY)

    def _leave(self, *, hurry: bool = False) -> None:
        self._decided.set()
        if self._worker is None or not self._may_claim:
            return
        if hurry:
            self._worker.hurry()
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._worker.drain())


def main() -> int:
    """Be what the supervisor says over the pipe whose file descriptor is the first argument."""
    for number in HEARD:
        signal.signal(number, _deaf)
    with suppress(OSError, ValueError, AttributeError):  # no standard error to write to
        faulthandler.register(signal.SIGQUIT, all_threads=True)
    release()
    pipe = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(pipe.fileno(), False)  # noqa: FBT003 - positional only
    start = _start_from(pipe)
    if start is None:
        return 0
    try:
        lash = load(start.target)
    except SettingsError as error:
        fatal = refusal(error)
        pipe.sendall(framed(fatal))
        return fatal.exit_code
    log_to_stderr()
    return asyncio.run(_run(start, lash, pipe))


async def _run(start: Start, lash: Lash, pipe: socket.socket) -> int:
    code = await Child(start, lash, pipe).run()
    _exit_within(_LEAVE_WITHIN_S, code)
    with suppress(LashError):
        await lash.aclose()
    return code


def _deaf(_number: int, _frame: object) -> None:
    """Hear a signal and do nothing. Not SIG_IGN, which the OS processes that tasks start would inherit."""


def _start_from(pipe: socket.socket) -> Start | None:
    """Read what to be, and not a byte more: what follows is for the link. None if the supervisor is gone."""
    frames = Frames()
    while received := pipe.recv(frames.missing):
        for body in frames.feed(received):
            return msgspec.msgpack.decode(body, type=Start)
    return None


def _exit_within(seconds: float, code: int) -> None:
    """Leave even if a thread that some task started would keep the interpreter for ever."""

    def leave() -> None:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main())

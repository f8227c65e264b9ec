"""Worker processes as OS processes: start one, see it end, kill its group, reap it, in that order (rule 2.5).

Seeing a process end does not reap it. Until it is reaped, its pid and its process group belong to nobody else.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Protocol

from lash_redis.core.timing import sleep
from lash_redis.pool.signals import signals_blocked

_POLL_S = 0.05
UNKNOWN = "unknown"


class WorkerProcess(Protocol):
    """One OS process, and the supervisor's end of the pipe to it. A simulation can replace it."""

    @property
    def pid(self) -> int:
        """Its pid, which no other process gets until it is reaped."""

    @property
    def pipe_end(self) -> socket.socket:
        """The supervisor's end of the pipe."""

    async def wait_for_end(self) -> str:
        """Wait until it has ended, without reaping it; return its status in words."""

    def kill(self) -> None:
        """Kill it now."""

    def show_stacks(self) -> None:
        """Make it write the stacks of its threads to its standard error."""

    def kill_group(self) -> None:
        """Kill what it left in its process group. Only after it has ended, and before it is reaped."""

    def reap(self) -> None:
        """Release its pid. Only after it has ended."""


Spawn = Callable[[str], WorkerProcess]


def spawn(owner_id: str) -> WorkerProcess:
    """Start a worker process, which waits for its ``Start`` message; the owner id only shows in ``ps``.

    It leads a session of its own, so that Ctrl-C and a hang-up reach the supervisor only.

    Raises:
        OSError: the system refused.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-m", "lash_redis.pool.child", str(theirs.fileno()), owner_id]
        try:
            # The child inherits the mask: signals to it wait until it has handlers of its own.
            with signals_blocked():
                child = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),), start_new_session=True
                )
        except BaseException:
            ours.close()
            raise
    return OsProcess(child, ours)


class OsProcess:
    """A child of this OS process."""

    def __init__(self, child: subprocess.Popen[bytes], pipe_end: socket.socket) -> None:
        self._child = child
        self.pid = child.pid
        self.pipe_end = pipe_end

    async def wait_for_end(self) -> str:
        """Wait until it has ended, without reaping it; return its status in words."""
        pidfd = _pidfd(self.pid)
        if pidfd is not None:
            try:
                await _readable(pidfd)
            finally:
                os.close(pidfd)
        while (status := self._status()) is None:
            await sleep(_POLL_S)
        return status

    def _status(self) -> str | None:
        if not hasattr(os, "waitid"):  # macOS before Python 3.13, where looking reaps
            code = self._child.poll()
            return None if code is None else status_text(exited=code >= 0, status=abs(code))
        try:
            seen = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            return UNKNOWN  # somebody else reaped it: it has ended, and its status is lost
        return None if seen is None else status_text(exited=seen.si_code == os.CLD_EXITED, status=seen.si_status)

    def kill(self) -> None:
        """Kill it now."""
        self._signal(signal.SIGKILL)

    def show_stacks(self) -> None:
        """Make it write the stacks of its threads to its standard error."""
        self._signal(signal.SIGQUIT)

    def _signal(self, number: signal.Signals) -> None:
        # Popen.send_signal would reap a process that has ended.
        if self._child.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill_group(self) -> None:
        """Kill what it left in its process group."""
        if self._child.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def reap(self) -> None:
        """Release its pid."""
        self._child.wait()


def reap_orphans(own_pids: Collection[int]) -> int:
    """Reap ended children that nobody waits for, as pid 1 must, up to the first of ``own_pids``; return how many."""
    count = 0
    with suppress(ChildProcessError):
        while (seen := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG)) and seen.si_pid not in own_pids:
            os.waitid(os.P_PID, seen.si_pid, os.WEXITED | os.WNOHANG)
            count += 1
    return count


def status_text(*, exited: bool, status: int) -> str:
    """Return how a process ended, in words; ``status`` is its exit status, or the signal that killed it."""
    if exited:
        return f"exit {status}"
    try:
        return f"killed by {signal.Signals(status).name}"
    except ValueError:
        return f"killed by signal {status}"  # a real-time signal has no name


def _pidfd(pid: int) -> int | None:
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None  # an old kernel, or a sandbox without this call


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    is_readable = asyncio.Event()
    loop.add_reader(fd, is_readable.set)
    try:
        await is_readable.wait()
    finally:
        loop.remove_reader(fd)

"""Worker processes as OS processes: start one, see it end, end its group, reap it. In that order (design, section 3).

Seeing is not reaping: as long as the dead one is not reaped, its pid and its process group can be nobody else's.
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
from lash_redis.pool.signals import held

_LOOK_EVERY_S = 0.05
UNKNOWN = "unknown"


class WorkerProcess(Protocol):
    """One OS process, and our end of the pipe to it. A simulation can stand in for it."""

    @property
    def pid(self) -> int:
        """Its pid, which stays its own until it is reaped."""

    @property
    def pipe(self) -> socket.socket:
        """Our end of the pipe."""

    async def ended(self) -> str:
        """Wait until it has ended, without reaping it; return how, in words."""

    def kill(self) -> None:
        """End it now."""

    def show_stacks(self) -> None:
        """Have it write the stacks of its threads to its standard error."""

    def end_group(self) -> None:
        """End what it left in its process group. Only once it has ended, and before it is reaped."""

    def reap(self) -> None:
        """Give its pid back. Only once it has ended."""


Spawn = Callable[[str], WorkerProcess]


def spawn(owner_id: str) -> WorkerProcess:
    """Start a worker process, which waits on its pipe to be told what to be; the name is for ``ps`` alone.

    It leads a session of its own, so that Ctrl-C and a hang-up reach the supervisor only.

    Raises:
        OSError: the system refused.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-m", "lash_redis.pool.child", str(theirs.fileno()), owner_id]
        try:
            # Until it has handlers of its own a signal to it waits; it inherits that.
            with held():
                child = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),), start_new_session=True
                )
        except BaseException:
            ours.close()
            raise
    return OsProcess(child, ours)


class OsProcess:
    """A child of this OS process."""

    def __init__(self, child: subprocess.Popen[bytes], pipe: socket.socket) -> None:
        self._child = child
        self.pid = child.pid
        self.pipe = pipe

    async def ended(self) -> str:
        """Wait until it has ended, without reaping it; return how, in words."""
        pidfd = _pidfd(self.pid)
        if pidfd is not None:
            try:
                await _readable(pidfd)
            finally:
                os.close(pidfd)
        while (status := self._look()) is None:
            await sleep(_LOOK_EVERY_S)
        return status

    def _look(self) -> str | None:
        if not hasattr(os, "waitid"):  # macOS before Python 3.13: there, to see is to reap
            code = self._child.poll()
            return None if code is None else _words(exited=code >= 0, status=abs(code))
        try:
            seen = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            return UNKNOWN  # somebody else reaped it: how it ended is not known, that it ended is
        return None if seen is None else _words(exited=seen.si_code == os.CLD_EXITED, status=seen.si_status)

    def kill(self) -> None:
        """End it now."""
        self._signal(signal.SIGKILL)

    def show_stacks(self) -> None:
        """Have it write the stacks of its threads to its standard error."""
        self._signal(signal.SIGQUIT)

    def _signal(self, number: signal.Signals) -> None:
        # Not Popen.send_signal, which would reap it if it has ended.
        if self._child.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def end_group(self) -> None:
        """End what it left in its process group."""
        if self._child.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def reap(self) -> None:
        """Give its pid back."""
        self._child.wait()


def reap_strangers(ours: Collection[int]) -> int:
    """Reap ended children that nobody waits for, as pid 1 must; stop at one of ours; return how many."""
    count = 0
    with suppress(ChildProcessError):
        while (seen := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG)) and seen.si_pid not in ours:
            os.waitid(os.P_PID, seen.si_pid, os.WEXITED | os.WNOHANG)
            count += 1
    return count


def _words(*, exited: bool, status: int) -> str:
    if exited:
        return f"exit {status}"
    try:
        return f"killed by {signal.Signals(status).name}"
    except ValueError:
        return f"killed by signal {status}"  # a real-time one has no name


def _pidfd(pid: int) -> int | None:
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None  # an older kernel, or a sandbox that does not know it


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    is_readable = asyncio.Event()
    loop.add_reader(fd, is_readable.set)
    try:
        await is_readable.wait()
    finally:
        loop.remove_reader(fd)

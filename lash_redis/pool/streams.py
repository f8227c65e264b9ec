"""The standard streams of a pool. Telling never blocks, and never fails.

Whoever reads a stream may stop reading, or may have gone. A file may be on a full disk, and a terminal may be closed.
So what is told goes through a bounded queue, and a daemon thread writes it. What does not fit or cannot be written is
dropped and counted.
"""

from __future__ import annotations

import io
import os
import select
import sys
import threading
import traceback
from collections import deque
from functools import cache

from lash_redis.core.forks import PerProcess
from lash_redis.core.timing import boottime_ms
from lash_redis.pool.signals import block_signals

STDOUT, STDERR = 1, 2

_MAX_WAITING_BYTES = 1 << 20
_ATOMIC_BYTES = 4096  # a write of at most this many into a pipe is not mixed with what other OS processes write


class BackgroundWriter(io.TextIOBase):
    """A text stream whose ``write`` only queues.

    A child made by ``os.fork`` begins with an empty queue and a thread of its own.

    Args:
        fd: where to write.
    """

    encoding = "utf-8"

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._queue = PerProcess(lambda: _Queue(fd))

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._fd

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Queue text; drop it if too much waits already."""
        if text:
            self._queue.get().put(text.encode(errors="backslashreplace"))
        return len(text)

    @property
    def waiting_bytes(self) -> int:
        """How much is neither written nor dropped yet."""
        return self._queue.get().waiting_bytes

    def finish(self, within_s: float) -> bool:
        """Wait until nothing is queued any more, and return whether all that was ever queued here has been written."""
        return self._queue.get().finish(within_s)


class _Queue:
    """What one OS process has yet to write to a file descriptor, and the thread that writes it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self.waiting_bytes = 0  # of what is being written too
        self._dropped = 0  # since the last write that succeeded
        self._all_written = True
        self._thread: threading.Thread | None = None

    def finish(self, within_s: float) -> bool:
        until_ms = boottime_ms() + within_s * 1000
        with self._changed:
            while self.waiting_bytes and (left_ms := until_ms - boottime_ms()) > 0:
                self._changed.wait(left_ms / 1000)
            return self._all_written and not self.waiting_bytes

    def put(self, data: bytes) -> None:
        with self._changed:
            if self.waiting_bytes and self.waiting_bytes + len(data) > _MAX_WAITING_BYTES:
                self._drop(1)
                return
            self._waiting.append(data)
            self.waiting_bytes += len(data)
            self._changed.notify_all()
            if self._thread is None:
                self._start_thread()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._write_queued, name=f"writes to {self._fd}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system gives no thread now; the next write tries again
            self._drop(len(self._waiting))
            self._waiting.clear()
            self.waiting_bytes = 0
        else:
            self._thread = thread

    def _drop(self, count: int) -> None:
        self._dropped += count
        self._all_written = False

    def _write_queued(self) -> None:
        block_signals()
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                data, count = self._take()
                told, size = self._dropped, len(data)
            if told:
                data = f"lash-redis: {told} lines before this one could not be written here\n".encode() + data
            is_written = _write_all(self._fd, data)
            with self._changed:
                self.waiting_bytes -= size
                if is_written:
                    self._dropped -= told
                else:
                    self._drop(count)
                self._changed.notify_all()

    def _take(self) -> tuple[bytes, int]:
        taken = [self._waiting.popleft()]
        size = len(taken[0])
        while self._waiting and size + len(self._waiting[0]) <= _ATOMIC_BYTES:
            taken.append(self._waiting.popleft())
            size += len(taken[-1])
        return b"".join(taken), len(taken)


def _write_all(fd: int, data: bytes) -> bool:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:  # another OS process has made the shared file non-blocking
            select.select([], [fd], [])
        except OSError:
            return False
    return True


@cache
def background_stderr() -> BackgroundWriter:
    """Return the one writer of this OS process to its standard error."""
    return BackgroundWriter(STDERR)


def hold_standard_streams() -> set[int]:
    """Open the null device in place of each standard stream that is closed; return the numbers of those.

    Otherwise the next file or socket of this OS process would get the number, and would be written to.
    """
    closed = {fd for fd in range(3) if not _is_open(fd)}
    for fd in sorted(closed):
        null = os.open(os.devnull, os.O_RDWR)
        if null != fd:
            os.dup2(null, fd)
            os.close(null)
        os.set_inheritable(fd, True)  # noqa: FBT003 - positional only
    return closed


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def stacks_of_threads() -> str:
    """Return the stack of each thread of this OS process. ``faulthandler`` would block on a stalled stream."""
    return "".join(
        f"Thread {number}, the last call is the last line:\n{''.join(traceback.format_stack(frame))}\n"
        for number, frame in sys._current_frames().items()  # noqa: SLF001 - the documented way to them
    )

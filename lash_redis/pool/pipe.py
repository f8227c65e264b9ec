"""One end of the pipe between supervisor and worker process, on an event loop. Sending never blocks.

A worker process may be stuck in a C call for minutes and read nothing. So what waits to be sent is bounded: a message
may take the place of an older one that says less, as a newer renewal does of the same partition's last one.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import msgspec

from lash_redis.core.errors import LashError
from lash_redis.pool.messages import Frames, ToSupervisor, ToWorker, framed

T = TypeVar("T", bound=ToSupervisor | ToWorker)

_READ_BYTES = 1 << 16
_READS_AT_ONCE = 64  # after a long block what matters is what was said last


class Link(Generic[T]):
    """Sends and receives messages until the other end is closed.

    Args:
        end: this end, of which the link is the owner from now on.
        decoder: of what arrives.
        on_message: called with each message.
        on_end: called once, when nothing can arrive any more; not after ``close``.
    """

    def __init__(
        self,
        end: socket.socket,
        decoder: msgspec.msgpack.Decoder[T],
        on_message: Callable[[T], None],
        on_end: Callable[[], None],
    ) -> None:
        end.settimeout(0)
        self._end = end
        self._decoder = decoder
        self._on_message = on_message
        self._on_end = on_end
        self._frames = Frames()
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[Hashable, bytes] = {}
        self._sending = memoryview(b"")
        self._sent = asyncio.Event()
        self._sent.set()
        self._is_over = False
        self._is_closed = False
        self._loop.add_reader(end, self._readable)

    def send(self, message: ToWorker | ToSupervisor, *, newest_of: Hashable | None = None) -> None:
        """Send a message as soon as the other end takes it.

        Args:
            message: what to say.
            newest_of: of messages with the same key that wait, only the newest is sent.
        """
        if self._is_over:
            return
        key = object() if newest_of is None else newest_of
        self._waiting.pop(key, None)
        self._waiting[key] = framed(message)
        self._write()

    async def sent(self) -> None:
        """Wait until all was sent, or nobody is left to read it."""
        await self._sent.wait()

    def read_rest(self) -> None:
        """Read what was sent before the other side died. Whoever inherited the pipe from it may hold it open."""
        while not self._is_over and self._read():
            pass

    def close(self) -> None:
        """Close this end; ``on_end`` is not called any more."""
        self._is_over = True
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._end)
            self._loop.remove_writer(self._end)
            self._end.close()
            self._sent.set()

    # ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _readable(self) -> None:
        for _ in range(_READS_AT_ONCE):
            if self._is_over or not self._read():
                return

    def _read(self) -> bool:
        """Read once; return whether more may follow at once."""
        try:
            received = self._end.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            received = b""
        try:
            bodies = self._frames.feed(received)
            messages = [self._decoder.decode(body) for body in bodies]
        except (LashError, msgspec.DecodeError):
            self._over()
            return False
        for message in messages:
            self._on_message(message)
        if not received:
            self._over()
        return bool(received)

    def _over(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._loop.remove_reader(self._end)
            self._nothing_to_send()
            self._on_end()

    # ── writing ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _write(self) -> None:
        while self._sending or self._waiting:
            if not self._sending:
                self._sending = memoryview(self._waiting.pop(next(iter(self._waiting))))
            try:
                count = self._end.send(self._sending)
            except (BlockingIOError, InterruptedError):
                self._sent.clear()
                self._loop.add_writer(self._end, self._write)
                return
            except OSError:
                break  # whoever reads sees the end for itself
            self._sending = self._sending[count:]
        self._nothing_to_send()

    def _nothing_to_send(self) -> None:
        self._waiting.clear()
        self._sending = memoryview(b"")
        self._loop.remove_writer(self._end)
        self._sent.set()

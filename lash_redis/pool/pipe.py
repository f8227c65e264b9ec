"""One end of the pipe between supervisor and worker process, on an event loop. Sending never blocks.

A worker process may be busy in a C call for minutes and read nothing. So the messages that wait to be sent are bounded:
a message may replace an older one that has become useless, as a new renewal replaces the last one of its partition.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Generic, TypeVar

import msgspec

from lash_redis.core.events import PoolFault
from lash_redis.core.subscribers import emit
from lash_redis.pool.messages import FrameReader, ToSupervisor, ToWorker, frame, unknown_kind
from lash_redis.pool.watch import described

T = TypeVar("T", bound=ToSupervisor | ToWorker)

_READ_BYTES = 1 << 16
_READS_AT_ONCE = 64  # after a long block the last messages matter, so that one callback reads many


class Pipe(Generic[T]):
    """Sends and receives messages until the other end is closed.

    Args:
        end: the socket of this end; the pipe closes it.
        decoder: decodes what arrives.
        on_message: called with each message.
        on_closed: called once, when nothing more can arrive; not after ``close``.
    """

    def __init__(
        self,
        end: socket.socket,
        decoder: msgspec.msgpack.Decoder[T],
        on_message: Callable[[T], None],
        on_closed: Callable[[], None],
    ) -> None:
        end.settimeout(0)
        self._end = end
        self._decoder = decoder
        self._on_message = on_message
        self._on_closed = on_closed
        self._frames = FrameReader()
        self._loop = asyncio.get_running_loop()
        self._queued: dict[Hashable, bytes] = {}
        self._sending = memoryview(b"")
        self._all_sent = asyncio.Event()
        self._all_sent.set()
        self._has_ended = False
        self._is_closed = False
        self._loop.add_reader(end, self._on_readable)

    def send(self, message: ToWorker | ToSupervisor, *, newest_of: Hashable | None = None) -> None:
        """Send a message as soon as the other end takes it.

        Args:
            message: the message.
            newest_of: a key. A queued message with the same key is dropped.
        """
        if self._has_ended:
            return
        key = object() if newest_of is None else newest_of
        self._queued.pop(key, None)
        self._queued[key] = frame(message)
        self._write()

    @property
    def queued(self) -> int:
        """How many messages wait until the other end takes them."""
        return len(self._queued)

    async def flush(self) -> None:
        """Wait until every message is sent, or the other end is closed."""
        await self._all_sent.wait()

    def read_rest(self) -> None:
        """Read what a dead other side sent, without waiting for the end: its children may hold the pipe open."""
        while not self._has_ended and self._read():
            pass

    def close(self) -> None:
        """Close this end; ``on_closed`` is not called any more."""
        self._has_ended = True
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._end)
            self._loop.remove_writer(self._end)
            self._end.close()
            self._all_sent.set()

    # ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_readable(self) -> None:
        for _ in range(_READS_AT_ONCE):
            if self._has_ended or not self._read():
                return

    def _read(self) -> bool:
        """Read once; return whether more may be there already."""
        try:
            received = self._end.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            received = b""
        try:
            for body in self._frames.feed(received):
                self._take(body)
        except Exception as error:  # noqa: BLE001 - an event loop would only log it, and go on without the message
            emit(PoolFault(part="pipe", reason=f"it is closed: {described(error)}"))
            with suppress(OSError):
                self._end.shutdown(socket.SHUT_RDWR)  # the other side shall not wait for what is not read any more
            self._end_reading()
            return False
        if not received:
            self._end_reading()
        return bool(received)

    def _take(self, body: bytes) -> None:
        try:
            message = self._decoder.decode(body)
        except msgspec.ValidationError:
            kind = unknown_kind(body)
            if kind is None:
                raise
            # The other side is of another version; what both know goes on.
            emit(PoolFault(part="pipe", reason=f"a message of an unknown kind is left alone: {kind!r}"))
            return
        self._on_message(message)

    def _end_reading(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._loop.remove_reader(self._end)
            self._drop_queued()
            self._on_closed()

    # ── writing ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _write(self) -> None:
        while self._sending or self._queued:
            if not self._sending:
                self._sending = memoryview(self._queued.pop(next(iter(self._queued))))
            try:
                count = self._end.send(self._sending)
            except (BlockingIOError, InterruptedError):
                self._all_sent.clear()
                self._loop.add_writer(self._end, self._write)
                return
            except OSError:
                break  # the next read finds that the other end is closed
            self._sending = self._sending[count:]
        self._drop_queued()

    def _drop_queued(self) -> None:
        self._queued.clear()
        self._sending = memoryview(b"")
        self._loop.remove_writer(self._end)
        self._all_sent.set()

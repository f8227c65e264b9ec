"""Async connections whose time-outs count silence, and that never hand out the answer to another call."""

from __future__ import annotations

import asyncio
import functools
from contextlib import suppress
from typing import Any, Final

from lash_redis.core.forks import let_go_in_children
from lash_redis.core.timing import call_later
from lash_redis.registry.transport.packing import packed
from lash_redis.registry.transport.silence import Owing, unsent_bytes

_LOOKS: Final = 5  # how often within the time-out we look whether bytes have moved


class AsyncPatience(Owing):
    """What an async connection of redis-py gets.

    One timer for each connection looks whether bytes move, as long as something is waited for there. What each call
    costs beside is that it notes when it began.
    """

    def __init__(self, *, silence_s: float, **parameters: Any) -> None:
        super().__init__(socket_timeout=None, **parameters)  # type: ignore[call-arg]
        self._silence_s = silence_s
        self._received = 0
        self._waits = 0  # how many waits are under way: what connects sends, too
        self._waits_in = ""  # what the last of them does
        self._moved_at, self._seen = 0.0, (0, 0)
        self._timer: asyncio.TimerHandle | None = None
        self._silence: Exception | None = None  # the error by which we gave it up

    async def connect_check_health(self, *args: Any, **kwargs: Any) -> None:
        """Connect."""
        try:
            await super().connect_check_health(*args, **kwargs)  # type: ignore[misc]
        except Exception as error:
            error.never_sent = True  # type: ignore[attr-defined]
            raise

    async def _connect(self) -> None:
        self._silence = None
        await super()._connect()  # type: ignore[misc]
        let_go_in_children(self, AsyncPatience.close_in_child)
        reader = self._reader
        feed = reader.feed_data

        def feed_data(data: Any) -> None:
            self._received += len(data)
            feed(data)

        reader.feed_data = feed_data

    async def is_at_rest(self) -> bool:
        """Return whether it is connected, and nothing has come that nobody asked for, such as its end."""
        return self._reader is not None and not self._was_reset and not await self._parser.can_read()

    async def can_read(self, *args: Any, **kwargs: Any) -> bool:
        """Return whether something has come that nobody asked for, as the pool asks before it hands this out."""
        return self._was_reset or bool(await super().can_read(*args, **kwargs))  # type: ignore[misc]

    @property
    def _was_reset(self) -> bool:
        """Whether it ended by an error, which is no end of the stream."""
        return self._reader is not None and self._reader.exception() is not None

    async def ask(self, packed: bytes) -> Any:
        """Send one request, and return its answer."""
        await self.send_packed_command((packed,), check_health=False)
        return await self.read_response()

    def close_in_child(self) -> object:
        """Close the copy that a forked child has, and send nothing: the parent's connection goes on.

        Its transport is kept and never used: what asyncio does to close one would also end the parent's interest in it,
        since parent and child share what the event loop waits on.
        """
        writer = self._writer
        self._reader = self._writer = None
        if writer is not None:
            sock = getattr(writer.transport.get_extra_info("socket"), "_sock", None)
            if sock is not None:
                sock.close()
        return writer

    def abandon(self) -> None:
        """Close this although its event loop was closed: asyncio would only warn of it when it is collected."""
        writer = self._writer
        self._reader = self._writer = None
        if writer is None:
            return
        lowest = _lowest(writer.transport)
        with suppress(RuntimeError):  # it closes, and cannot say so to its event loop
            writer.transport.abort()
        with suppress(Exception):  # not every event loop has transports of this kind
            lowest._call_connection_lost(None)  # noqa: SLF001 - what is public leaves this to the event loop

    async def disconnect(self, *args: Any, **kwargs: Any) -> None:
        """Disconnect; nothing is owed any more."""
        self.owed = 0
        if self._writer is not None and self._writer.transport.get_extra_info("ssl_object") is not None:
            # asyncio goes on until the server has confirmed the end, which may be after the end of the event loop.
            self._writer.close()  # it tells the server
            self._writer.transport.abort()
        await super().disconnect(*args, **kwargs)  # type: ignore[misc]

    async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        """Send a request, as long as bytes move."""
        self.owed += 1
        self._begin("writing to")
        try:
            await super().send_packed_command(*args, **kwargs)  # type: ignore[misc]
        except Exception as error:
            if self._silence is not None and error is not self._silence:
                raise self._silence from error
            raise
        finally:
            self._waits -= 1

    async def read_response(self, disable_decoding: bool = False, timeout: float | None = None, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 - as redis-py has it
        """Read an answer, as long as bytes move; with a time-out, which a subscriber gives, for so long."""
        from redis.exceptions import ResponseError

        if timeout is None:
            self._begin("reading from")
        try:
            answer = await super().read_response(disable_decoding, timeout, **kwargs)  # type: ignore[misc]
        except ResponseError:
            self.owed -= 1
            raise
        finally:
            if timeout is None:
                self._waits -= 1
        self.owed -= 1
        return answer

    # ── silence ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, what: str) -> None:
        """Note that something is waited for from now on."""
        loop = asyncio.get_running_loop()
        self._waits += 1
        self._waits_in, self._moved_at, self._seen = what, loop.time(), (self._received, 0)
        if self._timer is None:
            self._look_later(loop)

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = call_later(loop, self._silence_s / _LOOKS, lambda: self._look(loop))

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if not self._waits:
            return
        now, seen = loop.time(), (self._received, self._unsent())
        if seen != self._seen:
            self._moved_at, self._seen = now, seen
        if now - self._moved_at >= self._silence_s:
            self._give_up()
        self._look_later(loop)

    def _give_up(self) -> None:
        """End what is waited for with an error. The connection is closed, so that nobody reads a late answer."""
        reader, writer = self._reader, self._writer
        if reader is None or writer is None:
            return  # it is being opened, which redis-py bounds
        from redis.exceptions import TimeoutError as RedisTimeoutError

        place = self._host_error()  # type: ignore[attr-defined]
        self._silence = RedisTimeoutError(f"nothing moved for {self._silence_s:g} s while {self._waits_in} {place}")
        reader.set_exception(self._silence)
        writer.transport.abort()

    def _unsent(self) -> int:
        """Return how many bytes have yet to go."""
        writer = self._writer
        if writer is None:
            return 0
        transport = writer.transport
        # Under TLS asyncio encrypts all at once, and what waits to be sent is what the transport below holds.
        return unsent_bytes(transport.get_extra_info("socket")) + int(_lowest(transport).get_write_buffer_size())


def _lowest(transport: Any) -> Any:
    """Return the transport that has the socket: one of TLS stands upon another."""
    return getattr(getattr(transport, "_ssl_protocol", None), "_transport", None) or transport


class _AsyncDropping:
    """What an async pool of redis-py gets: no connection on which an answer is owed comes back.

    Both methods close before they wait for anything, so that no cancel leaves a connection open.
    """

    _is_left = False
    _waiting = 0  # how many callers wait for a connection
    _available_connections: list[Any]
    _in_use_connections: set[Any]

    async def call(self, *command: Any) -> Any:
        """Send one command and return its answer, past what redis-py's client does beside (retries, metrics, health).

        Who finds a connection at rest takes it. Everybody else waits, opens or closes as redis-py does.
        """
        request, available = packed(command), self._available_connections
        if available and not self._waiting and await available[-1].is_at_rest():
            connection = available.pop()
            self._in_use_connections.add(connection)
        else:
            connection = await self.get_connection()
        try:
            return await connection.ask(request)
        finally:
            if self._is_left or self._waiting or connection.owed > 0 or connection.should_reconnect():
                await self.release(connection)
            else:
                self._in_use_connections.remove(connection)
                available.append(connection)

    async def get_connection(self, *args: Any, **kwargs: Any) -> Any:
        """Take a connection; wait for one if all are in use."""
        self._waiting += 1
        try:
            return await super().get_connection(*args, **kwargs)  # type: ignore[misc]
        finally:
            self._waiting -= 1

    async def release(self, connection: Any) -> None:
        """Take a connection back."""
        if self._is_left or connection.owed > 0:
            await connection.disconnect(nowait=True)
        await super().release(connection)  # type: ignore[misc]

    async def leave(self) -> None:
        """Close what is idle now, and what is in use once its call has ended."""
        self._is_left = True
        for connection in list(self._available_connections):
            await connection.disconnect(nowait=True)

    def abandon(self) -> None:
        """Close all at once, although the event loop of these connections was closed."""
        for connection in [*self._available_connections, *self._in_use_connections]:
            connection.abandon()


@functools.cache
def patient_async(kind: type) -> type:
    """Return a class of async connections with ``AsyncPatience``."""
    return type(kind.__name__, (AsyncPatience, kind), {})


@functools.cache
def async_pool() -> Any:
    """Return the class of our pools for an event loop."""
    import redis.asyncio

    return type("Pool", (_AsyncDropping, redis.asyncio.BlockingConnectionPool), {})

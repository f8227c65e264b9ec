"""Async connections whose time-outs count silence, and that never hand out the answer to another call."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

from lash_redis.core.forks import let_go_in_children
from lash_redis.core.timing import call_later
from lash_redis.registry.transport.silence import Owing, unsent_bytes

_LOOKS: Final = 5  # how often within the time-out we look whether bytes have moved


class AsyncPatience(Owing):
    """What an async connection of redis-py gets."""

    def __init__(self, *, silence_s: float, **parameters: Any) -> None:
        super().__init__(socket_timeout=None, **parameters)  # type: ignore[call-arg]
        self._silence_s = silence_s
        self._received = 0

    async def connect_check_health(self, *args: Any, **kwargs: Any) -> None:
        """Connect."""
        try:
            await super().connect_check_health(*args, **kwargs)  # type: ignore[misc]
        except Exception as error:
            error.never_sent = True  # type: ignore[attr-defined]
            raise

    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[misc]
        let_go_in_children(self, AsyncPatience.close_in_child)
        reader = self._reader
        feed = reader.feed_data

        def feed_data(data: Any) -> None:
            self._received += len(data)
            feed(data)

        reader.feed_data = feed_data

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
        await super().disconnect(*args, **kwargs)  # type: ignore[misc]

    async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        """Send a request, as long as bytes move."""
        self.owed += 1
        async with self._patiently("writing to"):
            await super().send_packed_command(*args, **kwargs)  # type: ignore[misc]

    async def read_response(self, disable_decoding: bool = False, timeout: float | None = None, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 - as redis-py has it
        """Read an answer, as long as bytes move; with a time-out, which a subscriber gives, for so long."""
        from redis.exceptions import ResponseError

        read: Callable[..., Any] = super().read_response  # type: ignore[misc]
        try:
            if timeout is not None:
                answer = await read(disable_decoding, timeout, **kwargs)
            else:
                async with self._patiently("reading from"):
                    answer = await read(disable_decoding, **kwargs)
        except ResponseError:
            self._answered()
            raise
        self._answered()
        return answer

    def _patiently(self, what: str) -> _Patience:
        return _Patience(self, what)

    @property
    def received(self) -> int:
        """How many bytes have come."""
        return self._received

    @property
    def place(self) -> str:
        """Where the server is."""
        return str(self._host_error())  # type: ignore[attr-defined]

    @property
    def silence_s(self) -> float:
        """How long nothing may move."""
        return self._silence_s

    def unsent(self) -> int:
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


class _Patience:
    """Lets what is done inside go on as long as bytes move. It is entered twice for each call, so it does little."""

    __slots__ = ("_bound", "_connection", "_loop", "_moved_at", "_received", "_timer", "_unsent", "_what")

    def __init__(self, connection: AsyncPatience, what: str) -> None:
        self._connection = connection
        self._what = what

    async def __aenter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._bound = asyncio.timeout(None)
        await self._bound.__aenter__()
        self._moved_at, self._received, self._unsent = self._loop.time(), self._connection.received, 0
        self._timer = call_later(self._loop, self._connection.silence_s / _LOOKS, self._look)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._timer.cancel()
        try:
            await self._bound.__aexit__(kind, error, at)
        except TimeoutError:
            pass
        else:
            return
        from redis.exceptions import TimeoutError as RedisTimeoutError

        raise RedisTimeoutError(
            f"nothing moved for {self._connection.silence_s:g} s while {self._what} {self._connection.place}"
        )

    def _look(self) -> None:
        now, received, unsent = self._loop.time(), self._connection.received, self._connection.unsent()
        if received != self._received or unsent != self._unsent:
            self._moved_at = now
        self._received, self._unsent = received, unsent
        if now - self._moved_at >= self._connection.silence_s:
            self._bound.reschedule(now)
        else:
            self._timer = call_later(self._loop, self._connection.silence_s / _LOOKS, self._look)


class _AsyncDropping:
    """What an async pool of redis-py gets: no connection on which an answer is owed comes back.

    Both methods close before they wait for anything, so that no cancel leaves a connection open.
    """

    _is_left = False
    _available_connections: list[Any]
    _in_use_connections: set[Any]

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

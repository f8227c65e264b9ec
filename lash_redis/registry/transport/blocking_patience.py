"""Blocking connections whose time-outs count silence, and that never hand out the answer to another call."""

from __future__ import annotations

import functools
import queue
import types
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final

from lash_redis.core.forks import let_go_in_children
from lash_redis.registry.transport.packing import packed
from lash_redis.registry.transport.silence import Owing, unsent_bytes

if TYPE_CHECKING:
    import socket

_PIECE: Final = 16 << 10


class BlockingPatience(Owing):
    """What a blocking connection of redis-py gets."""

    def connect_check_health(self, *args: Any, **kwargs: Any) -> None:
        """Connect."""
        try:
            super().connect_check_health(*args, **kwargs)  # type: ignore[misc]
        except Exception as error:
            error.never_sent = True  # type: ignore[attr-defined]
            raise

    def _connect(self) -> Any:
        let_go_in_children(self, BlockingPatience.close_in_child)
        return _PatientSocket(super()._connect())  # type: ignore[misc]

    def is_at_rest(self) -> bool:
        """Return whether it is connected, and nothing has come that nobody asked for, such as its end."""
        from redis.exceptions import ConnectionError as RedisConnectionError

        try:
            return self._sock is not None and not self._parser.can_read(0)
        except (RedisConnectionError, OSError):
            return False

    def ask(self, packed: bytes) -> Any:
        """Send one request, and return its answer."""
        self.send_packed_command((packed,), check_health=False)
        return self.read_response()

    def close_in_child(self) -> None:
        """Close the copy that a forked child has, and send nothing: the parent's connection goes on."""
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    def disconnect(self, *args: Any, **kwargs: Any) -> None:
        """Disconnect; nothing is owed any more."""
        self.owed = 0
        super().disconnect(*args, **kwargs)  # type: ignore[misc]

    def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        """Send a request."""
        self.owed += 1
        super().send_packed_command(*args, **kwargs)  # type: ignore[misc]

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Read an answer."""
        from redis.exceptions import ResponseError

        try:
            answer = super().read_response(*args, **kwargs)  # type: ignore[misc]
        except ResponseError:
            self.owed -= 1
            raise
        self.owed -= 1
        return answer


class _PatientSocket:
    """A socket whose time-out counts silence, also while a long request is on its way."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def sendall(self, data: bytes) -> None:
        """Send all; the time-out is one for each piece (that of a socket is one for all)."""
        left = memoryview(data)
        while left:
            left = left[self._sock.send(left[:_PIECE]) :]

    def recv(self, *args: Any) -> bytes:
        """Receive; the time-out begins again while what was sent is still on its way."""
        received: bytes = self._patiently(self._sock.recv, *args)
        return received

    def recv_into(self, *args: Any) -> int:
        """Do as ``recv`` does, into a buffer."""
        received: int = self._patiently(self._sock.recv_into, *args)
        return received

    def _patiently(self, receive: Callable[..., Any], *args: Any) -> Any:
        unsent = 0
        while True:
            try:
                return receive(*args)
            except TimeoutError:
                still_unsent = unsent_bytes(self._sock)
                if still_unsent == unsent:
                    raise
                unsent = still_unsent


class _BlockingDropping:
    """What a blocking pool of redis-py gets."""

    _is_left = False
    pool: queue.LifoQueue[Any]  # of those that are idle, and None for each that may yet be opened

    def call(self, *command: Any) -> Any:
        """Send one command and return its answer, past what redis-py's client does beside (retries, metrics, health).

        Who finds a connection at rest takes it. Everybody else waits, opens or closes as redis-py does.
        """
        request = packed(command)
        connection = self._at_rest() or self.get_connection()  # type: ignore[attr-defined]
        try:
            return connection.ask(request)
        finally:
            self._take_back(connection)

    @types.coroutine
    def halved(self, *command: Any) -> Generator[None, None, Any]:
        """Do what ``call`` does, and stop between the request and the answer, so that the caller can do something."""
        request = packed(command)
        connection = self._at_rest() or self.get_connection()  # type: ignore[attr-defined]
        try:
            connection.send_packed_command((request,), check_health=False)
            yield
            return connection.read_response()
        finally:
            self._take_back(connection)

    def _take_back(self, connection: Any) -> None:
        if self._is_left or connection.owed > 0 or connection.should_reconnect():
            self.release(connection)
        else:
            self.pool.put_nowait(connection)

    def _at_rest(self) -> Any:
        """Take a connection that is at rest; return None if there is none."""
        try:
            connection = self.pool.get_nowait()
        except queue.Empty:
            return None
        if connection is not None and connection.is_at_rest():
            return connection
        self.pool.put_nowait(connection)
        return None

    def release(self, connection: Any) -> None:
        """Take a connection back."""
        if self._is_left or connection.owed > 0:
            connection.disconnect()
        super().release(connection)  # type: ignore[misc]

    def leave(self) -> None:
        """Close what is idle now, and what is in use once its call has ended."""
        self._is_left = True
        self.disconnect(inuse_connections=False)  # type: ignore[attr-defined]


@functools.cache
def patient_blocking(kind: type) -> type:
    """Return a class of blocking connections with ``BlockingPatience``."""
    return type(kind.__name__, (BlockingPatience, kind), {})


@functools.cache
def blocking_pool() -> Any:
    """Return the class of our pools for code without an event loop."""
    import redis

    return type("Pool", (_BlockingDropping, redis.BlockingConnectionPool), {})

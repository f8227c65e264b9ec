"""The connections of one ``Lash``: one for each event loop that uses it, and one for code without an event loop.

An async connection of redis-py belongs to the loop that opened it, so that each loop gets its own at first use. A
closed connection is opened again at the next use.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from lash_redis.app.waiting import BlockingWaiter, Waiter
from lash_redis.core.errors import SettingsError
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.registry import ProcessRegistry

if TYPE_CHECKING:
    from lash_redis.embedded.connect import EmbeddedServer

URL_VARIABLE: Final = "LASH_REDIS_URL"


class AsyncConnection:
    """The registry of one event loop, and its waits."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self.registry = registry
        self.waiter = Waiter(registry)

    async def aclose(self) -> None:
        """Close it, and end its waits with an error."""
        await self.waiter.aclose()
        await self.registry.aclose()


class BlockingConnection:
    """The registry of code without an event loop, and its waits. Any thread may use it."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self.registry = BlockingRegistry(registry)
        self.waiter = BlockingWaiter(self.registry)

    def close(self) -> None:
        """Close it, and end its waits with an error."""
        self.waiter.close()
        self.registry.close()


class ServerSource:
    """Where the server comes from: what the user gave, else ``$LASH_REDIS_URL``, else the embedded server.

    It is a user of the embedded server from ``get`` to ``release``.
    """

    def __init__(self, given: Any) -> None:
        self._given = given
        self._embedded: EmbeddedServer | None = None
        self._lock = threading.Lock()

    @property
    def is_known(self) -> bool:
        """Whether ``get`` returns at once."""
        return self._given is not None or self._embedded is not None or bool(os.environ.get(URL_VARIABLE))

    def get(self) -> Any:
        """Return a URL or a client; block while the embedded server starts."""
        if self._given is not None:
            return self._given
        if url := os.environ.get(URL_VARIABLE):
            return url
        from lash_redis.embedded.connect import open_embedded  # noqa: PLC0415 - not needed with a URL

        with self._lock:
            if self._embedded is None:
                self._embedded = open_embedded()
            return self._embedded.url

    def release(self) -> None:
        """Stop being a user of the embedded server."""
        with self._lock:
            embedded, self._embedded = self._embedded, None
        if embedded is not None:
            embedded.close()


class Connections:
    """The connections of one ``Lash``, each made at its first use.

    Args:
        server: where the server comes from.
        new_registry: makes a registry for a URL or a client, without I/O.
    """

    def __init__(self, server: ServerSource, new_registry: Callable[[Any], ProcessRegistry]) -> None:
        self._server = server
        self._new_registry = new_registry
        self._lock = threading.Lock()
        self._blocking: BlockingConnection | None = None
        # Under None: a connection taken before any loop ran, as in ``Worker(lash.registry)``. The next loop gets it.
        self._by_loop: dict[asyncio.AbstractEventLoop | None, AsyncConnection] = {}

    async def current(self) -> AsyncConnection:
        """Return the running loop's connection, without blocking the loop."""
        if not self._server.is_known:
            await asyncio.to_thread(self._server.get)
        return self.current_or_next()

    def current_or_next(self) -> AsyncConnection:
        """Return the connection of the running loop, or of the next one if none runs.

        It blocks while the embedded server starts.
        """
        source, loop = self._server.get(), _running_loop()
        with self._lock:
            connection = self._by_loop.get(loop)
            if connection is None:
                connection = self._by_loop.pop(None, None) or AsyncConnection(self._make_registry(source))
                self._drop_closed_loops()
                self._by_loop[loop] = connection
            return connection

    def blocking(self) -> BlockingConnection:
        """Return the blocking connection; block while the embedded server starts."""
        source = self._server.get()
        with self._lock:
            if self._blocking is None:
                self._blocking = BlockingConnection(self._make_registry(source))
            return self._blocking

    async def aclose(self) -> None:
        """Close the running loop's connection and the blocking one."""
        with self._lock:
            connection = self._by_loop.pop(asyncio.get_running_loop(), None)
        if connection is not None:
            await connection.aclose()
        self.close()

    def close(self) -> None:
        """Close the blocking connection, and release the embedded server unless a loop still uses it."""
        with self._lock:
            blocking, self._blocking = self._blocking, None
            self._by_loop.pop(None, None)
            self._drop_closed_loops()
            is_last = not self._by_loop
        if blocking is not None:
            blocking.close()
        if is_last:
            self._server.release()

    def _make_registry(self, source: Any) -> ProcessRegistry:
        try:
            return self._new_registry(source)
        except SettingsError as error:
            error.add_note(f"it comes from ${URL_VARIABLE}")  # the constructor has checked what was given
            raise

    def _drop_closed_loops(self) -> None:
        self._by_loop = {
            loop: connection for loop, connection in self._by_loop.items() if loop is None or not loop.is_closed()
        }


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

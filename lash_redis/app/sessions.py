"""The sessions of one ``Lash``: one for each event loop that uses it, and one for code without an event loop.

An async connection of redis-py belongs to the event loop that opened it. So each loop gets a session of its own at its
first use of the ``Lash``. A closed session is opened again at the next use. A child made by ``os.fork`` uses none that
it inherited: the connections are its parent's, and so are the waits and the threads that listen (rule 2.8).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from lash_redis.app.blocking_waiter import BlockingWaiter
from lash_redis.app.server_source import ServerSource
from lash_redis.app.waiter import Waiter
from lash_redis.core.errors import SettingsError
from lash_redis.core.forks import let_go_in_children
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.urls import URL_VARIABLE


class Session:
    """The registry of one event loop, and its waits."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self.registry = registry
        self.waiter = Waiter(registry)

    async def aclose(self) -> None:
        """Close the session, and end its waits with an error."""
        await self.waiter.aclose()
        await self.registry.aclose()


class BlockingSession:
    """The registry of code without an event loop, and its waits. Any thread may use it."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self.registry = BlockingRegistry(registry)
        self.waiter = BlockingWaiter(self.registry)

    def close(self) -> None:
        """Close the session, and end its waits with an error."""
        self.waiter.close()
        self.registry.close()


class Sessions:
    """The sessions of one ``Lash``, each made at its first use.

    Args:
        server: where the server comes from.
        new_registry: makes a registry for a URL or a client, without I/O.
    """

    def __init__(self, server: ServerSource, new_registry: Callable[[Any], ProcessRegistry]) -> None:
        self._server = server
        self._new_registry = new_registry
        self._lock = threading.Lock()
        self._blocking: BlockingSession | None = None
        # Under None: a session taken before any loop ran, as in ``Worker(lash.registry)``. The next loop gets it.
        self._by_loop: dict[asyncio.AbstractEventLoop | None, Session] = {}
        let_go_in_children(self, Sessions.begin_anew)

    def begin_anew(self) -> object:
        """Forget every session and return it: this OS process is a forked child, and they are its parent's.

        The one that no loop has used yet is for the next loop still, so that a ``Worker(lash.registry)`` that was made
        before the fork shares it. Another thread of the parent may have held the lock, so there is a new one.
        """
        self._lock = threading.Lock()
        inherited = (self._blocking, self._by_loop)
        self._blocking, self._by_loop = None, {loop: each for loop, each in self._by_loop.items() if loop is None}
        self._server.begin_anew()
        return inherited

    async def current(self) -> Session:
        """Return the running loop's session, without blocking the loop."""
        if not self._server.is_known:
            await asyncio.to_thread(self._server.get)
        return self.current_or_next()

    def current_or_next(self) -> Session:
        """Return the session of the running loop, or of the next one if none runs.

        It blocks while the embedded server starts.
        """
        source, loop = self._server.get(), _running_loop()
        with self._lock:
            session = self._by_loop.get(loop)
            if session is None:
                session = self._by_loop.pop(None, None) or Session(self._make_registry(source))
                self._drop_closed_loops()
                self._by_loop[loop] = session
            return session

    def blocking(self) -> BlockingSession:
        """Return the blocking session; block while the embedded server starts."""
        source = self._server.get()
        with self._lock:
            if self._blocking is None:
                self._blocking = BlockingSession(self._make_registry(source))
            return self._blocking

    async def aclose(self) -> None:
        """Close the running loop's session and the blocking one."""
        with self._lock:
            session = self._by_loop.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.aclose()
        self.close()

    def close(self) -> None:
        """Close the blocking session, and release the embedded server unless a loop still uses it."""
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
            loop: session for loop, session in self._by_loop.items() if loop is None or not loop.is_closed()
        }


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

"""The sessions of one ``Lash``: one for each event loop that uses it, and one for code without an event loop.

All share one registry, in which each event loop has connections of its own. *Users* are counted: the ``async with``
blocks and the workers of an event loop, and the ``with`` blocks of ``blocking``. Only the last one closes (rule 11.8).
What was closed is opened again at the next use. A child made by ``os.fork`` uses nothing that it inherited: the
connections are its parent's, and so are the waits and the threads that listen (rule 2.8).
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from lash_redis.app.blocking_waiter import BlockingWaiter
from lash_redis.app.joined_submits import TermsOf
from lash_redis.app.server_source import ServerSource
from lash_redis.app.waiter import Waiter
from lash_redis.core.errors import SettingsError
from lash_redis.core.forks import let_go_in_children
from lash_redis.core.loops import PerLoop, running_loop
from lash_redis.core.model import ProcessRegistration
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.declaration import Declaration


class Session:
    """The registry for one event loop, its submits and its waits."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self.registry = registry
        self.waiter = Waiter(registry)


class BlockingSession:
    """The registry of code without an event loop, and its waits. Any thread may use it."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self.registry = BlockingRegistry(registry)
        self.waiter = BlockingWaiter(self.registry)
        self.users = 0

    @property
    def is_open(self) -> bool:
        """Whether it has users, waits or connections."""
        return self.users > 0 or self.waiter.has_waits or self.registry.connections.is_open


class Sessions:
    """The sessions of one ``Lash``.

    Args:
        source: where the server comes from.
        registry: whose server that is.
    """

    def __init__(self, source: ServerSource, registry: ProcessRegistry) -> None:
        self.registry = registry
        self._source = source
        self._lock = threading.Lock()
        self._blocking = BlockingSession(registry)
        self._by_loop = PerLoop(lambda: Session(registry), lambda session: session.waiter.aclose())
        registry.close_unused = self._close_unused
        let_go_in_children(self, Sessions.begin_anew)

    def begin_anew(self) -> object:
        """Have a new blocking session and return the old one: this OS process is a forked child.

        Another thread of the parent may have held the lock, so there is a new one.
        """
        self._lock = threading.Lock()
        inherited, self._blocking = self._blocking, BlockingSession(self.registry)
        self._source.begin_anew()
        return inherited

    def current(self) -> Session:
        """Return the running event loop's session."""
        return self._by_loop.get()

    async def submit(self, registration: ProcessRegistration, task: Declaration, terms_of: TermsOf) -> str:
        """Register a process; return the id of the one that stands for it (see ``Waiter.submit``)."""
        return await self.current().waiter.submit(registration, task, terms_of)

    def blocking(self) -> BlockingSession:
        """Return the blocking session.

        Raises:
            SettingsError: an event loop runs in this thread, which any call would stop.
        """
        if running_loop() is not None:
            raise SettingsError(
                "expected a call of .blocking in a thread without an event loop, got one in which an event loop runs, "
                "and everything on it would stand still: await the same name without .blocking, or call it by "
                "asyncio.to_thread(...)"
            )
        return self._blocking

    # ── users ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def aclose(self) -> None:
        """Close the running event loop's session and the blocking one, unless the loop has a user.

        Waits of code that is no user end with an error.
        """
        if self.registry.connections.is_used_here:
            return
        await self._close_here()
        self.close()

    def join_blocking(self) -> None:
        """Count one more user of the blocking session."""
        with self._lock:
            self._blocking.users += 1

    def part_blocking(self) -> None:
        """Count one user less of the blocking session. The last one closes it, unless a thread waits there."""
        with self._lock:
            self._blocking.users = max(self._blocking.users - 1, 0)  # a forked child has not joined
            is_last = not self._blocking.users
        if is_last and self._blocking.waiter.close_if_idle():
            self._blocking.registry.close()
        self._release()

    def close(self) -> None:
        """Close the blocking session, unless it has a user; its waits end with an error."""
        if not self._blocking.users:
            self._blocking.waiter.close()
            self._blocking.registry.close()
        self._release()

    async def _close_here(self) -> None:
        session = self._by_loop.here()
        if session is not None:
            await session.waiter.aclose()
        await self.registry.aclose()

    async def _close_unused(self) -> None:
        """Close what nobody uses: the last user of the running event loop has left. Waits go on.

        The blocking session too, if nobody uses anything: what opened it may have been within an ``async with``.
        """
        session = self._by_loop.here()
        if session is None or await session.waiter.aclose_if_idle():
            await self.registry.aclose()
        if not self.registry.connections.is_open and not self._blocking.users:
            if self._blocking.waiter.close_if_idle():
                self._blocking.registry.close()
            self._release()

    def _release(self) -> None:
        """Stop being a user of the embedded server, unless something is open."""
        with self._lock:
            if self._source.is_ours and not self.registry.connections.is_open and not self._blocking.is_open:
                self.registry.address.forget()
                self._source.release()

    # ── another server ─────────────────────────────────────────────────────────────────────────────────────────────

    def use(self, given: Any) -> Any:
        """Take another server from now on; return what was given before.

        Raises:
            SettingsError: somebody uses the present one.
        """
        with self._lock:
            self._expect_no_use()
            before, self._source.given = self._source.given, given
            self.registry.find_anew()
            self._source.release()
        for loop, session in self._by_loop.living():
            loop.call_soon_threadsafe(session.waiter.hush)
        if self._blocking.waiter.close_if_idle():
            self._blocking.registry.close()
        return before

    def _expect_no_use(self) -> None:
        users = self.registry.connections.users + self._blocking.users
        waits = sum(session.waiter.has_waits for _, session in self._by_loop.living()) + self._blocking.waiter.has_waits
        if users or waits:
            raise SettingsError(
                f"expected a Lash that nobody uses while it gets another server, got one with {users} `with` blocks "
                f"and workers, and with waits in {waits} event loops and threads: leave the blocks, drain the workers, "
                "and let the waits end first"
            )


class Replacement:
    """Another server in the place of that of a ``Lash``: as a context manager it gives the former one back."""

    def __init__(self, sessions: Sessions, before: Any) -> None:
        self._sessions = sessions
        self._before = before

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._sessions.use(self._before)

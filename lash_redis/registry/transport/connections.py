"""The connections to one server: those of an event loop, and those of code without one.

Everything above this module is written once, as coroutines. Those over ``BlockingConnections`` never suspend, so that
``finished`` runs them to their end at once, in the calling thread.

Connections are of one OS process and of one generation of the address: what a fork left behind, and what was opened
before the server may have become another one, is not used again (rule 8.11).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from lash_redis.core.timing import pause, sleep
from lash_redis.registry.transport.address import Address

if TYPE_CHECKING:
    import redis
    import redis.asyncio

T = TypeVar("T")

# How many connections of each kind there are at most. Claims and control traffic (renewals, results) have their own, so
# that other calls do not hold them up (rule 8.11).
WIDTHS: Final = {"calls": 8, "control": 2, "claim": 2}


class Connections(Protocol):
    """What the sender needs of either kind; each connection opens when it is first needed."""

    address: Address

    def execute(self, kind: str, *command: Any) -> Awaitable[Any]:
        """Send one command on a connection of this kind, and return the reply; redis-py's errors pass."""

    def pause(self, seconds: float) -> Awaitable[None]:
        """Wait."""

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Return what makes tasks that share these connections take turns."""

    async def aclose(self) -> None:
        """Close what was opened."""


class AsyncConnections:
    """Connections that belong to the event loop that opens them."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._clients: dict[str, redis.asyncio.Redis] = {}
        self._opened_in = (os.getpid(), address.generation)

    async def execute(self, kind: str, *command: Any) -> Any:
        """Send one command, and return its reply."""
        if self._opened_in != (now := (os.getpid(), self.address.generation)):
            await self._leave(now)
        client = self._clients.get(kind)
        if client is None:
            client = self._clients[kind] = self.address.async_client(WIDTHS[kind])
        return await client.execute_command(*command)  # type: ignore[no-untyped-call]

    async def _leave(self, now: tuple[int, int]) -> None:
        clients, self._clients = self._clients, {}
        (pid, _), self._opened_in = self._opened_in, now
        if pid == now[0]:
            for client in clients.values():
                await client.connection_pool.leave()  # type: ignore[attr-defined]

    def pause(self, seconds: float) -> Awaitable[None]:
        """Wait; other tasks run."""
        return sleep(seconds)

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Return a lock for tasks."""
        return asyncio.Lock()

    async def aclose(self) -> None:
        """Close what was opened in this OS process."""
        clients, self._clients = self._clients, {}
        if self._opened_in[0] != os.getpid():
            return
        if not self.address.is_fake:
            for client in clients.values():
                await client.connection_pool.leave()  # type: ignore[attr-defined]
        for client in clients.values():
            await client.aclose()
            await client.connection_pool.disconnect()


class BlockingConnections:
    """Connections that any thread may use. No coroutine of this class suspends."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._clients: dict[str, redis.Redis] = {}
        self._opened_in = (os.getpid(), address.generation)

    async def execute(self, kind: str, *command: Any) -> Any:
        """Send one command, and return its reply; block until then."""
        if self._opened_in != (now := (os.getpid(), self.address.generation)):
            self._leave(now)
        clients = self._clients
        client = clients.get(kind)
        if client is None:  # two threads may come here: both use the client that is stored first
            client = clients.setdefault(kind, self.address.blocking_client(WIDTHS[kind]))
        try:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]
        except Exception:
            raise
        except BaseException:  # Ctrl-C: what it left of the pool is not known
            clients.pop(kind, None)
            raise

    def _leave(self, now: tuple[int, int]) -> None:
        clients, self._clients = self._clients, {}
        (pid, _), self._opened_in = self._opened_in, now
        if pid == now[0]:
            for client in clients.values():
                client.connection_pool.leave()  # type: ignore[attr-defined]

    async def pause(self, seconds: float) -> None:
        """Block the calling thread."""
        pause(seconds)

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Return no lock: the registry's own is taken by a plain ``with``, in which Ctrl-C cannot leave it held."""
        return nullcontext()

    async def aclose(self) -> None:
        """Close what was opened in this OS process."""
        clients, self._clients = self._clients, {}
        if self._opened_in[0] != os.getpid():
            return
        for client in clients.values():
            if not self.address.is_fake:
                client.connection_pool.leave()  # type: ignore[attr-defined]
            client.close()
            client.connection_pool.disconnect()


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine over ``BlockingConnections`` to its end, in the calling thread, without an event loop."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    work.close()
    raise AssertionError("a coroutine over blocking connections suspended")

"""The connections to one server: those of an event loop, and those of code without one.

Everything above this module is written once, as coroutines. Those over ``BlockingConnections`` never suspend, so that
``finishing.finished`` runs them to their end at once, in the calling thread.

Connections are of one OS process and of one generation of the address: what a fork left behind, and what was opened
before the server may have become another one, is not used again (rule 8.11).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Protocol

from lash_redis.core.loops import PerLoop
from lash_redis.core.timing import pause, sleep
from lash_redis.registry.transport.address import Address
from lash_redis.registry.transport.finishing import halving

if TYPE_CHECKING:
    import redis
    import redis.asyncio

# How many connections of each kind there are at most. Claims and control traffic (renewals, results) have their own, so
# that other calls do not hold them up (rule 8.11).
WIDTHS: Final = {"calls": 8, "control": 2, "claim": 2}


class Connections(Protocol):
    """What the sender needs of either kind; each connection opens when it is first needed."""

    address: Address

    def at(self, node: Address) -> Connections:
        """Return the connections to one node of the cluster that the address is."""

    def execute(self, kind: str, *command: Any) -> Awaitable[Any]:
        """Send one command on a connection of this kind, and return the reply; redis-py's errors pass."""

    def call(self, kind: str, *command: Any) -> Awaitable[Any]:
        """Do the same for a script: its reply comes as it is, and nothing is done beside."""

    def beside(self, name: object, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do some work beside all calls, unless work of this name is under way; where no event loop runs, do not."""

    def pause(self, seconds: float) -> Awaitable[None]:
        """Wait."""

    def find(self) -> Awaitable[None]:
        """Do what ``Address.find`` does."""

    def revive(self) -> Awaitable[None]:
        """Do what ``Address.revive`` does."""

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Return what makes tasks that share these connections take turns."""

    async def aclose(self) -> None:
        """Close what was opened and nobody uses; a call that is under way ends first."""


class _OfLoop:
    """What one event loop has: its clients, its lock, and how many use them."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.clients: dict[str, redis.asyncio.Redis] = {}
        self.lock = asyncio.Lock()
        self.users = 0
        self.beside: dict[object, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Close what is idle now, and what is in use once its call has ended."""
        for task in self.beside.values():
            task.cancel()
        clients, self.clients = self.clients, {}
        for client in clients.values():
            await leave(client)

    def abandon(self) -> None:
        """Close all at once, although the event loop was closed."""
        for client in self.clients.values():
            if _is_of_ours(client.connection_pool):
                client.connection_pool.abandon()  # type: ignore[attr-defined]


class AsyncConnections:
    """Connections of event loops: each that uses them opens its own, and closes them when it ends."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._loops = PerLoop(lambda: _OfLoop(address.generation), _OfLoop.close, _OfLoop.abandon)
        self._nodes: dict[Address, AsyncConnections] = {}

    def at(self, node: Address) -> AsyncConnections:
        """Return the connections to one node of a cluster."""
        there = self._nodes.get(node)
        return there if there is not None else self._nodes.setdefault(node, AsyncConnections(node))

    async def execute(self, kind: str, *command: Any) -> Any:
        """Send one command, and return its reply."""
        return await (await self._client(kind)).execute_command(*command)  # type: ignore[no-untyped-call]

    async def call(self, kind: str, *command: Any) -> Any:
        """Send a script, and return its reply."""
        client = await self._client(kind)
        if not _is_of_ours(client.connection_pool):
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]
        return await client.connection_pool.call(*command)  # type: ignore[attr-defined]

    async def _client(self, kind: str) -> redis.asyncio.Redis:
        here = self._loops.get()
        if here.generation != self.address.generation:
            here.generation = self.address.generation
            await here.close()
        client = here.clients.get(kind)
        if client is None:
            client = here.clients[kind] = self.address.async_client(WIDTHS[kind])
        return client

    def beside(self, name: object, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do it in a task of the running event loop."""
        tasks = self._loops.get().beside
        if name not in tasks:
            tasks[name] = asyncio.create_task(work())
            tasks[name].add_done_callback(lambda _: tasks.pop(name, None))

    def pause(self, seconds: float) -> Awaitable[None]:
        """Wait; other tasks run."""
        return sleep(seconds)

    async def find(self) -> None:
        """Find the server; other tasks run while it starts."""
        if self.address.is_known:
            self.address.find()
        else:
            await asyncio.to_thread(self.address.find)

    async def revive(self) -> None:
        """Start the server again if it is ours and has gone; other tasks run meanwhile."""
        if self.address.may_be_ours:
            await asyncio.to_thread(self.address.revive)

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Return the lock for the tasks of the running event loop."""
        return self._loops.get().lock

    def join(self) -> None:
        """Count one more user in the running event loop."""
        self._loops.get().users += 1

    def part(self) -> None:
        """Count one user less there."""
        if (here := self._loops.here()) is not None and here.users > 0:  # a forked child has not joined
            here.users -= 1

    @property
    def is_used_here(self) -> bool:
        """Whether the running event loop has a user."""
        here = self._loops.here()
        return here is not None and here.users > 0

    @property
    def users(self) -> int:
        """How many users there are, in all event loops."""
        return sum(each.users for _, each in self._loops.living())

    @property
    def is_open(self) -> bool:
        """Whether any event loop has a user, or connections."""
        is_open = any(each.users or each.clients for _, each in self._loops.living())
        return is_open or any(there.is_open for there in self._nodes.values())

    async def aclose(self) -> None:
        """Close what the running event loop has opened, unless it has a user; calls under way end first."""
        here = self._loops.here()
        if here is not None and here.users:
            return
        if here is not None:
            await here.close()
        for there in list(self._nodes.values()):
            await there.aclose()


class BlockingConnections:
    """Connections that any thread may use. No coroutine of this class suspends, but for a call that is ``begun``."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._nodes: dict[Address, BlockingConnections] = {}
        self._clients: dict[str, redis.Redis] = {}
        self._opened_in = (os.getpid(), address.generation)

    def at(self, node: Address) -> BlockingConnections:
        """Return the connections to one node of a cluster."""
        there = self._nodes.get(node)
        return there if there is not None else self._nodes.setdefault(node, BlockingConnections(node))

    async def execute(self, kind: str, *command: Any) -> Any:
        """Send one command, and return its reply; block until then."""
        return self._sent(kind, self._client(kind).execute_command, command)

    async def call(self, kind: str, *command: Any) -> Any:
        """Send a script, and return its reply; block until then."""
        client = self._client(kind)
        pool: Any = client.connection_pool
        if halving.is_on and _is_of_ours(pool):
            return await self._halved(kind, pool, command)
        return self._sent(kind, pool.call if _is_of_ours(pool) else client.execute_command, command)

    def _client(self, kind: str) -> redis.Redis:
        if self._opened_in != (now := (os.getpid(), self.address.generation)):
            self._leave(now)
        client = self._clients.get(kind)
        if client is None:  # two threads may come here: both use the client that is stored first
            client = self._clients.setdefault(kind, self.address.blocking_client(WIDTHS[kind]))
        return client

    def _sent(self, kind: str, send: Callable[..., Any], command: Sequence[Any]) -> Any:
        clients = self._clients
        try:
            return send(*command)
        except Exception:
            raise
        except BaseException:  # Ctrl-C: what it left of the pool is not known
            clients.pop(kind, None)
            raise

    async def _halved(self, kind: str, pool: Any, command: Sequence[Any]) -> Any:
        clients = self._clients
        try:
            return await pool.halved(*command)
        except KeyboardInterrupt:  # as in ``_sent``
            clients.pop(kind, None)
            raise

    def _leave(self, now: tuple[int, int]) -> None:
        clients, self._clients = self._clients, {}
        (pid, _), self._opened_in = self._opened_in, now
        if pid == now[0]:
            for client in clients.values():
                _leave(client)

    def beside(self, name: object, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do nothing: who asks next asks itself."""

    async def pause(self, seconds: float) -> None:
        """Block the calling thread."""
        pause(seconds)

    async def find(self) -> None:
        """Find the server; block while it starts."""
        self.address.find()

    async def revive(self) -> None:
        """Start the server again if it is ours and has gone; block until it answers."""
        self.address.revive()

    @property
    def is_open(self) -> bool:
        """Whether there are connections."""
        return bool(self._clients) or any(there.is_open for there in self._nodes.values())

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Return no lock: the registry's own is taken by a plain ``with``, in which Ctrl-C cannot leave it held."""
        return nullcontext()

    async def aclose(self) -> None:
        """Close what was opened in this OS process, what is in use once its call has ended."""
        self._leave((os.getpid(), self.address.generation))
        for there in list(self._nodes.values()):
            await there.aclose()


async def leave(client: redis.asyncio.Redis) -> None:
    """Close what is idle now, and what is in use once its call has ended."""
    if _is_of_ours(client.connection_pool):
        await client.connection_pool.leave()  # type: ignore[attr-defined]
    else:
        await client.connection_pool.disconnect(inuse_connections=False)


def _leave(client: redis.Redis) -> None:
    """Close what is idle now, and what is in use once its call has ended."""
    if _is_of_ours(client.connection_pool):
        client.connection_pool.leave()  # type: ignore[attr-defined]
    else:
        client.connection_pool.disconnect(inuse_connections=False)


def _is_of_ours(pool: Any) -> bool:
    """Return whether a pool is one of ``async_patience`` or ``blocking_patience``, and not that of a fake server."""
    return hasattr(pool, "leave")

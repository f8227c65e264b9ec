"""The connections of one ``Lash``: one registry for each event loop that uses it, one for plain code, one server.

redis-py's async connections belong to the loop that opened them, so that each loop gets its own, when it first asks.
Whoever closes its side may open it again by using it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from lash_redis.app.waiting import BlockingWaiting, Waiting
from lash_redis.core.errors import SettingsError
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.registry import ProcessRegistry

if TYPE_CHECKING:
    from lash_redis.embedded.connect import EmbeddedServer

URL_VARIABLE: Final = "LASH_REDIS_URL"


class AsyncSide:
    """What one event loop uses."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self.registry = registry
        self.waiting = Waiting(registry)

    async def aclose(self) -> None:
        """Close its connections; ends its waits with an error."""
        await self.waiting.aclose()
        await self.registry.aclose()


class BlockingSide:
    """What plain code uses, from any thread."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self.registry = BlockingRegistry(registry)
        self.waiting = BlockingWaiting(self.registry)

    def close(self) -> None:
        """Close its connections; ends its waits with an error."""
        self.waiting.close()
        self.registry.close()


class Server:
    """Where the server is: as given, else ``$LASH_REDIS_URL``, else the embedded one, which this then keeps alive."""

    def __init__(self, given: Any) -> None:
        self._given = given
        self._embedded: EmbeddedServer | None = None
        self._lock = threading.Lock()

    @property
    def is_at_hand(self) -> bool:
        """Whether ``find`` answers at once."""
        return self._given is not None or self._embedded is not None or bool(os.environ.get(URL_VARIABLE))

    def find(self) -> Any:
        """Return a URL or a client; block while the embedded server starts."""
        if self._given is not None:
            return self._given
        if url := os.environ.get(URL_VARIABLE):
            return url
        from lash_redis.embedded.connect import open_embedded  # noqa: PLC0415 - most who have a URL never need it

        with self._lock:
            if self._embedded is None:
                self._embedded = open_embedded()
            return self._embedded.url

    def leave(self) -> None:
        """Give the embedded server up, if it was used."""
        with self._lock:
            embedded, self._embedded = self._embedded, None
        if embedded is not None:
            embedded.close()


class Connections:
    """Both sides, made when first used.

    Args:
        server: where the server is.
        new_registry: makes a registry for a URL or a client; it does no I/O.
    """

    def __init__(self, server: Server, new_registry: Callable[[Any], ProcessRegistry]) -> None:
        self._server = server
        self._new_registry = new_registry
        self._lock = threading.Lock()
        self._plain: BlockingSide | None = None
        # Under None what plain code took before its loop ran, as in ``Worker(lash.registry)``: the next loop's.
        self._sides: dict[asyncio.AbstractEventLoop | None, AsyncSide] = {}

    async def here(self) -> AsyncSide:
        """Return the running loop's side."""
        if not self._server.is_at_hand:
            await asyncio.to_thread(self._server.find)
        return self.side()

    def side(self) -> AsyncSide:
        """Return the running loop's side, or the next one's if none runs; block while the embedded server starts."""
        source, loop = self._server.find(), _running_loop()
        with self._lock:
            side = self._sides.get(loop)
            if side is None:
                side = self._sides.pop(None, None) or AsyncSide(self._registry_at(source))
                self._drop_dead_loops()
                self._sides[loop] = side
            return side

    def plain(self) -> BlockingSide:
        """Return the side of plain code; block while the embedded server starts."""
        source = self._server.find()
        with self._lock:
            if self._plain is None:
                self._plain = BlockingSide(self._registry_at(source))
            return self._plain

    async def aclose(self) -> None:
        """Close the running loop's side and that of plain code."""
        with self._lock:
            side = self._sides.pop(asyncio.get_running_loop(), None)
        if side is not None:
            await side.aclose()
        self.close()

    def close(self) -> None:
        """Close the side of plain code, and give up the embedded server unless some loop still uses it."""
        with self._lock:
            plain, self._plain = self._plain, None
            self._sides.pop(None, None)
            self._drop_dead_loops()
            is_last = not self._sides
        if plain is not None:
            plain.close()
        if is_last:
            self._server.leave()

    def _registry_at(self, source: Any) -> ProcessRegistry:
        try:
            return self._new_registry(source)
        except SettingsError as error:
            error.add_note(f"it comes from ${URL_VARIABLE}")  # what is given was tried when the Lash was constructed
            raise

    def _drop_dead_loops(self) -> None:
        self._sides = {loop: side for loop, side in self._sides.items() if loop is None or not loop.is_closed()}


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

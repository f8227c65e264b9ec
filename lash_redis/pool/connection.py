"""The supervisor's own registry. Its first worker process to be loaded says where, since user code is read there."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from lash_redis.core.errors import LashError, SettingsError
from lash_redis.embedded.connect import EmbeddedServer, open_embedded
from lash_redis.embedded.locks import SERVER
from lash_redis.embedded.project import data_folder, socket_path
from lash_redis.pool.messages import Place
from lash_redis.registry.registry import ProcessRegistry


def place_of(registry: ProcessRegistry) -> Place:
    """Return where an open registry is, in words that another OS process can use.

    Raises:
        SettingsError: it was made from a client object, which cannot be taken elsewhere.
    """
    url = registry.address.url
    if url is None:
        raise SettingsError("expected the Lash of a pool to be made from a URL, or from nothing; got a client object")
    partitions = None if registry.target.adopts else registry.partitions
    return Place(url, registry.namespace, partitions, registry.target.allow_unsafe_server, _embedded(url))


def _embedded(url: str) -> str | None:
    if not url.startswith("unix:"):
        return None
    data = data_folder()
    is_embedded = (data / SERVER).exists() and url == f"unix://{quote(str(socket_path(data)))}"
    return str(data) if is_embedded else None


class PoolConnection:
    """The one registry of a pool, opened once, when the first worker process says where it is."""

    def __init__(self) -> None:
        self._place: Place | None = None
        self._registry: ProcessRegistry | None = None
        self._embedded: EmbeddedServer | None = None
        self._opening = asyncio.Lock()

    @property
    def registry(self) -> ProcessRegistry:
        """The open registry."""
        if self._registry is None:
            raise AssertionError("the registry is opened before anybody may claim")
        return self._registry

    @property
    def is_open(self) -> bool:
        """Whether some worker process has been let in."""
        return self._registry is not None

    async def let_in(self, place: Place) -> bool:
        """Open the registry, and use the embedded server, unless it was done; return whether this was the first.

        Raises:
            SettingsError: this worker process is elsewhere than the others.
            RegistryUnavailable: no answer.
        """
        async with self._opening:
            if self._registry is not None:
                if place != self._place:
                    raise SettingsError("this worker process has another server or namespace than the pool")
                return False
            if place.embedded is not None and self._embedded is None:
                self._embedded = await asyncio.to_thread(open_embedded, data=Path(place.embedded))
            registry = ProcessRegistry(
                place.url, place.namespace, place.partitions, allow_unsafe_server=place.allow_unsafe_server
            )
            try:
                await registry.open()
            except BaseException:
                await registry.aclose()
                raise
            self._registry, self._place = registry, place
            return True

    async def revive(self) -> None:
        """Start the embedded server again if its guardian was killed; any other server is others' affair."""
        if self._embedded is not None:
            with suppress(LashError):
                await asyncio.to_thread(self._embedded.ensure_answering)

    async def aclose(self) -> None:
        """Close the registry, then give the embedded server up."""
        if self._registry is not None:
            await self._registry.aclose()
        if self._embedded is not None:
            self._embedded.close()

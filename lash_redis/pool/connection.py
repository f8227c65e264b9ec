"""The supervisor's own registry. User code names the server, so the first loaded worker process says where it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from lash_redis.app.lash import Lash
from lash_redis.core.errors import SettingsError
from lash_redis.core.timing import within
from lash_redis.embedded.connect import EmbeddedServer, open_embedded
from lash_redis.embedded.folders import find_data_folder, is_prepared, server_url
from lash_redis.pool.background import in_background
from lash_redis.pool.messages import RegistryLocation
from lash_redis.pool.watch import tell_of_failure
from lash_redis.registry.registry import ProcessRegistry

_CLOSE_MS = 100  # a server that hangs may keep a connection open for longer


def location_of(registry: ProcessRegistry) -> RegistryLocation:
    """Return the location of an open registry, for another OS process.

    Raises:
        SettingsError: the registry was made from a client object, which no other OS process can use.
    """
    url = registry.address.url
    if url is None:
        raise SettingsError("expected the Lash of a pool to be made from a URL, or from nothing; got a client object")
    partitions = None if registry.target.adopts else registry.partitions
    unsafe = registry.target.allow_unsafe_server
    return RegistryLocation(url, registry.namespace, partitions, unsafe, _embedded_data(url))


def check_url(lash: Lash, url: str) -> None:
    """Check that a URL given to the pool is that of its ``Lash``; nothing is to be checked if none was given.

    Raises:
        SettingsError: the ``Lash`` names its own server, or the URL cannot be used.
    """
    if url and lash.registry.address.url != url:
        raise SettingsError(
            f"--url has no effect: the Lash names its own server, {lash.registry.address.shown}; leave --url out, or "
            "make the Lash without a URL"
        )


def registry_at(location: RegistryLocation) -> ProcessRegistry:
    """Return a registry at a location. It is not open yet."""
    return ProcessRegistry(
        location.url, location.namespace, location.partitions, allow_unsafe_server=location.allow_unsafe_server
    )


def _embedded_data(url: str) -> str | None:
    if not url.startswith("unix:"):
        return None
    data = find_data_folder()
    return str(data) if data is not None and is_prepared(data) and url == server_url(data) else None


async def unchecked(_registry: ProcessRegistry) -> None:
    """Look at nothing."""


class PoolConnection:
    """The one registry of a pool. The location that the first worker process reports opens it.

    Args:
        make_registry: makes the registry at a location; a simulation passes another function.
    """

    def __init__(self, make_registry: Callable[[RegistryLocation], ProcessRegistry] = registry_at) -> None:
        self._make_registry = make_registry
        self._location: RegistryLocation | None = None
        self._registry: ProcessRegistry | None = None
        self._embedded: EmbeddedServer | None = None
        self._opening = asyncio.Lock()
        self._reviving: asyncio.Future[None] | None = None

    @property
    def registry(self) -> ProcessRegistry:
        """The open registry."""
        if self._registry is None:
            raise AssertionError("the registry is opened before any worker process may claim")
        return self._registry

    @property
    def is_open(self) -> bool:
        """Whether the registry is open."""
        return self._registry is not None

    async def ensure_open(
        self, location: RegistryLocation, check: Callable[[ProcessRegistry], Awaitable[None]] = unchecked
    ) -> bool:
        """Open the registry at ``location`` unless it is open; return whether this call opened it.

        ``check`` looks at it before any worker process may claim.

        If the server is the embedded one, the supervisor becomes one of its users.

        Raises:
            SettingsError: the registry is open at another location, or ``check`` refuses it.
            RegistryUnavailable: the server does not answer.
        """
        async with self._opening:
            if self._registry is not None:
                if location != self._location:
                    raise SettingsError("this worker process has another server or namespace than the pool")
                return False
            if location.embedded is not None and self._embedded is None:
                self._embedded = await in_background(partial(open_embedded, data=Path(location.embedded)))
            registry = self._make_registry(location)
            try:
                await registry.open()
                await check(registry)
            except BaseException:
                await registry.aclose()
                raise
            self._registry, self._location = registry, location
            return True

    def revive_server(self) -> None:
        """Begin to start the embedded server again, in case its guardian was killed, unless that is under way.

        A server of another kind is left alone. Nothing waits for this: a server that hangs takes long to answer.
        """
        if self._embedded is not None and (self._reviving is None or self._reviving.done()):
            self._reviving = asyncio.ensure_future(self._revive(self._embedded))

    async def _revive(self, embedded: EmbeddedServer) -> None:
        try:
            await in_background(embedded.ensure_answering)
        except Exception as error:  # noqa: BLE001 - the next renewal that fails tries again
            tell_of_failure("revive", error)

    async def aclose(self) -> None:
        """Close the registry, then stop being a user of the embedded server."""
        if self._reviving is not None:
            self._reviving.cancel()
        if self._registry is not None:
            with suppress(TimeoutError):
                await within(_CLOSE_MS, self._registry.aclose())
        if self._embedded is not None:
            self._embedded.close()

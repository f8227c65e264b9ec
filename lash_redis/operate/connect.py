"""Open the registry that an operator names: at a URL, at ``$LASH_REDIS_URL``, or in the project's embedded server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lash_redis.app.server_source import ServerSource
from lash_redis.core.errors import SettingsError
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.urls import URL_VARIABLE


class NoServer(SettingsError):
    """Nothing says where the server is. ``data`` is the folder where an embedded server would have left data."""

    def __init__(self, data: Path) -> None:
        self.data = data
        super().__init__(
            f"expected a URL or ${URL_VARIABLE} to say where the server is, got neither, "
            f"and no embedded server has left data in {data}"
        )


@asynccontextmanager
async def open_registry(url: str | None, namespace: str) -> AsyncIterator[ProcessRegistry]:
    """Yield the open registry of a namespace that exists; close it afterwards.

    The embedded server is used only if it has left data. It is kept running meanwhile. A server that evicts keys is
    used too: whoever made the namespace there has accepted it, or must be able to see what has become of it.

    Args:
        url: of the server; None: ``$LASH_REDIS_URL``, else the project's embedded server.
        namespace: its name.

    Raises:
        NoServer: nothing says where the server is.
        SettingsError: the URL or the namespace's name is outside what is allowed, or the namespace does not exist. No
            message repeats a secret of the URL.
        RegistryUnavailable, UnsafeServerError, NamespaceMismatch: the server or the namespace cannot be used.
    """
    source = ServerSource(url)
    if not source.is_known:
        _expect_embedded_data()
    try:
        registry = ProcessRegistry(source, namespace, partitions=None, allow_unsafe_server=True)
        try:
            await registry.open(to_read=True)
            yield registry
        finally:
            await registry.aclose()
    finally:
        source.release()


def _expect_embedded_data() -> None:
    from lash_redis.embedded.folders import data_folder, is_prepared  # noqa: PLC0415 - not needed with a URL

    data = data_folder()
    if not is_prepared(data):
        raise NoServer(data)

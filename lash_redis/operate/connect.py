"""Open the registry that an operator names: at a URL, at ``$LASH_REDIS_URL``, or in the project's embedded server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lash_redis.app.server_source import ServerSource
from lash_redis.core.errors import SettingsError
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.urls import URL_VARIABLE


class NoServer(SettingsError):
    """Nothing says where the server is. ``why_not_embedded`` says why it is not the embedded one of a project."""

    def __init__(self, why_not_embedded: str) -> None:
        self.why_not_embedded = why_not_embedded
        super().__init__(
            f"expected a URL or ${URL_VARIABLE} to say where the server is, got neither, and {why_not_embedded}"
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
    from lash_redis.embedded.folders import find_data_folder, is_prepared, no_project  # noqa: PLC0415 - not with a URL

    data = find_data_folder()
    if data is None:
        raise NoServer(
            f"{no_project()}: run this in the folder of a project (`mkdir .lash-redis` makes any folder one)"
        )
    if not is_prepared(data):
        raise NoServer(f"no embedded server has left data in {data}")

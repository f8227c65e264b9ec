"""Where the server is and how to reach it: our own connections, our own retries, one seam for every call.

redis-py retries by itself, which multiplies time and hides lost replies (reliability notes, P18 and P19), so its
retries are off here; what may be sent again is decided in ``registry`` and ``plain``. A client handed to us only
gives its connection parameters (design, section 6).
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lash_redis.core.errors import LashError, RegistryUnavailable, SettingsError
from lash_redis.registry.scripts import Script
from lash_redis.registry.server import FAKE_SERVER, ServerInfo, judged

if TYPE_CHECKING:
    import redis
    import redis.asyncio

# Replies that say "not now": nothing was applied, and asking again later may help (reliability notes, P13 and P23).
_NOT_NOW = (
    "LOADING", "BUSY", "MASTERDOWN", "NOREPLICAS", "MISCONF", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "OOM",
    "max number of clients", "UNBLOCKED",
)  # fmt: skip

DEFAULT_TIMEOUT_S = 5.0
_CONNECTIONS = {"calls": 8, "control": 2, "claim": 2}


def translated(operation: str, error: Exception) -> LashError:
    """Return the error that the caller sees for one of redis-py's."""
    from redis import exceptions

    text = str(error)
    if isinstance(error, (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError)):
        return SettingsError(f"{operation}: the server refuses this user: {text}")
    # redis-py takes the first word off the errors that it knows, and keeps it as their code.
    word = getattr(error, "status_code", None) or text
    if word.startswith(_NOT_NOW):
        return RegistryUnavailable(operation, text, maybe_applied=False)
    if isinstance(error, exceptions.ResponseError):
        return LashError(f"{operation}: the server answered with an error: {text}")
    never_sent = isinstance(error.__context__, (ConnectionRefusedError, FileNotFoundError, socket.gaierror))
    return RegistryUnavailable(operation, text or type(error).__name__, maybe_applied=not never_sent)


class Address:
    """Where the server is: a URL, or the parameters of a client that somebody handed to us.

    Raises:
        SettingsError: ``source`` is neither, or decodes responses.
    """

    def __init__(self, source: Any, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self.url: str | None = source if isinstance(source, str) else None
        if self.url is not None:
            if not self.url.startswith(("redis://", "rediss://", "unix://")):
                without_password = self.url.rpartition("@")[2].partition("?")[0]
                raise SettingsError(
                    f"expected url to begin with redis://, rediss:// or unix://, got {without_password!r}"
                )
            self.is_fake = False
            self._parameters: dict[str, Any] = {}
            self._fake_kind = ""
            return
        pool = getattr(source, "connection_pool", None)
        if pool is None or not hasattr(pool, "connection_kwargs"):
            raise SettingsError(f"expected client to be a redis.asyncio.Redis or a URL, got {type(source).__name__}")
        if pool.connection_kwargs.get("decode_responses"):
            raise SettingsError("expected a client without decode_responses=True: payloads are bytes")
        self._connection_class = pool.connection_class
        self.is_fake = "fakeredis" in self._connection_class.__module__
        self._parameters = {
            key: value
            for key, value in pool.connection_kwargs.items()
            if not key.startswith(("maint_notifications", "orig_", "himport"))
            and key not in ("retry", "retry_on_error", "retry_on_timeout", "socket_timeout", "socket_connect_timeout",
                            "health_check_interval", "client_class", "connected", "event_dispatcher")
        }  # fmt: skip

    @property
    def shown(self) -> str:
        """Where the server is, without user, password or query, for people to read."""
        if self.url is None:
            host = self._parameters.get("path") or self._parameters.get("host", "?")
            return f"{host}:{self._parameters.get('port', '')}".rstrip(":")
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def _limits(self, *, listens: bool) -> dict[str, Any]:
        timeout = None if listens else self._timeout_s
        return {"socket_timeout": timeout, "socket_connect_timeout": self._timeout_s, "socket_keepalive": True}

    def _unix(self) -> bool:
        return (self.url or "").startswith("unix://") or "path" in self._parameters

    def async_client(self, connections: int, *, listens: bool = False) -> redis.asyncio.Redis:
        """Return a client of our own for an event loop, at most ``connections`` wide."""
        import redis.asyncio
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        limits = self._limits(listens=listens) | {"retry": Retry(NoBackoff(), 0), "max_connections": connections}
        limits["timeout"] = self._timeout_s
        if self._unix():
            del limits["socket_keepalive"]
        if self.url is not None:
            pool = redis.asyncio.BlockingConnectionPool.from_url(self.url, **limits)
        else:
            kind = self._connection_class
            if ".asyncio." not in kind.__module__ and not self.is_fake:
                kind = getattr(redis.asyncio.connection, kind.__name__)
            elif self.is_fake:
                from fakeredis import FakeAsyncRedis

                kind = FakeAsyncRedis().connection_pool.connection_class
            pool = redis.asyncio.BlockingConnectionPool(connection_class=kind, **(self._parameters | limits))
        return redis.asyncio.Redis(connection_pool=pool)

    def plain_client(self, connections: int, *, listens: bool = False) -> redis.Redis:
        """Return a client of our own for plain code, at most ``connections`` wide."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        limits = self._limits(listens=listens) | {"retry": Retry(NoBackoff(), 0), "max_connections": connections}
        limits["timeout"] = self._timeout_s
        if self._unix():
            del limits["socket_keepalive"]
        if self.url is not None:
            pool = redis.BlockingConnectionPool.from_url(self.url, **limits)
        else:
            kind = self._connection_class
            if ".asyncio." in kind.__module__ and not self.is_fake:
                kind = getattr(redis.connection, kind.__name__)
            elif self.is_fake:
                from fakeredis import FakeRedis

                kind = FakeRedis().connection_pool.connection_class
            pool = redis.BlockingConnectionPool(connection_class=kind, **(self._parameters | limits))  # type: ignore[no-untyped-call]
        return redis.Redis(connection_pool=pool)


class AsyncTransport:
    """The one seam through which the async registry reaches the server. Connections open when first needed.

    ``via`` keeps control traffic (renew, terminalize), claims and other calls on connections of their own.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._clients: dict[str, redis.asyncio.Redis] = {}

    def client(self, via: str) -> redis.asyncio.Redis:
        """Return the client of one kind of traffic."""
        client = self._clients.get(via)
        if client is None:
            client = self.address.async_client(_CONNECTIONS.get(via, 1), listens=via == "listen")
            self._clients[via] = client
        return client

    async def facts(self, *, allow_unsafe: bool) -> ServerInfo:
        """Read and judge the server; a fakeredis one is not asked (it has no INFO)."""
        import redis

        if self.address.is_fake:
            return FAKE_SERVER
        client = self.client("calls")
        try:
            info = await client.info()
            try:
                appendfsync = (await client.config_get("appendfsync")).get("appendfsync")
            except redis.ResponseError:
                appendfsync = None
        except redis.RedisError as error:
            raise translated("open", error) from error
        return judged(info, appendfsync, allow_unsafe=allow_unsafe)

    async def run(self, via: str, script: Script, prefix: str, args: Sequence[Any], *, shebang: bool) -> list[Any]:
        """Run one transition in one partition.

        Raises:
            RegistryUnavailable: no answer, or "not now".
        """
        import redis

        client = self.client(via)
        sha, source = (script.shebang_sha, script.shebang_source) if shebang else (script.sha, script.source)
        try:
            try:
                return await client.execute_command("EVALSHA", sha, 1, prefix, *args)  # type: ignore[no-any-return,no-untyped-call]
            except redis.exceptions.NoScriptError:
                return await client.execute_command("EVAL", source, 1, prefix, *args)  # type: ignore[no-any-return,no-untyped-call]
        except redis.RedisError as error:
            raise translated(script.name, error) from error

    async def aclose(self) -> None:
        """Close what was opened."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()
            await client.connection_pool.disconnect()


class BlockingTransport:
    """The same seam for plain code, usable from any thread."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._clients: dict[str, redis.Redis] = {}

    def client(self, via: str) -> redis.Redis:
        """Return the client of one kind of traffic."""
        client = self._clients.get(via)
        if client is None:
            client = self.address.plain_client(_CONNECTIONS.get(via, 1), listens=via == "listen")
            client = self._clients.setdefault(via, client)
        return client

    def facts(self, *, allow_unsafe: bool) -> ServerInfo:
        """Read and judge the server; a fakeredis one is not asked (it has no INFO)."""
        import redis

        if self.address.is_fake:
            return FAKE_SERVER
        client = self.client("calls")
        try:
            info = client.info()
            try:
                appendfsync = client.config_get("appendfsync").get("appendfsync")
            except redis.ResponseError:
                appendfsync = None
        except redis.RedisError as error:
            raise translated("open", error) from error
        return judged(info, appendfsync, allow_unsafe=allow_unsafe)

    def run(self, via: str, script: Script, prefix: str, args: Sequence[Any], *, shebang: bool) -> list[Any]:
        """Run one transition in one partition.

        Raises:
            RegistryUnavailable: no answer, or "not now".
        """
        import redis

        client = self.client(via)
        sha, source = (script.shebang_sha, script.shebang_source) if shebang else (script.sha, script.source)
        try:
            try:
                return client.execute_command("EVALSHA", sha, 1, prefix, *args)  # type: ignore[no-any-return,no-untyped-call]
            except redis.exceptions.NoScriptError:
                return client.execute_command("EVAL", source, 1, prefix, *args)  # type: ignore[no-any-return,no-untyped-call]
        except redis.RedisError as error:
            raise translated(script.name, error) from error

    def close(self) -> None:
        """Close what was opened."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()
            client.connection_pool.disconnect()

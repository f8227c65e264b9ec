"""Where the server is, and clients of our own to reach it.

A client that is handed to us only gives its connection parameters. redis-py's own retries are off, since they multiply
time and hide lost replies (rule 8.11); ``sending`` decides what is sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lash_redis.core.errors import SettingsError

if TYPE_CHECKING:
    from types import ModuleType

    import redis
    import redis.asyncio

URL_VARIABLE: Final = "LASH_REDIS_URL"
DEFAULT_TIMEOUT_S: Final = 5.0
_SCHEMES: Final = ("redis://", "rediss://", "unix://")
_ANY_SCHEME: Final = "redis://, rediss:// or unix://"
_OF_THE_OTHER_CLIENT: Final = ("maint_notifications", "orig_", "himport")
_OURS_TO_SET: Final = (
    "retry", "retry_on_error", "retry_on_timeout", "socket_timeout", "socket_connect_timeout", "health_check_interval",
    "client_class", "connected", "event_dispatcher",
)  # fmt: skip


def checked_url(value: str) -> str:
    """Return ``value`` if it may be a server's URL. The error does not repeat the value, which may hold a password.

    Raises:
        SettingsError: another scheme, or a port that is no number.
    """
    try:
        _ = urlsplit(value).port
    except ValueError:
        raise SettingsError(
            "expected a URL whose parts can be told apart (in a password, / ? # and @ are percent-encoded)"
        ) from None
    if not value.startswith(_SCHEMES):
        raise SettingsError(f"expected a URL that begins with {_ANY_SCHEME}")
    return value


class Address:
    """Where the server is: a URL, or the parameters of a client that somebody handed to us.

    Args:
        source: a URL, or a redis-py or fakeredis client.
        timeout_s: how long a connection or a reply may take, s.

    Raises:
        SettingsError: ``source`` is neither, or decodes responses.
    """

    def __init__(self, source: Any, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self.url: str | None = None
        self.is_fake = False
        self._parameters: dict[str, Any] = {}
        if isinstance(source, str):
            self._read_url(source)
        else:
            self._read_client(source)

    def _read_url(self, url: str) -> None:
        if not url.startswith(_SCHEMES):
            without_password = url.rpartition("@")[2].partition("?")[0]
            raise SettingsError(f"expected url to begin with {_ANY_SCHEME}, got {without_password!r}")
        self.url = url

    def _read_client(self, client: Any) -> None:
        pool = getattr(client, "connection_pool", None)
        if pool is None or not hasattr(pool, "connection_kwargs"):
            raise SettingsError(f"expected client to be a redis.asyncio.Redis or a URL, got {type(client).__name__}")
        if pool.connection_kwargs.get("decode_responses"):
            raise SettingsError("expected a client without decode_responses=True: payloads are bytes")
        self._connection_class = pool.connection_class
        self.is_fake = "fakeredis" in self._connection_class.__module__
        self._parameters = {
            name: value
            for name, value in pool.connection_kwargs.items()
            if not name.startswith(_OF_THE_OTHER_CLIENT) and name not in _OURS_TO_SET
        }

    @property
    def shown(self) -> str:
        """The address for people to read, without user, password or query."""
        if self.url is None:
            host = self._parameters.get("path") or self._parameters.get("host", "?")
            return f"{host}:{self._parameters.get('port', '')}".rstrip(":")
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def async_client(self, connections: int) -> redis.asyncio.Redis:
        """Return a client of our own for an event loop, with at most so many connections."""
        import redis.asyncio
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        limits = self._limits(connections) | {"retry": Retry(NoBackoff(), 0)}
        if self.url is not None:
            pool = redis.asyncio.BlockingConnectionPool.from_url(self.url, **limits)
        else:
            kind = self._connection_class_of(redis.asyncio.connection, "FakeAsyncRedis")
            pool = redis.asyncio.BlockingConnectionPool(connection_class=kind, **(self._parameters | limits))
        return redis.asyncio.Redis(connection_pool=pool)

    def blocking_client(self, connections: int) -> redis.Redis:
        """Return a client of our own for code without an event loop, with at most so many connections."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        limits = self._limits(connections) | {"retry": Retry(NoBackoff(), 0)}
        if self.url is not None:
            pool = redis.BlockingConnectionPool.from_url(self.url, **limits)
        else:
            kind = self._connection_class_of(redis.connection, "FakeRedis")
            pool = redis.BlockingConnectionPool(connection_class=kind, **(self._parameters | limits))  # type: ignore[no-untyped-call]
        return redis.Redis(connection_pool=pool)

    def _limits(self, connections: int) -> dict[str, Any]:
        is_unix_socket = (self.url or "").startswith("unix://") or "path" in self._parameters
        return {
            "max_connections": connections,
            "timeout": self._timeout_s,
            "socket_timeout": self._timeout_s,
            "socket_connect_timeout": self._timeout_s,
        } | ({} if is_unix_socket else {"socket_keepalive": True})

    def _connection_class_of(self, wanted: ModuleType, fake_client: str) -> Any:
        """Return the given client's class of connections, or its counterpart in the module ``wanted``."""
        if self.is_fake:
            import fakeredis

            return getattr(fakeredis, fake_client)().connection_pool.connection_class
        given = self._connection_class
        if (".asyncio." in given.__module__) == (".asyncio." in wanted.__name__):
            return given
        return getattr(wanted, given.__name__)

"""Where the server is, and clients of our own to reach it: one server, a cluster's nodes, or whom Sentinels name.

A client that is handed to us only gives its connection parameters (rule 8.11).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from lash_redis.core.checks import refused
from lash_redis.core.errors import SettingsError
from lash_redis.registry.transport.clients import made_async, made_blocking
from lash_redis.registry.transport.cluster import Cluster
from lash_redis.registry.transport.finding import ServerFinder
from lash_redis.registry.transport.given_clients import cluster_in, of_plain_kind, sentinels_in
from lash_redis.registry.transport.sentinels import Sentinels, following
from lash_redis.registry.transport.url_forms import checked_url, cluster_urls, sentinel_parts, url_at
from lash_redis.registry.transport.urls import shown_url

if TYPE_CHECKING:
    from types import ModuleType

    import redis
    import redis.asyncio

DEFAULT_TIMEOUT_S: Final = 5.0
_OF_THE_OTHER_CLIENT: Final = ("maint_notifications", "orig_", "himport")
_OURS_TO_SET: Final = (
    "retry", "retry_on_error", "retry_on_timeout", "socket_timeout", "socket_connect_timeout", "health_check_interval",
    "client_class", "connected", "event_dispatcher", "connection_pool", "sentinels", "parser_class",
    "redis_connect_func",
)  # fmt: skip


class Address:
    """Where the server is: a URL, or the parameters of a client that somebody handed to us.

    Args:
        source: a URL, a client of redis-py (also ``RedisCluster``, or what ``Sentinel.master_for`` returns) or of
            fakeredis, or a ``ServerFinder``, which is asked at first use.
        timeout_s: how long a connection may take, and how long the server may be silent, s.

    Attributes:
        generation: how often the server may have become another one. Connections that were opened before are not used
            again: the name is resolved anew (rule 8.13).
        era: how often the server has to be found anew: what was known of it is asked again.
        cluster: the nodes, if it is a cluster; each is an address of its own.

    Raises:
        SettingsError: ``source`` is none of these, or decodes responses, or the time is no number above 0.
    """

    def __init__(self, source: Any, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self.timeout_s = _checked_timeout(timeout_s)
        self._url: str | None = None
        self._is_fake = False
        self.generation = 0
        self.era = 0
        self._parameters: dict[str, Any] = {}
        self._connects_to: str | None = None  # the URL of one server, by which connections are made
        self._sentinels: Sentinels | None = None
        self.cluster: Cluster[Address] | None = None
        self._finder = source if isinstance(source, ServerFinder) else None
        self._is_found = False
        if self._finder is None:
            self._take(source)

    @property
    def is_known(self) -> bool:
        """Whether ``find`` returns at once."""
        return self._is_found or self._finder is None or self._finder.is_known

    def find(self) -> None:
        """Ask where the server is, unless that is known; block while an embedded server starts.

        Raises:
            SettingsError: nothing says where it is, or what does cannot be used.
            RegistryUnavailable: the embedded server does not start.
        """
        if not self._is_found and self._finder is not None:
            self._take(self._finder.find())

    def forget(self) -> None:
        """Find the server anew at the next use; use none of the present connections any more."""
        self._is_found = self._finder is None
        self.generation += 1
        self.era += 1
        if self.cluster is not None:
            self.cluster.forget()

    @property
    def may_be_ours(self) -> bool:
        """Whether ``revive`` may do anything."""
        return self._finder is not None and not self._is_fake

    def revive(self) -> None:
        """Start the server again if it is ours and has gone; block until it answers.

        Raises:
            LashError: it does not start.
        """
        if self._finder is not None:
            self._finder.revive()

    @property
    def url(self) -> str | None:
        """The URL, None for a client."""
        self.find()
        return self._url

    @property
    def is_fake(self) -> bool:
        """Whether it is a fakeredis one."""
        self.find()
        return self._is_fake

    def _take(self, source: Any) -> None:
        self._sentinels = self.cluster = None
        if isinstance(source, str):
            self._read_url(checked_url(source))
        elif (cluster := cluster_in(source)) is not None:
            self._url = self._connects_to = None
            self.cluster = Cluster([Address(seed, self.timeout_s) for seed in cluster.seeds], cluster.remap)
        else:
            self._read_client(source)
        self._is_found = True

    def _read_url(self, url: str) -> None:
        self._url, self._is_fake, self._parameters = url, False, {}
        if members := cluster_urls(url):
            self.cluster = Cluster([Address(each, self.timeout_s) for each in members])
        elif (parts := sentinel_parts(url)) is not None:
            self._connects_to = parts.server
            self._sentinels = Sentinels(parts.sentinels, parts.service)
        else:
            self._connects_to = url

    def _read_client(self, client: Any) -> None:
        pool = getattr(client, "connection_pool", None)
        if pool is None or not hasattr(pool, "connection_kwargs"):
            raise SettingsError(
                f"expected client to be a redis.asyncio.Redis or RedisCluster, or a URL, got {type(client).__name__}"
            )
        if pool.connection_kwargs.get("decode_responses"):
            raise SettingsError("expected a client without decode_responses=True: payloads are bytes")
        self._url = self._connects_to = None
        self._sentinels, self._connection_class = sentinels_in(pool), pool.connection_class
        self._is_fake = "fakeredis" in self._connection_class.__module__
        self._parameters = {
            name: value
            for name, value in pool.connection_kwargs.items()
            if not name.startswith(_OF_THE_OTHER_CLIENT) and name not in _OURS_TO_SET
        }

    def become_cluster(self) -> None:
        """Know that the server is a node of a cluster, as it says of itself."""
        self.cluster = Cluster([self._reached_as(self._connects_to)])

    def at(self, host: str, port: int) -> Address:
        """Return the address of another node, which is reached as this one is."""
        if self._connects_to is not None:
            return self._reached_as(url_at(self._connects_to, host, port))
        return self._reached_as(None, host=host, port=port)

    def _reached_as(self, url: str | None, **place: Any) -> Address:
        """Return the address of one server at a URL, or at a place that is reached as this one is."""
        if url is not None:
            return Address(url, self.timeout_s)
        kind, parameters = self._connection_class, self._parameters | place
        if place and parameters.pop("path", None):
            kind = of_plain_kind(kind)
        pool = SimpleNamespace(connection_class=kind, connection_kwargs=parameters)
        return Address(SimpleNamespace(connection_pool=pool), self.timeout_s)

    @property
    def host(self) -> str:
        """The host; of a local socket the one that it is on."""
        return str(self.given.get("host", "localhost"))

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, int(self.given.get("port", 6379))

    @property
    def shown(self) -> str:
        """The address for people to read, without user, password or query."""
        if self.url is not None:
            return shown_url(self.url)
        if self.cluster is not None:
            return self.cluster.shown
        if self._sentinels is not None:
            return self._sentinels.shown
        host = self._parameters.get("path") or self._parameters.get("host", "?")
        return f"{host}:{self._parameters.get('port', '')}".rstrip(":")

    @property
    def shown_now(self) -> str:
        """The same, and behind Sentinels the primary that they named."""
        if self._sentinels is not None and self._sentinels.named:
            return f"{self.shown} (primary {self._sentinels.named})"
        return self.shown

    @property
    def user(self) -> str:
        """The name under which the server knows us."""
        return str(self.given.get("username") or "default")

    @property
    def commands(self) -> list[str]:
        """What each connection sends when it opens and every user must be allowed, as an ACL names it."""
        given = self.given
        sent = {
            "select": given.get("db"), "client|setname": given.get("client_name"), "cluster|slots": self.cluster,
        }  # fmt: skip
        return [command for command, wanted in sent.items() if wanted]

    @property
    def given(self) -> Mapping[str, Any]:
        """Return the parameters of connections, as redis-py calls them."""
        self.find()
        if self.cluster is not None:
            return self.cluster.first.given
        if self._connects_to is None:
            return self._parameters
        from redis.connection import parse_url

        parameters: dict[str, Any] = parse_url(self._connects_to)  # type: ignore[no-untyped-call]
        return parameters

    def check_tls(self) -> None:
        """Check that the files and values of the URL's ``ssl_`` options can be used.

        Raises:
            SettingsError: they cannot: each connection would fail, as if the server were down.
        """
        if self.url is None or not self.url.startswith("rediss"):
            return
        from redis.asyncio.connection import SSLConnection

        try:
            given = {name: value for name, value in self.given.items() if name.startswith("ssl_")}
            SSLConnection(**given).ssl_context.get()
        except Exception as error:  # noqa: BLE001 - of redis-py, of Python's ssl or of the files
            raise SettingsError(
                f"the ssl_ options of the URL cannot be used: {type(error).__name__}: {error}"
            ) from None

    def leave(self, generation: int) -> None:
        """Use none of the connections any more that were opened in ``generation`` or before."""
        if not self._is_fake:
            self.generation = max(self.generation, generation + 1)

    def async_client(self, connections: int) -> redis.asyncio.Redis:
        """Return a client of our own for an event loop, with at most so many connections."""
        import redis.asyncio

        kind, parameters = self._connection_to(redis.asyncio.connection, "FakeAsyncRedis")
        return made_async(kind, parameters, connections, self.timeout_s, is_fake=self.is_fake)

    def blocking_client(self, connections: int) -> redis.Redis:
        """Return a client of our own for code without an event loop, with at most so many connections."""
        import redis

        kind, parameters = self._connection_to(redis.connection, "FakeRedis")
        return made_blocking(kind, parameters, connections, self.timeout_s, is_fake=self.is_fake)

    def _connection_to(self, wanted: ModuleType, fake_client: str) -> tuple[Any, dict[str, Any]]:
        """Return the class of connections in the module ``wanted``, and their parameters."""
        kind, parameters = self._connection_of_server(wanted, fake_client)
        if self._sentinels is not None:
            return following(kind), parameters | {"sentinels": self._sentinels}
        return kind, parameters

    def _connection_of_server(self, wanted: ModuleType, fake_client: str) -> tuple[Any, dict[str, Any]]:
        if self._connects_to is not None:
            parameters = wanted.parse_url(self._connects_to)
            return parameters.pop("connection_class", wanted.Connection), parameters
        if self.is_fake:
            import fakeredis

            return getattr(fakeredis, fake_client)().connection_pool.connection_class, dict(self._parameters)
        given = self._connection_class
        is_of_its_kind = (".asyncio." in given.__module__) == (".asyncio." in wanted.__name__)
        if self._sentinels is not None:
            is_of_its_kind, given = False, of_plain_kind(given)
        return given if is_of_its_kind else getattr(wanted, given.__name__), dict(self._parameters)


def _checked_timeout(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise refused("timeout_s", "a number of seconds above 0", value)
    return value

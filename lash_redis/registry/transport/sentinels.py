"""Redis Sentinel: each new connection asks who the primary is now, as it would ask a name server.

After a failover the old primary breaks its connections or answers ``READONLY``. Either way they are opened anew (rule
8.13), and so the new primary is found.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from lash_redis.registry.transport.clients import made_async
from lash_redis.registry.transport.finishing import finished

_SILENCE_S: Final = 1.0  # of one Sentinel; then the next is asked
_KEPT: Final = ("host", "port", "username", "password", "credential_provider")


class Sentinels:
    """Some Sentinels and the service whose primary they know.

    Args:
        asked: the parameters of a connection to each, as redis-py calls them.
        service: the name under which they know the primary.
    """

    def __init__(self, asked: Sequence[Mapping[str, Any]], service: str) -> None:
        self._asked = [
            {name: value for name, value in each.items() if name in _KEPT or name.startswith("ssl_") or name == "ssl"}
            for each in asked
        ]
        self.service = service
        self._named = ""

    @property
    def shown(self) -> str:
        """Where they are, and what they are asked for, for people to read."""
        return f"{self._places}/{self.service}"

    @property
    def named(self) -> str:
        """The primary that they named last, for people to read; empty if they named none."""
        return self._named

    async def primary(self) -> tuple[str, int]:
        """Ask who the primary is.

        Raises:
            ConnectionError: of redis-py: none of them names one; it says why.
        """
        return await self._primary(_masters)

    def primary_blocking(self) -> tuple[str, int]:
        """Do what ``primary`` does, in the calling thread."""
        return finished(self._primary(_masters_blocking))

    async def _primary(self, ask: Callable[[Mapping[str, Any]], Awaitable[Any]]) -> tuple[str, int]:
        from redis.exceptions import ConnectionError as NoConnection
        from redis.exceptions import TimeoutError as Silence

        answers = _Answers(self.service)
        self._named = ""
        for each in self._asked:
            try:
                found = answers.primary_in(await ask(each))
            except (NoConnection, Silence) as error:
                answers.silence = error
            else:
                if found is not None:
                    self._ask_first(each)
                    self._named = "{}:{}".format(*found)
                    return found
        raise NoConnection(answers.why(self._places)) from answers.silence_of_all

    @property
    def _places(self) -> str:
        return ",".join(f"{each['host']}:{each['port']}" for each in self._asked)

    def _ask_first(self, answered: Mapping[str, Any]) -> None:
        """Ask the one that answered first the next time."""
        self._asked = sorted(self._asked, key=lambda each: each is not answered)


class _Answers:
    """What the Sentinels said of one service until one named its primary.

    Attributes:
        silence: why the last one that did not answer did not.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._known: set[str] = set()
        self._is_heard = False
        self.silence: Exception | None = None

    @property
    def silence_of_all(self) -> Exception | None:
        """Why the last one did not answer, if none did."""
        return None if self._is_heard else self.silence

    def primary_in(self, answer: Mapping[str, Mapping[str, Any]]) -> tuple[str, int] | None:
        """Return where the primary is as one Sentinel says; None if it knows none, or one that is down."""
        self._is_heard = True
        self._known.update(answer)
        state = answer.get(self._service)
        if state is None or not state["is_master"] or state["is_sdown"] or state["is_odown"]:
            return None
        return state["ip"], state["port"]

    def why(self, places: str) -> str:
        """Return why nobody named a primary, for people to read."""
        if not self._is_heard:
            return f"no Sentinel at {places} answers ({self.silence})"
        if self._service in self._known:
            return f"the Sentinels at {places} say that the primary {self._service!r} is down"
        known = ", ".join(map(repr, sorted(self._known))) or "none"
        return f"no Sentinel at {places} names a primary {self._service!r}; they know {known}"


async def _masters(sentinel: Mapping[str, Any]) -> Any:
    """Return what one Sentinel says of the primaries that it knows."""
    from redis.asyncio import Connection, SSLConnection

    parameters = dict(sentinel)
    kind = SSLConnection if parameters.pop("ssl", False) else Connection
    client: Any = made_async(kind, parameters, 1, _SILENCE_S, is_fake=False)
    try:
        return await client.sentinel_masters()
    finally:
        await client.connection_pool.leave()


async def _masters_blocking(sentinel: Mapping[str, Any]) -> Any:
    """Do what ``_masters`` does, in the calling thread: it never suspends."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    limits: dict[str, Any] = {
        "socket_timeout": _SILENCE_S,
        "socket_connect_timeout": _SILENCE_S,
        "retry": Retry(NoBackoff(), 0),
    }
    client: Any = Redis(**sentinel, **limits)
    try:
        return client.sentinel_masters()
    finally:
        client.close()


@functools.cache
def following(kind: type) -> type:
    """Return a class of connections, of either kind, that ask Sentinels whom to connect to."""
    mixin = _FollowingAsync if ".asyncio." in kind.__module__ else _FollowingBlocking
    return type(kind.__name__, (mixin, kind), {})


class _Following:
    host: str
    port: int

    def __init__(self, *, sentinels: Sentinels, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._sentinels = sentinels


class _FollowingAsync(_Following):
    async def _connect(self) -> None:
        self.host, self.port = await self._sentinels.primary()
        await super()._connect()  # type: ignore[misc]


class _FollowingBlocking(_Following):
    def _connect(self) -> Any:
        self.host, self.port = self._sentinels.primary_blocking()
        return super()._connect()  # type: ignore[misc]

"""Redis Sentinel: each new connection asks who the primary is now, as it would ask a name server.

After a failover the old primary breaks its connections or answers ``READONLY``. Either way they are opened anew (rule
8.13), and so the new primary is found.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

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

    @property
    def shown(self) -> str:
        """Where they are, and what they are asked for, for people to read."""
        return ",".join(f"{each['host']}:{each['port']}" for each in self._asked) + f"/{self.service}"

    async def primary(self) -> tuple[str, int]:
        """Ask who the primary is.

        Raises:
            ConnectionError: of redis-py: none of them names one.
        """
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.asyncio.sentinel import MasterNotFoundError, Sentinel

        manager: Any = Sentinel([])  # type: ignore[no-untyped-call]
        manager.sentinels = [Redis(**each, **_limits(), retry=Retry(_no_backoff(), 0)) for each in self._asked]
        try:
            host, port = await manager.discover_master(self.service)
        except MasterNotFoundError as error:
            raise self._unknown() from error
        else:
            return host, port
        finally:
            for each in manager.sentinels:
                await each.aclose()
            self._remember(manager.sentinels)

    def primary_blocking(self) -> tuple[str, int]:
        """Do what ``primary`` does, in the calling thread."""
        from redis import Redis
        from redis.retry import Retry
        from redis.sentinel import MasterNotFoundError, Sentinel

        manager: Any = Sentinel([])  # type: ignore[no-untyped-call]
        manager.sentinels = [Redis(**each, **_limits(), retry=Retry(_no_backoff(), 0)) for each in self._asked]
        try:
            host, port = manager.discover_master(self.service)
        except MasterNotFoundError as error:
            raise self._unknown() from error
        else:
            return host, port
        finally:
            for each in manager.sentinels:
                each.close()
            self._remember(manager.sentinels)

    def _remember(self, sentinels: Iterable[Any]) -> None:
        """Ask the one that answered first the next time, as redis-py has put them."""
        order = [each.connection_pool.connection_kwargs for each in sentinels]
        places = [(each["host"], each["port"]) for each in order]
        self._asked = sorted(self._asked, key=lambda each: places.index((each["host"], each["port"])))

    def _unknown(self) -> Exception:
        from redis.exceptions import ConnectionError as NoConnection

        return NoConnection(
            f"no Sentinel at {self.shown.removesuffix(f'/{self.service}')} names a primary {self.service!r}"
        )


def _limits() -> dict[str, Any]:
    return {"socket_timeout": _SILENCE_S, "socket_connect_timeout": _SILENCE_S}


def _no_backoff() -> Any:
    from redis.backoff import NoBackoff

    return NoBackoff()


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

"""Clients of our own to one server.

redis-py's own retries are off, since they multiply time and hide lost replies (rule 8.11); ``sending`` decides what is
sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import redis
    import redis.asyncio


def made_async(
    kind: Any, parameters: Mapping[str, Any], connections: int, timeout_s: float, *, is_fake: bool
) -> redis.asyncio.Redis:
    """Return a client for an event loop, with at most so many connections of a class of redis-py's."""
    import redis.asyncio
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    from lash_redis.registry.transport.async_patience import async_pool, patient_async

    given = {**parameters, **_limits(parameters, connections, timeout_s), "retry": Retry(NoBackoff(), 0)}
    if is_fake:
        pool = redis.asyncio.BlockingConnectionPool(connection_class=kind, **given)
    else:
        given["silence_s"] = given.pop("socket_timeout")
        pool = async_pool()(connection_class=patient_async(kind), **given)
    return redis.asyncio.Redis(connection_pool=pool)


def made_blocking(
    kind: Any, parameters: Mapping[str, Any], connections: int, timeout_s: float, *, is_fake: bool
) -> redis.Redis:
    """Do the same for code without an event loop."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    from lash_redis.registry.transport.blocking_patience import blocking_pool, patient_blocking

    given = {**parameters, **_limits(parameters, connections, timeout_s), "retry": Retry(NoBackoff(), 0)}
    if is_fake:
        pool = redis.BlockingConnectionPool(connection_class=kind, **given)  # type: ignore[no-untyped-call]
    else:
        pool = blocking_pool()(connection_class=patient_blocking(kind), **given)
    return redis.Redis(connection_pool=pool)


def _limits(parameters: Mapping[str, Any], connections: int, timeout_s: float) -> dict[str, Any]:
    return {
        "max_connections": connections,
        "timeout": timeout_s,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
    } | ({} if "path" in parameters else {"socket_keepalive": True})

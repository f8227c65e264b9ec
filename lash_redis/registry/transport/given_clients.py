"""What redis-py's clients of a cluster and of Sentinels say of where these are. They are asked nothing else."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec

from lash_redis.core.errors import SettingsError
from lash_redis.registry.transport.sentinels import Sentinels
from lash_redis.registry.transport.slots import Place


class GivenCluster(msgspec.Struct, frozen=True):
    """What a client of a cluster says.

    Attributes:
        seeds: a client of each node that it was told of.
        remap: makes the place where a node is reached of the one that the cluster names.
    """

    seeds: list[Any]
    remap: Callable[[Place], Place] | None


def cluster_in(client: Any) -> GivenCluster | None:
    """Return what a ``RedisCluster`` says, of either kind; None if it is none."""
    manager = getattr(client, "nodes_manager", None)
    if manager is None or not hasattr(manager, "startup_nodes"):
        return None
    nodes = list(manager.startup_nodes.values())
    seeds = [
        # The async client's nodes hold what makes connections; the blocking one makes a client of a node.
        SimpleNamespace(connection_pool=node)
        if hasattr(node, "connection_kwargs")
        else manager.create_redis_node(node.host, node.port, **manager.connection_kwargs)
        for node in nodes
    ]
    return GivenCluster(seeds, getattr(manager, "address_remap", None))


def sentinels_in(pool: Any) -> Sentinels | None:
    """Return the Sentinels that a pool of connections asks for its primary; None if it asks none.

    Raises:
        SettingsError: it is one of replicas.
    """
    manager = getattr(pool, "sentinel_manager", None)
    if manager is None:
        return None
    if not pool.is_master:
        raise SettingsError(
            "expected a client of the primary, got one of its replicas: use sentinel.master_for(...), "
            "or the URL redis+sentinel://HOST:PORT,HOST:PORT/SERVICE"
        )
    asked = [
        each.connection_pool.connection_kwargs
        | ({"ssl": True} if of_plain_kind(each.connection_pool.connection_class).__name__ == "SSLConnection" else {})
        for each in manager.sentinels
    ]
    return Sentinels(asked, pool.service_name)


def of_plain_kind(kind: type) -> type:
    """Return the class of connections that one of redis-py's for Sentinels stands upon."""
    from redis import asyncio, connection

    if issubclass(kind, (connection.SSLConnection, asyncio.SSLConnection)):
        return connection.SSLConnection
    return connection.Connection

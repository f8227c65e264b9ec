"""What the server says of itself, and whether it may hold leases (rule 8.9): ``transport`` reads, this judges."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from lash_redis.core.errors import RegistryUnavailable, UnsafeServerError

# What a script raises keeps its first word from these on, and a script may be refused whole before it runs.
OLDEST: Final = {"redis": (7, 0), "valkey": (7, 2)}
NO_EVICTION: Final = "noeviction"
_KINDS: Final = {
    "sentinel": "a Sentinel: redis+sentinel://HOST:PORT,HOST:PORT/SERVICE follows the primary that Sentinels name",
}


class ServerInfo(msgspec.Struct, frozen=True):
    """What decides how scripts are sent, and what an operator should know.

    Attributes:
        version: the server's name and version.
        takes_shebang: scripts are sent with a ``#!lua`` line, so that a full server refuses them before they run.
        durability: none, snapshots, append-only (each second), append-only (always), or unknown.
        maxmemory_policy: ``noeviction``, or how it evicts keys.
    """

    version: str
    takes_shebang: bool
    durability: str
    maxmemory_policy: str = NO_EVICTION


class Memory(msgspec.Struct, frozen=True):
    """How much memory a server uses, bytes, and its limit."""

    used: int
    limit: int

    def is_over(self, percent: int) -> bool:
        """Say whether more than such a share of the limit is used."""
        return self.used * 100 > self.limit * percent


def memory_in(info: Mapping[str, Any]) -> Memory | None:
    """Return what the server's ``INFO memory`` says; None if there is no limit."""
    used, limit = info.get("used_memory"), info.get("maxmemory")
    return Memory(used, limit) if isinstance(used, int) and isinstance(limit, int) and limit > 0 else None


async def fullest(answers: Iterable[Awaitable[Any]]) -> Memory | None:
    """Return the memory of the node that is nearest to its limit, of those that answer; None if none has one.

    Raises:
        RegistryUnavailable: none answers.
    """
    memories: list[Memory | None] = []
    failure: RegistryUnavailable | None = None
    for answer in answers:
        try:
            memories.append(memory_in(await answer))
        except RegistryUnavailable as error:
            failure = error
    if failure is not None and not memories:
        raise failure
    limited = [memory for memory in memories if memory is not None]
    return max(limited, key=lambda memory: memory.used / memory.limit, default=None)


_DURABILITIES: Final = (
    "unknown", "none", "snapshots", "append-only (never synced)", "append-only (each second)", "append-only (always)",
)  # fmt: skip
FAKE_SERVER = ServerInfo("fakeredis", takes_shebang=False, durability="none")


def is_of_cluster(info: Mapping[str, Any]) -> bool:
    """Return whether the server is a node of a Redis Cluster."""
    return _mode(info) == "cluster"


def of_all(servers: Sequence[ServerInfo]) -> ServerInfo:
    """Return what is true of all nodes of a cluster: the versions, the weakest durability, and a policy that evicts."""
    weakest = min(servers, key=lambda each: _DURABILITIES.index(each.durability))
    policy = next((each.maxmemory_policy for each in servers if each.maxmemory_policy != NO_EVICTION), NO_EVICTION)
    versions = " and ".join(sorted({each.version for each in servers}))
    count = f"{len(servers)} nodes" if len(servers) > 1 else "1 node"
    return ServerInfo(f"{versions}, a cluster ({count} of it in use)", True, weakest.durability, policy)  # noqa: FBT003 - a field


def _mode(info: Mapping[str, Any]) -> str:
    return str(info.get("redis_mode", info.get("server_mode", "standalone")))


def judged(info: Mapping[str, Any], appendfsync: str | None, *, allow_unsafe: bool) -> ServerInfo:
    """Return what the server's ``INFO`` says.

    Raises:
        UnsafeServerError: it is a Sentinel; it is older than Redis 7.0 or Valkey 7.2; or it evicts keys,
            unless ``allow_unsafe``: eviction deletes leases and rows in silence.
    """
    mode = _mode(info)
    if mode in _KINDS:
        raise UnsafeServerError(f"expected a server that holds data, got {_KINDS[mode]}")
    name = "valkey" if "valkey_version" in info else "redis"
    version = str(info.get(f"{name}_version", "an unknown version"))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST[name]:
        raise UnsafeServerError(
            f"expected a server of Redis 7.0 or later, or of Valkey 7.2 or later, got {name} {version} "
            "(upgrade the server; its data can be kept)"
        )
    policy = str(info.get("maxmemory_policy", NO_EVICTION))
    if policy != NO_EVICTION and not allow_unsafe:
        raise UnsafeServerError(
            f"expected maxmemory-policy to be noeviction, got {policy}: it deletes leases and rows in silence "
            "(set it with CONFIG SET maxmemory-policy noeviction, or accept it with allow_unsafe_server=True in the "
            "Lash(...) that declares the tasks)"
        )
    return ServerInfo(f"{name} {version}", True, _durability(info, appendfsync), policy)  # noqa: FBT003 - a field


def _durability(info: Mapping[str, Any], appendfsync: str | None) -> str:
    if str(info.get("aof_enabled", "0")) == "1":
        return {"always": "append-only (always)", "no": "append-only (never synced)"}.get(
            appendfsync or "", "append-only (each second)"
        )
    return "snapshots" if int(info.get("rdb_last_save_time", 0)) and str(info.get("rdb_saves", "0")) != "0" else "none"

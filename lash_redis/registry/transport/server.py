"""What the server says of itself, and whether it may hold leases (rule 8.9). Pure: ``transport`` reads, this judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lash_redis.core.errors import UnsafeServerError

OLDEST_VERSION = (6, 2)
_SHEBANG_VERSION = (7, 0)


class ServerInfo(msgspec.Struct, frozen=True):
    """What decides how scripts are sent, and what an operator should know.

    Attributes:
        version: the server's name and version.
        takes_shebang: scripts are sent with a ``#!lua`` line, so that a full server refuses them before they run.
        durability: none, snapshots, append-only (each second), append-only (always), or unknown.
    """

    version: str
    takes_shebang: bool
    durability: str


FAKE_SERVER = ServerInfo("fakeredis", takes_shebang=False, durability="none")


def judged(info: Mapping[str, Any], appendfsync: str | None, *, allow_unsafe: bool) -> ServerInfo:
    """Return what the server's ``INFO`` says.

    Raises:
        UnsafeServerError: it is older than Redis 6.2 (``SET … PXAT``), or evicts keys, unless ``allow_unsafe``:
            eviction deletes leases and rows in silence.
    """
    version = str(info.get("redis_version", "0"))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST_VERSION:
        raise UnsafeServerError(f"expected a server of Redis 6.2 or later (or Valkey), got {version}")
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction" and not allow_unsafe:
        raise UnsafeServerError(
            f"expected maxmemory-policy to be noeviction, got {policy}: it deletes leases and rows in silence "
            "(set it with CONFIG SET maxmemory-policy noeviction, or pass allow_unsafe_server=True)"
        )
    name = str(info.get("server_name", "redis"))
    shown = f"{name} {info.get('valkey_version', version)}"
    return ServerInfo(shown, numbers >= _SHEBANG_VERSION, _durability(info, appendfsync))


def _durability(info: Mapping[str, Any], appendfsync: str | None) -> str:
    if str(info.get("aof_enabled", "0")) == "1":
        return {"always": "append-only (always)", "no": "append-only (never synced)"}.get(
            appendfsync or "", "append-only (each second)"
        )
    return "snapshots" if int(info.get("rdb_last_save_time", 0)) and str(info.get("rdb_saves", "0")) != "0" else "none"

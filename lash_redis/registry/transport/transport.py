"""One script sent, and the server inspected: replies as they come, redis-py's errors as ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lash_redis.registry.scripts import Script
from lash_redis.registry.transport.connections import Connections
from lash_redis.registry.transport.errors import translated
from lash_redis.registry.transport.server import FAKE_SERVER, ServerInfo, judged


class Transport:
    """The only way to the server for one registry. ``run`` is where tests lose requests and replies."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections

    async def run(self, script: Script, header: str, args: Sequence[Any], *, shebang: bool) -> list[Any]:
        """Run one transition in one partition, by its SHA; send the source if the server has forgotten it (rule 8.11).

        Raises:
            RegistryUnavailable: the server did not answer, or cannot do it now.
        """
        import redis

        execute, kind = self.connections.execute, script.connections
        sha, source = (script.shebang_sha, script.shebang_source) if shebang else (script.sha, script.source)
        try:
            try:
                return await execute(kind, "EVALSHA", sha, 1, header, *args)  # type: ignore[no-any-return]
            except redis.exceptions.NoScriptError:
                return await execute(kind, "EVAL", source, 1, header, *args)  # type: ignore[no-any-return]
        except redis.RedisError as error:
            raise translated(script.name, error) from error

    async def server_info(self, *, allow_unsafe: bool) -> ServerInfo:
        """Read and judge what the server says of itself; a fakeredis one is not asked, since it has no ``INFO``.

        Raises:
            UnsafeServerError: it evicts keys, or is too old.
            RegistryUnavailable: the server did not answer, or cannot do it now.
        """
        import redis

        if self.connections.address.is_fake:
            return FAKE_SERVER
        execute = self.connections.execute
        try:
            info = await execute("calls", "INFO")
            try:
                appendfsync = (await execute("calls", "CONFIG GET", "appendfsync")).get("appendfsync")
            except redis.ResponseError:
                appendfsync = None
        except redis.RedisError as error:
            raise translated("open", error) from error
        return judged(info, appendfsync, allow_unsafe=allow_unsafe)

"""Which answers of the nodes of a cluster send a call elsewhere or later."""

from __future__ import annotations

from typing import Final

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.timing import backoff, boottime_ms, jittered
from lash_redis.registry.transport.address import Address
from lash_redis.registry.transport.cluster import Cluster
from lash_redis.registry.transport.connections import Connections
from lash_redis.registry.transport.errors import reply_of
from lash_redis.registry.transport.replies import text_of

_LATER: Final = ("TRYAGAIN", "ASK", "CLUSTERDOWN")  # nothing was applied, and it passes
_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 0.5


class Patience:
    """How often and how long one call follows a cluster that changes: as long as a server may be silent."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._tries = 0
        self._until_ms: float | None = None

    def moving(self, node: Address, error: Exception, operation: str, *, reads: bool) -> RegistryUnavailable | None:
        """Return what is raised once a call was sent back and forth for too long; None for another error."""
        if reply_of(error).begins not in ("MOVED", "ASK"):
            return None
        text = f"{node.shown}: the cluster is moving the slot (it says: {text_of(error)})"
        return RegistryUnavailable(operation, text, maybe_applied=False, reads=reads)

    async def follows(self, cluster: Cluster[Address], node: Address, error: Exception) -> bool:
        """Return whether to send the call again, after a pause where one is due.

        ``ASK`` is not followed: what the other node has of the partition is not all of it (decision 0020).
        """
        reply = reply_of(error).begins
        has_moved = reply == "MOVED"
        if has_moved:
            cluster.follow(str(error), node)
        elif reply not in _LATER:
            return False
        now_ms = boottime_ms()
        if self._until_ms is None:
            self._until_ms = now_ms + self._connections.address.timeout_s * 1000
        self._tries += 1
        if now_ms >= self._until_ms:
            return False
        if reply == "CLUSTERDOWN":
            cluster.doubt(node)
        if not has_moved or self._tries > 1:
            pause_s = min(backoff(self._tries, _FIRST_PAUSE_S, _LONGEST_PAUSE_S), (self._until_ms - now_ms) / 1000)
            await self._connections.pause(jittered(pause_s, 0.2))
        return True

"""One call to a cluster: which answers of its nodes send the call elsewhere or later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from functools import partial
from typing import Final, TypeAlias, TypeVar

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.loops import running_loop
from lash_redis.core.timing import backoff, boottime_ms, jittered
from lash_redis.registry.transport.address import Address
from lash_redis.registry.transport.cluster import Cluster
from lash_redis.registry.transport.connections import Connections
from lash_redis.registry.transport.errors import reply_of
from lash_redis.registry.transport.replies import NEVER_SENT, NO_ANSWER, text_of
from lash_redis.registry.transport.turns import is_in_turn

T = TypeVar("T")
Keys: TypeAlias = tuple[int | str, ...]  # how many, and which

_LATER: Final = ("TRYAGAIN", "ASK", "CLUSTERDOWN")  # nothing was applied, and it passes
_FOLLOWED_AT_ONCE: Final = 2
_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 0.5


class ClusterCall:
    """How often and how long one call follows a cluster that changes, and waits for a node.

    A call of a client waits as long as a server may be silent. What a worker does again by itself waits for nothing,
    and for an answer a second: one call after the other goes to all partitions, and one that cannot answer must hold up
    no other. A node that was silent is asked nothing until it has answered a question beside all calls. If it answers
    that, and is silent again, it gets twice as long, so that one which is only slow is heard in the end.
    """

    def __init__(self, connections: Connections, kind: str) -> None:
        self._connections = connections
        self._began_ms = boottime_ms()
        self._is_in_turn = kind != "calls" or is_in_turn()
        self._limit_ms = connections.address.timeout_s * 1000
        self._waits_ms = 0 if self._is_in_turn else self._limit_ms
        self._tries = 0
        self._sent_ms = self._began_ms

    def sends(self, cluster: Cluster[Address], node: Address, operation: str, *, reads: bool) -> None:
        """Begin to send the call to a node.

        Raises:
            RegistryUnavailable: it was silent a moment ago.
        """
        if cluster.rests(node):
            cluster.doubt(node)
            text = f"{node.shown} did not answer a moment ago"
            raise RegistryUnavailable(operation, text, maybe_applied=False, reads=reads)
        self._sent_ms = boottime_ms()

    async def answer(self, cluster: Cluster[Address], node: Address, sent: Awaitable[T]) -> T:
        """Return the answer to what is sent to a node.

        Raises:
            TimeoutError: it did not come while this call may wait.
        """
        if not self._is_in_turn or running_loop() is None:
            return await sent
        self._limit_ms = min(self._limit_ms, cluster.patience_s(node) * 1000)
        if self._limit_ms >= self._connections.address.timeout_s * 1000:
            return await sent
        try:
            async with asyncio.timeout(self._limit_ms / 1000):
                return await sent
        except TimeoutError:
            raise TimeoutError(f"nothing came within {self._limit_ms / 1000:g} s") from None

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
        elif reply == "CLUSTERDOWN":
            cluster.doubt(node)
        self._tries += 1
        if has_moved and self._tries <= _FOLLOWED_AT_ONCE:
            return True
        left_ms = self._began_ms + self._waits_ms - boottime_ms()
        if left_ms <= 0:
            return False
        pause_s = min(backoff(self._tries, _FIRST_PAUSE_S, _LONGEST_PAUSE_S), left_ms / 1000)
        await self._connections.pause(jittered(pause_s, 0.2))
        return True

    def let_rest(self, cluster: Cluster[Address], node: Address, error: Exception) -> None:
        """Let a node rest that was silent for as long as it may be."""
        is_silent = reply_of(error) in (NO_ANSWER, NEVER_SENT) and boottime_ms() - self._sent_ms >= self._limit_ms * 0.9
        if is_silent:
            cluster.was_silent(node)
            cluster.let_rest(node, self._connections.address.timeout_s * 1000)
            self._connections.beside(node, partial(_until_it_answers, self._connections.at(node), cluster, node))


def is_in_slots(keys: Keys) -> bool:
    """Say whether a call with these keys is one to a cluster: only that names a second one (``Transport._run_in``)."""
    return len(keys) > 2


async def _until_it_answers(there: Connections, cluster: Cluster[Address], node: Address) -> None:
    """Let a silent node rest until it has answered a question, whatever it says."""
    limit_ms = node.timeout_s * 1000
    while cluster.serves(node):
        cluster.let_rest(node, 2 * limit_ms)
        asked_ms = boottime_ms()
        with suppress(Exception):
            await there.execute("control", "PING")
            break
        if boottime_ms() - asked_ms < limit_ms * 0.9:
            break  # it refuses, and does so at once
    cluster.wake(node)

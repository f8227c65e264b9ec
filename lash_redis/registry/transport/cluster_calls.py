"""One call to a cluster: which answers of its nodes send the call elsewhere or later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, TypeAlias, TypeVar

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.loops import running_loop
from lash_redis.core.timing import backoff, boottime_ms, call_later, jittered
from lash_redis.registry.transport.address import Address
from lash_redis.registry.transport.cluster import Cluster
from lash_redis.registry.transport.connections import Connections
from lash_redis.registry.transport.errors import reply_of
from lash_redis.registry.transport.in_turn import is_in_turn
from lash_redis.registry.transport.replies import NEVER_SENT, NO_ANSWER, text_of

T = TypeVar("T")
Keys: TypeAlias = tuple[int | str, ...]  # how many, and which

_LATER: Final = ("TRYAGAIN", "ASK", "CLUSTERDOWN")  # nothing was applied, and it passes
_FOLLOWED_AT_ONCE: Final = 2
_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 0.5
_LOOKS: Final = 5  # how often within its patience a call looks at the time


class ClusterCall:
    """How often and how long one call follows a cluster that changes, and waits for a node.

    A call of a client or a read of a sweep follows a cluster that changes for as long as a server may be silent.
    Claims, renewals and results do not wait for that: a worker sends them again by itself. And what asks one partition
    after the other waits for an answer two seconds: one that cannot answer must hold up no other. Then such calls ask
    that node nothing until it has answered a question beside all calls. If it is silent again after that, it gets twice
    as long, so that one which is only slow is heard in the end.
    """

    def __init__(self, connections: Connections, kind: str) -> None:
        self._connections = connections
        self._began_ms = boottime_ms()
        self._silence_ms = connections.address.timeout_s * 1000
        self._waits_ms = self._silence_ms if kind == "calls" else 0
        self._is_in_turn = kind == "claim" or is_in_turn()
        self._tries = 0
        self._sent_ms = self._began_ms

    def sends(self, cluster: Cluster[Address], node: Address, operation: str, *, reads: bool) -> None:
        """Begin to send the call to a node.

        Raises:
            RegistryUnavailable: it was silent a moment ago.
        """
        if cluster.rests(node) or (self._is_in_turn and cluster.is_watched(node)):
            cluster.doubt(node)
            text = f"{node.shown} did not answer a moment ago"
            raise RegistryUnavailable(operation, text, maybe_applied=False, reads=reads)
        self._sent_ms = boottime_ms()

    async def answer(
        self, cluster: Cluster[Address], node: Address, sent: Awaitable[T], operation: str, *, reads: bool
    ) -> T:
        """Return the answer to what is sent to a node.

        Raises:
            RegistryUnavailable: it did not come while a call that is made in turn may wait.
        """
        limit_s = cluster.patience_s(node)
        if not self._is_in_turn or limit_s * 1000 >= self._silence_ms or running_loop() is None:
            return await sent
        try:
            async with _patience(limit_s):
                return await sent
        except TimeoutError:
            cluster.was_silent(node)
            cluster.doubt(node)
            self._connections.beside(node, partial(_until_it_answers, self._connections.at(node), cluster, node))
            text = f"no answer from {node.shown}: nothing came within {limit_s:g} s"
            raise RegistryUnavailable(operation, text, maybe_applied=True, reads=reads) from None

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
        is_silent = reply_of(error) in (NO_ANSWER, NEVER_SENT)
        if is_silent and boottime_ms() - self._sent_ms >= self._silence_ms * 0.9:
            cluster.let_rest(node, self._silence_ms)


@asynccontextmanager
async def _patience(limit_s: float) -> AsyncIterator[None]:
    """Bound how long a block lasts, as the event loop sees it: the time in which it did nothing does not count.

    Raises:
        TimeoutError: the block lasted longer.
    """
    loop, timers = asyncio.get_running_loop(), list[asyncio.TimerHandle]()
    async with asyncio.timeout(None) as bound:

        def look() -> None:
            if len(timers) < _LOOKS:
                look_later()
            else:
                bound.reschedule(loop.time())

        def look_later() -> None:
            timers.append(call_later(loop, limit_s / _LOOKS, look))

        look_later()
        try:
            yield
        finally:
            timers[-1].cancel()


def is_in_slots(keys: Keys) -> bool:
    """Say whether a call with these keys is one to a cluster: only that names a second one (``Transport._run_in``)."""
    return len(keys) > 2


async def _until_it_answers(there: Connections, cluster: Cluster[Address], node: Address) -> None:
    """Have calls that are made in turn ask a silent node nothing until it has answered a question, whatever it says."""
    limit_ms = node.timeout_s * 1000
    while cluster.serves(node):
        cluster.watch(node, 2 * limit_ms)
        asked_ms = boottime_ms()
        with suppress(Exception):
            await there.execute("control", "PING")
            break
        if boottime_ms() - asked_ms < limit_ms * 0.9:
            break  # it refuses, and does so at once
    cluster.watch(node, 0)

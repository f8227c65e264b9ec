"""Subscriptions to wake-ups: one for each client, in all partitions, made again after each loss.

On a cluster each client has one for each node (``cluster_listening``).

A wake-up is a hint (rule 9.3). A message published before the subscription is confirmed is lost. So the listener reads
the rows after each confirmation, and every few seconds besides.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final, NoReturn

from lash_redis.core.errors import RegistryUnavailable, SettingsError
from lash_redis.core.timing import backoff, boottime_ms, is_cancelled, jittered, sleep
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.calls.call import Namespace
from lash_redis.registry.cluster_listening import at_all_nodes, at_all_nodes_blocking
from lash_redis.registry.keys import channel
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.address import Address
from lash_redis.registry.transport.cluster import Cluster
from lash_redis.registry.transport.errors import reply_of
from lash_redis.registry.transport.transport import Transport

OnMessage = Callable[[int, str], None]
OnSubscribed = Callable[[], None]

QUIET_MS: Final = 5_000  # after so long without a message the server is pinged, and has as long to answer
_TICK_S: Final = 0.25  # how soon a blocking listener sees that it was stopped
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0


class _Subscription:
    """What one subscription receives. No I/O; it reads the clock. Both listeners share it."""

    def __init__(self, channels: dict[str, int], on_message: OnMessage, on_subscribed: OnSubscribed) -> None:
        self.channels = channels
        self.is_confirmed = False
        self._unconfirmed = set(channels)
        self._on_message = on_message
        self._on_subscribed = on_subscribed
        self._received_ms = boottime_ms()
        self._pinged_ms: int | None = None

    def take(self, message: dict[str, Any] | None) -> None:
        """Take what was received; None if nothing was."""
        if message is None:
            return
        self._received_ms, self._pinged_ms = boottime_ms(), None
        if message["type"] in ("message", "smessage"):
            self._on_message(self.channels[_text(message["channel"])], _text(message["data"]))
        elif message["type"] in ("subscribe", "ssubscribe"):
            self._unconfirmed.discard(_text(message["channel"]))
            if not self._unconfirmed:
                self.is_confirmed = True
                self._on_subscribed()
        elif message["type"] == "sunsubscribe":
            raise ConnectionError("the slot of a channel has left the node")

    def needs_ping(self) -> bool:
        """Return whether to ping the server now: a connection that broke unnoticed only looks quiet.

        Raises:
            ConnectionError: the server was pinged, and did not answer in time.
        """
        now_ms = boottime_ms()
        if self._pinged_ms is None:
            if now_ms - self._received_ms >= QUIET_MS:
                self._pinged_ms = now_ms
                return True
        elif now_ms - self._pinged_ms >= QUIET_MS:
            raise ConnectionError(f"no sign of life within {QUIET_MS} ms")
        return False


class _Failures:
    """How often in a row listening ended, whether that is an error, and how long to wait before the next try."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._was_confirmed = False

    def judge(
        self,
        transport: Transport,
        error: Exception,
        generation: int,
        ended: _Subscription | None,
        node: Address | None = None,
    ) -> None:
        """Raise the error of a subscription that was refused before any was confirmed; tell of a later one.

        Raises:
            SettingsError: the server refuses, and this is the first subscription.
        """
        self._was_confirmed = self._was_confirmed or (ended is not None and ended.is_confirmed)
        is_first = not self._was_confirmed
        ours = transport.translated("subscribe", error, generation, opening=is_first, reads=True, node=node)
        if isinstance(ours, SettingsError):
            raise ours from error

    def pause_s(self, ended: _Subscription | None) -> float:
        """Count one more, or the first if the subscription that ended was confirmed; return how long to wait, s."""
        self._in_a_row = 1 if ended is not None and ended.is_confirmed else self._in_a_row + 1
        return jittered(backoff(self._in_a_row, _FIRST_PAUSE_S, _LONGEST_PAUSE_S), 0.2)


async def listen(registry: ProcessRegistry, name: str, on_message: OnMessage, on_subscribed: OnSubscribed) -> NoReturn:
    """Listen to what is published for ``name`` in every partition, until cancelled; wait outages out.

    Args:
        registry: names the namespace and the server; the connection is the listener's own.
        name: an owner's digest, or a token of the client's own.
        on_message: called with the partition and the text of each message.
        on_subscribed: called after each confirmation of the subscription, so again after each loss of it.

    Raises:
        LashError: the namespace cannot be opened, or the first subscription is refused, for a reason that time does not
            cure.
    """
    from redis import RedisError  # noqa: PLC0415 - slow to import

    failures = _Failures()
    while True:
        subscription, generation = None, registry.address.generation
        try:
            await registry.open()
            channels = _channels(registry.target.namespace, name)
            if (cluster := registry.address.cluster) is not None:
                nodes = _Nodes(registry.sender.transport, cluster, on_message, on_subscribed)
                is_over = _has_left(registry.address)
                await at_all_nodes(cluster, channels, registry.sender.transport.slots, nodes.listen, is_over)
                continue
            subscription = _Subscription(channels, on_message, on_subscribed)
            await _receive(registry.address, subscription)
        except RegistryUnavailable:
            await sleep(failures.pause_s(subscription))
        except (RedisError, OSError) as error:
            failures.judge(registry.sender.transport, error, generation, subscription)
            await sleep(failures.pause_s(subscription))


async def _receive(address: Address, subscription: _Subscription, *, in_slots: bool = False) -> None:
    """Receive until the server may have become another one."""
    generation = address.generation
    client = address.async_client(1)
    pubsub = client.pubsub()
    try:
        if in_slots:
            for each in subscription.channels:  # one command names channels of one slot
                await pubsub.ssubscribe(each)
        else:
            await pubsub.subscribe(*subscription.channels)
        while not is_cancelled() and address.generation == generation:
            subscription.take(await pubsub.get_message(timeout=QUIET_MS / 1000))
            if subscription.needs_ping():
                await pubsub.ping()
        if is_cancelled():
            raise asyncio.CancelledError
    finally:
        if subscription.is_confirmed and is_cancelled() and not in_slots:
            with contextlib.suppress(Exception):
                await pubsub.unsubscribe()  # fakeredis goes on publishing to a connection that was closed
        await pubsub.aclose()  # type: ignore[no-untyped-call]
        await client.aclose()
        await client.connection_pool.disconnect()


def listen_blocking(
    registry: BlockingRegistry, name: str, on_message: OnMessage, on_subscribed: OnSubscribed, stopped: threading.Event
) -> None:
    """Do as ``listen`` does, in the calling thread, until ``stopped`` is set (seen within 250 ms).

    Raises:
        LashError: the namespace cannot be opened, for a reason that time does not cure.
    """
    from redis import RedisError  # noqa: PLC0415 - slow to import

    failures = _Failures()
    while not stopped.is_set():
        subscription, generation = None, registry.target.address.generation
        try:
            registry.open()
            channels = _channels(registry.target.namespace, name)
            if (cluster := registry.target.address.cluster) is not None:
                nodes = _Nodes(registry.sender.transport, cluster, on_message, on_subscribed)
                is_over = _has_left(registry.target.address, stopped)
                ask = registry.sender.transport.slots
                at_all_nodes_blocking(cluster, channels, ask, nodes.listen_blocking, is_over)
                continue
            subscription = _Subscription(channels, on_message, on_subscribed)
            _receive_blocking(registry.target.address, subscription, stopped)
        except RegistryUnavailable:
            stopped.wait(failures.pause_s(subscription))
        except (RedisError, OSError) as error:
            failures.judge(registry.sender.transport, error, generation, subscription)
            stopped.wait(failures.pause_s(subscription))


def _receive_blocking(
    address: Address, subscription: _Subscription, stopped: threading.Event, *, in_slots: bool = False
) -> None:
    generation = address.generation
    client = address.blocking_client(1)
    pubsub = client.pubsub()  # type: ignore[no-untyped-call]
    try:
        if in_slots:
            for each in subscription.channels:
                pubsub.ssubscribe(each)
        else:
            pubsub.subscribe(*subscription.channels)
        while not stopped.is_set() and address.generation == generation:
            subscription.take(pubsub.get_message(timeout=_TICK_S))
            if subscription.needs_ping():
                pubsub.ping()
        if not in_slots:
            pubsub.unsubscribe()
    finally:
        pubsub.close()
        client.close()
        client.connection_pool.disconnect()


class _Nodes:
    """What is known of listening on each node of a cluster, and one try of it."""

    def __init__(
        self, transport: Transport, cluster: Cluster[Address], on_message: OnMessage, on_subscribed: OnSubscribed
    ) -> None:
        self._transport = transport
        self._cluster = cluster
        self._on = (on_message, on_subscribed)
        self._failures = defaultdict[Address, _Failures](_Failures)

    async def listen(self, node: Address, channels: dict[str, int]) -> None:
        """Listen on one node until something ends that; then wait before the next try."""
        from redis import RedisError  # noqa: PLC0415 - slow to import

        subscription, generation = _Subscription(channels, *self._on), node.generation
        try:
            await _receive(node, subscription, in_slots=True)
        except (RedisError, OSError) as error:
            await sleep(self._ended(node, error, generation, subscription))

    def listen_blocking(self, node: Address, channels: dict[str, int], stopped: threading.Event) -> None:
        """Do what ``listen`` does, in the calling thread."""
        from redis import RedisError  # noqa: PLC0415 - slow to import

        subscription, generation = _Subscription(channels, *self._on), node.generation
        try:
            _receive_blocking(node, subscription, stopped, in_slots=True)
        except (RedisError, OSError) as error:
            stopped.wait(self._ended(node, error, generation, subscription))

    def _ended(self, node: Address, error: Exception, generation: int, subscription: _Subscription) -> float:
        """Learn from an error; return how long to wait, s."""
        if reply_of(error).begins == "MOVED":
            self._cluster.follow(str(error), node)
        else:
            self._failures[node].judge(self._transport, error, generation, subscription, node)
        return self._failures[node].pause_s(subscription)


def _has_left(address: Address, stopped: threading.Event | None = None) -> Callable[[], bool]:
    """Return what says whether connections to an address are opened anew by now, or listening was stopped."""
    generation = address.generation
    return lambda: address.generation != generation or (stopped is not None and stopped.is_set())


def _channels(namespace: Namespace, name: str) -> dict[str, int]:
    return {channel(namespace.name, partition, name): partition for partition in range(namespace.partitions)}


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value

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
from lash_redis.core.timing import backoff, is_cancelled, jittered, sleep
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.calls.call import Namespace
from lash_redis.registry.cluster_listening import NodeChannels, at_all_nodes, at_all_nodes_blocking
from lash_redis.registry.keys import channel
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.subscription import OnMessage, OnMoved, OnSubscribed, Subscription
from lash_redis.registry.transport.address import Address
from lash_redis.registry.transport.cluster import Cluster
from lash_redis.registry.transport.connections import leave
from lash_redis.registry.transport.transport import Transport

_MESSAGE: Final = ("type", "channel", "data")
_TICK_S: Final = 0.25  # how soon a blocking listener sees that it was stopped
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0


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
        ended: Subscription | None,
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

    def pause_s(self, ended: Subscription | None) -> float:
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
            subscription = Subscription(NodeChannels(channels), on_message, on_subscribed)
            await _receive(registry.address, subscription)
        except RegistryUnavailable:
            await sleep(failures.pause_s(subscription))
        except (RedisError, OSError) as error:
            failures.judge(registry.sender.transport, error, generation, subscription)
            await sleep(failures.pause_s(subscription))


async def _receive(address: Address, subscription: Subscription, on_moved: OnMoved | None = None) -> None:
    """Receive until the server may have become another one.

    Args:
        address: of the server, or of a node of a cluster.
        subscription: what is to be heard there.
        on_moved: of a node: called with what it says when a slot is another's.
    """
    in_slots = on_moved is not None
    generation = address.generation
    client = address.async_client(1)
    pubsub = client.pubsub()

    async def ask_in_slots() -> None:
        for each in subscription.to_ask():  # one command names channels of one slot
            await pubsub.ssubscribe(each)

    try:
        if in_slots:
            await ask_in_slots()
            subscription.own.ask = ask_in_slots  # not before there is a connection
            await ask_in_slots()
        else:
            await pubsub.subscribe(*subscription.to_ask())
        while not is_cancelled() and address.generation == generation:
            with subscription.following(on_moved):
                subscription.take(await _next_message(pubsub, subscription.quiet_s))
            if subscription.needs_ping():
                await pubsub.ping()
        if is_cancelled():
            raise asyncio.CancelledError
    finally:
        subscription.own.ask = None
        try:
            if subscription.is_confirmed and is_cancelled() and not in_slots:
                with contextlib.suppress(Exception):
                    await pubsub.unsubscribe()  # fakeredis goes on publishing to a connection that was closed
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]
            await leave(client)


async def _next_message(pubsub: Any, within_s: float) -> dict[str, Any] | None:
    """Return what comes next, None if nothing does within this time: past what redis-py does around a read."""
    connection = pubsub.connection
    answer = await connection.read_response(timeout=within_s, disconnect_on_error=False, push_request=True)
    if type(answer) is list and len(answer) == len(_MESSAGE) and answer[0] in (b"message", b"smessage"):
        return dict(zip(_MESSAGE, (answer[0].decode(), *answer[1:]), strict=True))
    return await pubsub.handle_message(answer) if answer else None


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
            subscription = Subscription(NodeChannels(channels), on_message, on_subscribed)
            _receive_blocking(registry.target.address, subscription, stopped)
        except RegistryUnavailable:
            stopped.wait(failures.pause_s(subscription))
        except (RedisError, OSError) as error:
            failures.judge(registry.sender.transport, error, generation, subscription)
            stopped.wait(failures.pause_s(subscription))


def _receive_blocking(
    address: Address, subscription: Subscription, stopped: threading.Event, on_moved: OnMoved | None = None
) -> None:
    in_slots = on_moved is not None
    generation = address.generation
    client = address.blocking_client(1)
    pubsub = client.pubsub()  # type: ignore[no-untyped-call]
    try:
        if not in_slots:
            pubsub.subscribe(*subscription.to_ask())
        while not stopped.is_set() and address.generation == generation:
            for each in subscription.to_ask():
                pubsub.ssubscribe(each)
            with subscription.following(on_moved):
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

    async def listen(self, node: Address, own: NodeChannels) -> None:
        """Listen on one node until something ends that; then wait before the next try."""
        from redis import RedisError  # noqa: PLC0415 - slow to import

        subscription, generation = Subscription(own, *self._on), node.generation
        try:
            await _receive(node, subscription, self._follows(node))
        except (RedisError, OSError) as error:
            await sleep(self._ended(node, error, generation, subscription))

    def listen_blocking(self, node: Address, own: NodeChannels, stopped: threading.Event) -> None:
        """Do what ``listen`` does, in the calling thread."""
        from redis import RedisError  # noqa: PLC0415 - slow to import

        subscription, generation = Subscription(own, *self._on), node.generation
        try:
            _receive_blocking(node, subscription, stopped, self._follows(node))
        except (RedisError, OSError) as error:
            stopped.wait(self._ended(node, error, generation, subscription))

    def _follows(self, node: Address) -> OnMoved:
        return lambda moved: self._cluster.follow(moved, node)

    def _ended(self, node: Address, error: Exception, generation: int, subscription: Subscription) -> float:
        """Report an error; return how long to wait, s."""
        self._failures[node].judge(self._transport, error, generation, subscription, node)
        return self._failures[node].pause_s(subscription)


def _has_left(address: Address, stopped: threading.Event | None = None) -> Callable[[], bool]:
    """Return what says whether connections to an address are opened anew by now, or listening was stopped."""
    generation = address.generation
    return lambda: address.generation != generation or (stopped is not None and stopped.is_set())


def _channels(namespace: Namespace, name: str) -> dict[str, int]:
    return {channel(namespace.name, partition, name): partition for partition in range(namespace.partitions)}

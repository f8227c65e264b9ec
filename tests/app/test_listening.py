"""Listening to messages, with and without an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio.client import PubSub

from lash_redis.registry import subscription as subscribing
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.keys import channel
from lash_redis.registry.listening import listen, listen_blocking
from lash_redis.registry.registry import ProcessRegistry
from tests.support import block_until, wait_until


class Received:
    """What a listener received.

    Attributes:
        subscriptions: how often it has subscribed.
        messages: partition and text of each message.
    """

    def __init__(self) -> None:
        self.subscriptions = 0
        self.messages: list[tuple[int, str]] = []

    def subscribed(self) -> None:
        """Count a subscription."""
        self.subscriptions += 1

    def message(self, partition: int, text: str) -> None:
        """Keep a message."""
        self.messages.append((partition, text))


@pytest.fixture
async def received(registry: ProcessRegistry) -> AsyncIterator[Received]:
    """Listen as ``me`` while the test runs."""
    received = Received()
    listener = asyncio.create_task(listen(registry, "me", received.message, received.subscribed))
    await wait_until(lambda: received.subscriptions, "it has subscribed")
    yield received
    listener.cancel()
    await asyncio.wait([listener])


async def test_messages_of_every_partition_are_received(
    registry: ProcessRegistry, received: Received, client: Any
) -> None:
    """One subscription gets the messages of all partitions with their numbers, and is confirmed once."""
    partitions = list(range(registry.partitions))
    for partition in partitions:
        await client.publish(channel(registry.namespace, partition, "me"), f"lane ä|{partition}|")

    await wait_until(lambda: len(received.messages) == len(partitions), "all messages have arrived")

    assert sorted(received.messages) == [(partition, f"lane ä|{partition}|") for partition in partitions]
    assert received.subscriptions == 1


async def test_messages_to_others_are_not_received(registry: ProcessRegistry, received: Received, client: Any) -> None:
    """Each name has a channel of its own."""
    await client.publish(channel(registry.namespace, 0, "you"), "ended p")
    await client.publish(channel(registry.namespace, 0, "me"), "ended q")

    await wait_until(lambda: received.messages, "a message has arrived")

    assert received.messages == [(0, "ended q")]


async def test_a_message_that_is_no_text_harms_no_listener(
    registry: ProcessRegistry, received: Received, client: Any
) -> None:
    """Anybody may publish anything: the subscription stands, and the next message arrives."""
    await client.publish(channel(registry.namespace, 0, "me"), b"ended \xff\xfe")
    await client.publish(channel(registry.namespace, 0, "me"), "ended q")

    await wait_until(lambda: len(received.messages) == 2, "both messages have arrived")

    assert received.messages == [(0, "ended \udcff\udcfe"), (0, "ended q")]
    assert received.subscriptions == 1


async def test_a_listener_that_is_cancelled_leaves_no_connection(registry: ProcessRegistry, client: Any) -> None:
    """No subscription is left."""
    received = Received()
    listener = asyncio.create_task(listen(registry, "me", received.message, received.subscribed))
    await wait_until(lambda: received.subscriptions, "it has subscribed")

    listener.cancel()
    await asyncio.wait([listener])

    async def no_channel() -> bool:
        return not await client.pubsub_channels(f"{{lash:{registry.namespace}:*")

    await wait_until(no_channel, "no channel has a subscriber")


class PatientClock:
    """A clock that stands while a ping is unanswered, so that a server on a busy machine has all the time it needs."""

    def __init__(self) -> None:
        self.now_ms = 0

    def taking(self, take: Callable[..., None]) -> Callable[..., None]:
        """Return what takes a message of a subscription, and lets time pass if nothing came and nothing was asked."""

        def taken(subscription: Any, message: object) -> None:
            take(subscription, message)
            if message is None and subscription._pinged_ms is None:
                self.now_ms += subscribing.QUIET_MS

        return taken


async def test_a_quiet_server_is_asked_and_answers(
    registry: ProcessRegistry, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence is no outage. The subscription goes on and gets later messages."""
    monkeypatch.setattr(subscribing, "QUIET_MS", 20)
    clock = PatientClock()
    monkeypatch.setattr(subscribing, "boottime_ms", lambda: clock.now_ms)
    monkeypatch.setattr(subscribing.Subscription, "take", clock.taking(subscribing.Subscription.take))
    pings: list[PubSub] = []
    ping = PubSub.ping

    async def counted(pubsub: PubSub) -> None:
        pings.append(pubsub)
        await ping(pubsub)

    monkeypatch.setattr(PubSub, "ping", counted)
    received = Received()
    listener = asyncio.create_task(listen(registry, "me", received.message, received.subscribed))
    await wait_until(lambda: len(pings) > 3, "it has sent a few pings")
    await client.publish(channel(registry.namespace, 0, "me"), "ended p")
    await wait_until(lambda: received.messages, "a message has arrived")

    assert received.subscriptions == 1
    listener.cancel()
    await asyncio.wait([listener])


def test_a_blocking_listener_receives_and_stops(
    registry: ProcessRegistry, client: Any, event_loop_runner: asyncio.Runner
) -> None:
    """It reports its subscription, gets the messages of every partition, and ends on request."""
    received, stopped, blocking = Received(), threading.Event(), BlockingRegistry(registry)
    listener = threading.Thread(
        target=listen_blocking, args=(blocking, "me", received.message, received.subscribed, stopped)
    )
    listener.start()
    block_until(lambda: received.subscriptions, "it has subscribed")

    last = registry.partitions - 1
    event_loop_runner.run(client.publish(channel(registry.namespace, last, "me"), "ended p"))
    block_until(lambda: received.messages, "a message has arrived")

    stopped.set()
    listener.join(60)
    blocking.close()
    assert not listener.is_alive()
    assert (received.subscriptions, received.messages) == (1, [(last, "ended p")])

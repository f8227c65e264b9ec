"""Hearing of wake-ups, in both transports."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lash_redis.registry import listening
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.keys import channel
from lash_redis.registry.listening import listen, listen_blocking
from lash_redis.registry.registry import ProcessRegistry
from tests.support import block_until, wait_until


class Heard:
    """What a listener was told."""

    def __init__(self) -> None:
        self.stands = 0
        self.messages: list[tuple[int, str]] = []

    def subscribed(self) -> None:
        """Count a subscription."""
        self.stands += 1

    def message(self, partition: int, text: str) -> None:
        """Keep a message."""
        self.messages.append((partition, text))


@pytest.fixture
async def heard(registry: ProcessRegistry) -> AsyncIterator[Heard]:
    """Listen as ``me`` while the test runs."""
    told = Heard()
    listener = asyncio.create_task(listen(registry, "me", told.message, told.subscribed))
    await wait_until(lambda: told.stands, "the subscription stands")
    yield told
    listener.cancel()
    await asyncio.wait([listener])


async def test_every_partition_is_heard(registry: ProcessRegistry, heard: Heard, client: Any) -> None:
    """One subscription hears all of them, says which it was, and is confirmed once."""
    partitions = list(range(registry.partitions))
    for partition in partitions:
        await client.publish(channel(registry.namespace, partition, "me"), f"lane ä|{partition}|")

    await wait_until(lambda: len(heard.messages) == len(partitions), "all were heard")

    assert sorted(heard.messages) == [(partition, f"lane ä|{partition}|") for partition in partitions]
    assert heard.stands == 1


async def test_what_is_said_to_others_is_not_heard(registry: ProcessRegistry, heard: Heard, client: Any) -> None:
    """A name is a channel of its own."""
    await client.publish(channel(registry.namespace, 0, "you"), "ended p")
    await client.publish(channel(registry.namespace, 0, "me"), "ended q")

    await wait_until(lambda: heard.messages, "something was heard")

    assert heard.messages == [(0, "ended q")]


async def test_a_listener_that_is_cancelled_leaves_no_connection(registry: ProcessRegistry, client: Any) -> None:
    """Nobody listens in its name any more."""
    told = Heard()
    listener = asyncio.create_task(listen(registry, "me", told.message, told.subscribed))
    await wait_until(lambda: told.stands, "the subscription stands")

    listener.cancel()
    await asyncio.wait([listener])

    async def is_silent() -> bool:
        return not await client.pubsub_channels(f"{{lash:{registry.namespace}:*")

    await wait_until(is_silent, "nobody listens")


async def test_a_quiet_server_is_asked_and_answers(
    registry: ProcessRegistry, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence is no outage: the subscription stands on, and hears what comes later."""
    monkeypatch.setattr(listening, "_QUIET_MS", 20)
    asked: list[bool] = []
    needs_ping = listening._Subscription.needs_ping

    def counted(subscription: listening._Subscription) -> bool:
        wants = needs_ping(subscription)
        asked.extend([wants] * wants)
        return wants

    monkeypatch.setattr(listening._Subscription, "needs_ping", counted)
    told = Heard()
    listener = asyncio.create_task(listen(registry, "me", told.message, told.subscribed))
    await wait_until(lambda: len(asked) > 3, "it asked a few times")
    await client.publish(channel(registry.namespace, 0, "me"), "ended p")
    await wait_until(lambda: told.messages, "something was heard")

    assert told.stands == 1
    listener.cancel()
    await asyncio.wait([listener])


def test_a_blocking_listener_hears_and_stops(
    registry: ProcessRegistry, client: Any, event_loop_runner: asyncio.Runner
) -> None:
    """It says when it stands, hears every partition, and ends when it is told to."""
    told, stopped, blocking = Heard(), threading.Event(), BlockingRegistry(registry)
    listener = threading.Thread(target=listen_blocking, args=(blocking, "me", told.message, told.subscribed, stopped))
    listener.start()
    block_until(lambda: told.stands, "the subscription stands")

    last = registry.partitions - 1
    event_loop_runner.run(client.publish(channel(registry.namespace, last, "me"), "ended p"))
    block_until(lambda: told.messages, "something was heard")

    stopped.set()
    listener.join(5)
    blocking.close()
    assert not listener.is_alive()
    assert (told.stands, told.messages) == (1, [(last, "ended p")])

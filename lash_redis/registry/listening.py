"""Hearing of wake-ups: one subscription per client, for all partitions, that comes back by itself (design, section 6).

What is heard is a hint. Whoever listens reads for himself each time that the subscription stands, since nothing said
before that was heard, and now and then besides.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, Final, NoReturn

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.timing import backoff, boottime_ms, jittered, sleep
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.calls import Calls
from lash_redis.registry.keys import channel
from lash_redis.registry.registry import ProcessRegistry

OnMessage = Callable[[int, str], None]
OnSubscribed = Callable[[], None]

_QUIET_MS: Final = 5_000  # of silence, then the server is asked for a sign of life, and has as long to give one
_TICK_S: Final = 0.25  # how soon a plain listener sees that it was stopped
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0


class _Ear:
    """What to make of what one subscription brings. Pure but for the clock; both transports share it."""

    def __init__(self, channels: dict[str, int], on_message: OnMessage, on_subscribed: OnSubscribed) -> None:
        self.channels = channels
        self.stands = False
        self._unconfirmed = set(channels)
        self._on_message = on_message
        self._on_subscribed = on_subscribed
        self._heard_ms = boottime_ms()
        self._asked_ms: int | None = None

    def take(self, message: dict[str, Any] | None) -> None:
        """Take what came, None if nothing did."""
        if message is None:
            return
        self._heard_ms, self._asked_ms = boottime_ms(), None
        if message["type"] == "message":
            self._on_message(self.channels[_text(message["channel"])], _text(message["data"]))
        elif message["type"] == "subscribe":
            self._unconfirmed.discard(_text(message["channel"]))
            if not self._unconfirmed:
                self.stands = True
                self._on_subscribed()

    def wants_a_sign(self) -> bool:
        """Say whether to ask the server for a sign of life: a link that is gone without a word is only silent.

        Raises:
            ConnectionError: it was asked, and gave none.
        """
        now_ms = boottime_ms()
        if self._asked_ms is None:
            if now_ms - self._heard_ms >= _QUIET_MS:
                self._asked_ms = now_ms
                return True
        elif now_ms - self._asked_ms >= _QUIET_MS:
            raise ConnectionError(f"no sign of life within {_QUIET_MS} ms")
        return False


class _Failures:
    """How often in a row listening ended, and how long to wait before the next try."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def pause_s(self, ear: _Ear | None) -> float:
        """Count one more, the first if a subscription had stood, and return how long to wait, s."""
        self._in_a_row = 1 if ear is not None and ear.stands else self._in_a_row + 1
        return jittered(backoff(self._in_a_row, _FIRST_PAUSE_S, _LONGEST_PAUSE_S), 0.2)


async def listen(registry: ProcessRegistry, name: str, on_message: OnMessage, on_subscribed: OnSubscribed) -> NoReturn:
    """Hear what is said to ``name`` in every partition, until cancelled; an outage is waited out.

    Args:
        registry: of whose namespace and server; the connection is the listener's own.
        name: an owner's digest, or a token of the client's own.
        on_message: called with the partition and what was said there.
        on_subscribed: called each time that the subscription stands, anew after each loss of it.

    Raises:
        LashError: the namespace cannot be opened for a reason that time does not cure.
    """
    from redis import RedisError  # noqa: PLC0415 - slow to import

    failures = _Failures()
    while True:
        ear = None
        try:
            await registry.open()
            ear = _Ear(_channels(registry.calls, name), on_message, on_subscribed)
            await _hear(registry, ear)
        except (RedisError, OSError, RegistryUnavailable):
            await sleep(failures.pause_s(ear))


async def _hear(registry: ProcessRegistry, ear: _Ear) -> NoReturn:
    client = registry.address.async_client(1)
    subscription = client.pubsub()
    try:
        await subscription.subscribe(*ear.channels)
        while not _is_cancelled():
            ear.take(await subscription.get_message(timeout=_QUIET_MS / 1000))
            if ear.wants_a_sign():
                await subscription.ping()
        raise asyncio.CancelledError
    finally:
        if ear.stands and _is_cancelled():
            with contextlib.suppress(Exception):
                await subscription.unsubscribe()  # for fakeredis, where a closed connection goes on to be published to
        await subscription.aclose()  # type: ignore[no-untyped-call]
        await client.aclose()
        await client.connection_pool.disconnect()


def listen_blocking(
    registry: BlockingRegistry, name: str, on_message: OnMessage, on_subscribed: OnSubscribed, stopped: threading.Event
) -> None:
    """Do as ``listen`` does, in the calling thread, until ``stopped`` is set (seen within 250 ms).

    Raises:
        LashError: the namespace cannot be opened for a reason that time does not cure.
    """
    from redis import RedisError  # noqa: PLC0415 - slow to import

    failures = _Failures()
    while not stopped.is_set():
        ear = None
        try:
            registry.open()
            ear = _Ear(_channels(registry.calls, name), on_message, on_subscribed)
            _hear_plain(registry, ear, stopped)
        except (RedisError, OSError, RegistryUnavailable):
            stopped.wait(failures.pause_s(ear))


def _hear_plain(registry: BlockingRegistry, ear: _Ear, stopped: threading.Event) -> None:
    client = registry.transport.address.plain_client(1)
    subscription = client.pubsub()  # type: ignore[no-untyped-call]
    try:
        subscription.subscribe(*ear.channels)
        while not stopped.is_set():
            ear.take(subscription.get_message(timeout=_TICK_S))
            if ear.wants_a_sign():
                subscription.ping()
        subscription.unsubscribe()
    finally:
        subscription.close()
        client.close()
        client.connection_pool.disconnect()


def _is_cancelled() -> bool:
    """Say whether this task was cancelled: the ``wait_for`` of Python 3.11, which fakeredis uses, can swallow it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _channels(calls: Calls, name: str) -> dict[str, int]:
    return {channel(calls.namespace, partition, name): partition for partition in range(calls.partitions)}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value

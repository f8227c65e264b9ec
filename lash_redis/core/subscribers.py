"""Who is told of events: the log, and whoever subscribes.

Never emit from inside a signal handler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from lash_redis.core.event_log import EventLog
from lash_redis.core.events import Event

Subscriber = Callable[[Event], None]

_subscribers: Final[list[Subscriber]] = [EventLog()]


def emit(event: Event) -> None:
    """Hand an event to every subscriber, in the order in which they subscribed."""
    for subscriber in _subscribers:
        subscriber(event)


@contextmanager
def subscribed(subscriber: Subscriber) -> Iterator[None]:
    """Hand events to ``subscriber`` too, until the block ends. It is called in whatever thread emits."""
    _subscribers.append(subscriber)
    try:
        yield
    finally:
        _subscribers.remove(subscriber)

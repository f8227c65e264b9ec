"""The subscribers of events: the log, and whoever else subscribes. Never emit inside a signal handler."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from lash_redis.core.event_logging import EventLog, is_logged
from lash_redis.core.events import Event

Subscriber = Callable[[Event], None]

_LOG: Final = logging.getLogger("lash_redis")

_subscribers: tuple[Subscriber, ...] = (EventLog(),)


def wants(kind: type[Event]) -> bool:
    """Say whether somebody may hear events of this kind, for one that happens too often to be made for nobody."""
    return len(_subscribers) > 1 or is_logged(kind)


def emit(event: Event) -> None:
    """Hand an event to every subscriber, in the order in which they subscribed; raises nothing but Ctrl-C.

    What a subscriber raises is logged, since a report must not stop the work that it is about (rule 11.7). That holds
    for ``SystemExit`` too. ``KeyboardInterrupt`` is raised again once every subscriber has the event.
    """
    interrupt: KeyboardInterrupt | None = None
    for subscriber in _subscribers:
        try:
            subscriber(event)
        except KeyboardInterrupt as raised:
            interrupt = raised
        except BaseException:  # noqa: BLE001 - see above
            with suppress(BaseException):  # a log handler may be what failed
                _LOG.exception("a subscriber failed on %s", event.name)
    if interrupt is not None:
        raise interrupt


@contextmanager
def subscribed(subscriber: Subscriber) -> Iterator[None]:
    """Hand events to ``subscriber`` too, until the block ends. It is called in whatever thread emits."""
    global _subscribers  # noqa: PLW0603 - replaced as a whole, so that threads that emit see the old or the new one
    _subscribers = (*_subscribers, subscriber)
    try:
        yield
    finally:
        _subscribers = tuple(each for each in _subscribers if each is not subscriber)

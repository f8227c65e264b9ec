"""What one subscription asks for and receives, whichever listener it is of. No I/O; it reads the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from lash_redis.core.timing import boottime_ms
from lash_redis.registry.cluster_listening import NodeChannels
from lash_redis.registry.transport.errors import reply_of
from lash_redis.registry.transport.slots import slot_in_moved, slot_of

OnMessage = Callable[[int, str], None]
OnSubscribed = Callable[[], None]
OnMoved = Callable[[str], None]

QUIET_MS: Final = 5_000  # after so long without a message the server is pinged, and has as long to answer


class Subscription:
    """One subscription on one connection.

    Args:
        own: what is to be heard; it may change.
        on_message: called with the partition and the text of each message.
        on_subscribed: called whenever all that was asked for is confirmed.
    """

    def __init__(self, own: NodeChannels, on_message: OnMessage, on_subscribed: OnSubscribed) -> None:
        self.own = own
        self.is_confirmed = False
        self._asked: dict[str, int] = {}
        self._unconfirmed = set[str]()
        self._on_message = on_message
        self._on_subscribed = on_subscribed
        self._received_ms = boottime_ms()
        self._pinged_ms: int | None = None

    @property
    def quiet_s(self) -> float:
        """How long to wait for a message, s; then it is asked whether to ping."""
        return QUIET_MS / 1000

    def to_ask(self) -> list[str]:
        """Return the channels that were not asked for yet, and take them for asked from now on."""
        new = {name: partition for name, partition in self.own.wanted.items() if name not in self._asked}
        self._asked |= new
        self._unconfirmed |= new.keys()
        return list(new)

    def take(self, message: dict[str, Any] | None) -> None:
        """Take what was received; None if nothing was."""
        if message is None:
            return
        self._received_ms, self._pinged_ms = boottime_ms(), None
        if message["type"] in ("message", "smessage"):
            self._on_message(self._asked[_text(message["channel"])], _text(message["data"]))
        elif message["type"] in ("subscribe", "ssubscribe"):
            self._confirmed(_text(message["channel"]))
        elif message["type"] == "sunsubscribe":
            self._lost([_text(message["channel"])])

    @contextmanager
    def following(self, on_moved: OnMoved | None) -> Iterator[None]:
        """Take in where the block is answered that the slot of a channel is another node's; the others are heard on."""
        try:
            yield
        except Exception as error:
            if on_moved is None or reply_of(error).begins != "MOVED":
                raise
            self._received_ms, self._pinged_ms = boottime_ms(), None
            on_moved(str(error))
            slot = slot_in_moved(str(error))
            self._lost([name for name in self._asked if slot_of(name) == slot])

    def _confirmed(self, *names: str) -> None:
        self._unconfirmed.difference_update(names)
        if not self._unconfirmed:
            self.is_confirmed = True
            self._on_subscribed()

    def _lost(self, names: list[str]) -> None:
        for name in names:
            self._asked.pop(name, None)
        if self._asked and not self._unconfirmed.isdisjoint(names):
            self._confirmed(*names)
        self._unconfirmed.difference_update(names)
        self.own.lost()

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


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value

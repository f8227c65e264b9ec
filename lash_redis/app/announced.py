"""Processes of which a client said at their submit that it waits for their end, and what it has heard of them since.

The submit notes the client on the row, as a read that finds no end does. A wait for such a process then needs no read:
the message of the end comes, or has come already. A client that never waits for what it submits says nothing, and one
that waits for a part says it of about as many. Pure.
"""

from __future__ import annotations

from typing import Final

from lash_redis.app.wait import End

_MOST: Final = 64  # said and not waited for yet; what nobody waits for costs the server a message and a field


class Unheard:
    """What is known of an announced process before any message about it, or after one that does not say enough."""


UNHEARD: Final = Unheard()
TO_BE_READ: Final = Unheard()


class Announced:
    """What one subscription may hear of. Whoever uses it sees to it that no two threads do at once."""

    def __init__(self) -> None:
        self._is_heard = False  # what is published from now on arrives, or is known to be lost
        self._credit = 0  # how many more may be announced: each wait earns one
        self._known: dict[str, End | Unheard] = {}

    @property
    def may_announce(self) -> bool:
        """Whether the next submit is to say that somebody waits."""
        return self._is_heard and self._credit > 0

    def announce(self, process_id: str) -> None:
        """Note, before it is sent, a submit that says so: the message may come before its answer.

        Where that are too many, the first is forgotten: it is read if somebody waits for it. A client that waits for
        others all the time earns notes, and may never wait for what it noted.
        """
        self._credit -= 1
        self._known.pop(process_id, None)
        self._known[process_id] = UNHEARD
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]

    def retract(self, process_id: str) -> None:
        """Forget a process: the answer does not say that its row has the note."""
        self._known.pop(process_id, None)

    def heard(self, process_id: str, end: End | None) -> None:
        """Note the message of an end; None: it does not say how."""
        if process_id in self._known:
            self._known[process_id] = TO_BE_READ if end is None else end

    def waited_for(self, process_id: str) -> End | Unheard:
        """Return what is known of a process for which somebody waits now: how it ended, UNHEARD or TO_BE_READ."""
        self._credit = min(self._credit + 1, _MOST)
        return self._known.pop(process_id, TO_BE_READ)

    def subscribed(self) -> None:
        """Forget all of them, since what was published before is lost; what comes is heard."""
        self._is_heard = True
        self._known.clear()

    def unsubscribed(self) -> None:
        """Forget all of them; nothing is heard until the next subscription."""
        self._is_heard = False
        self._known.clear()

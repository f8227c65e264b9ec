"""One call of a thread that waits, as the thread that listens sees it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import islice

from lash_redis.app.wait import End
from lash_redis.core.checks import MAX_BATCH


class Caller:
    """Which of its processes are to be read, and of which it was told how they ended.

    Attributes:
        unread: those that were not to be read at first.
    """

    def __init__(self, process_ids: Iterable[str]) -> None:
        self.process_ids = list(process_ids)
        self.unread = set[str]()
        self.woken = threading.Event()
        self._changing = threading.Lock()
        self._due = dict.fromkeys(self.process_ids)  # in order
        self._told: dict[str, End] = {}

    def leave_unread(self, process_id: str) -> None:
        """Have one of them not read at first."""
        self._due.pop(process_id, None)
        self.unread.add(process_id)

    def tell(self, process_id: str, end: End) -> None:
        """Tell the call how one of them ended."""
        with self._changing:
            self._due.pop(process_id, None)
            self._told[process_id] = end
            self.woken.set()

    def told(self) -> dict[str, End]:
        """Return what the call was told since it last asked."""
        with self._changing:
            told, self._told = self._told, {}
        return told

    def read_again(self, process_ids: Iterable[str]) -> None:
        """Have some of them read soon."""
        with self._changing:
            self._due.update(dict.fromkeys(process_ids))
            self.woken.set()

    def to_read(self) -> list[str]:
        """Return what is to be read now, one page of it: a message during the read makes it due again."""
        with self._changing:
            ids = list(islice(self._due, MAX_BATCH))
            for each in ids:
                del self._due[each]
            if not (self._due or self._told):
                self.woken.clear()
        return ids

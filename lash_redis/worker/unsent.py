"""What one partition has yet to be sent of one kind: sent in batches until it is answered.

After a failure the next batch is half as large, and what failed goes to the end. So one piece that can never be sent is
soon alone in its batch, and holds up nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.timing import boottime_ms
from lash_redis.core.trouble import SURVIVED, Trouble

Key = TypeVar("Key")
Value = TypeVar("Value")


class Unsent(Generic[Key, Value]):
    """Pieces in the order in which they are sent.

    Args:
        operation: what sending them is called in events.
        send: sends a batch; what was answered it removes from ``items``.

    Attributes:
        items: the pieces.
        due_at_ms: when the next batch may be sent, by the clock since boot, ms.
    """

    def __init__(self, operation: str, send: Callable[[dict[Key, Value]], Awaitable[None]]) -> None:
        self._send = send
        self._trouble = Trouble(operation, 0.05, 1.0)
        self._most = MAX_BATCH
        self._under_way: set[Key] = set()
        self.items: dict[Key, Value] = {}
        self.due_at_ms = 0

    @property
    def waits(self) -> bool:
        """Whether there is anything to send that is not under way."""
        return len(self.items) > len(self._under_way) or not self.items.keys() <= self._under_way

    def next_to_go_along(self) -> dict[Key, Value]:
        """Return what may be sent with another call now; nothing after a failure, which may be the fault of a piece."""
        if self._most < MAX_BATCH or boottime_ms() < self.due_at_ms:
            return {}
        return self._next_batch()

    @contextmanager
    def sending(self, batch: Iterable[Key]) -> Iterator[None]:
        """Send these pieces by no other call meanwhile."""
        self._under_way.update(batch)
        try:
            yield
        finally:
            self._under_way.difference_update(batch)

    async def step(self) -> None:
        """Send one batch, if there is one and it is due."""
        if not self.waits or boottime_ms() < self.due_at_ms:
            return
        batch = self._next_batch()
        try:
            with self.sending(batch):
                await self._send(batch)
        except SURVIVED as error:  # no answer ends what holds results
            self.due_at_ms = boottime_ms() + int(1000 * self._trouble.met(error))
            self._most = max(len(batch) // 2, 1)
            for key in batch:
                if key in self.items:
                    self.items[key] = self.items.pop(key)
        else:
            self._trouble.over()
            self._most = min(self._most * 2, MAX_BATCH)

    def _next_batch(self) -> dict[Key, Value]:
        free = ((key, value) for key, value in self.items.items() if key not in self._under_way)
        return dict(itertools.islice(free if self._under_way else self.items.items(), self._most))

"""What a pool tells before it is known whether it can start at all."""

from __future__ import annotations

from lash_redis.core.events import Event
from lash_redis.core.subscribers import emit


class FirstWords:
    """Holds events back until the first sign that the pool's target can be loaded, or that it takes long.

    If it cannot be loaded, the one error says all there is to know, and none of the events is told.
    """

    def __init__(self) -> None:
        self._held: list[Event] | None = []

    @property
    def are_told(self) -> bool:
        """Whether events are told at once from now on."""
        return self._held is None

    def tell(self, event: Event) -> None:
        """Tell an event now, or once ``begin`` is called."""
        if self._held is None:
            emit(event)
        else:
            self._held.append(event)

    def begin(self) -> None:
        """Tell what was held back, and what comes at once."""
        held, self._held = self._held or [], None
        for event in held:
            emit(event)

"""Requests that the work of a process stop, read as soon as this worker hears of them."""

from __future__ import annotations

from collections.abc import Callable

from lash_redis.core.trouble import SURVIVED, Trouble
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.lease_keeper import deliver_row
from lash_redis.worker.roster import Roster
from lash_redis.worker.services import Service


class Requests:
    """Reads requests and delivers them; one that it misses comes with the next renewal.

    Args:
        registry: where the processes are.
        roster: the attempts in hand.
        start: runs a coroutine beside the work.
    """

    def __init__(self, registry: ProcessRegistry, roster: Roster, start: Callable[[Service], None]) -> None:
        self._registry = registry
        self._roster = roster
        self._start = start
        self._trouble = Trouble("look")

    def look_at(self, process_id: str) -> None:
        """Read a request that was made of a process held here, and deliver it."""
        if process_id in self._roster:
            self._start(self._deliver(process_id))

    async def _deliver(self, process_id: str) -> None:
        try:
            row = await self._registry.row(process_id)
            attempt = self._roster.get(process_id)
            if row is not None and attempt is not None:
                deliver_row(attempt, row)
        except SURVIVED as error:  # the next renewal brings the request
            self._trouble.met(error)

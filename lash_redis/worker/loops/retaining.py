"""Retention: what has ended goes by age, by count and by memory, a page at a time (rule 5.9)."""

from __future__ import annotations

from typing import Final

from lash_redis.core.events import MemoryShort, RowsForgotten
from lash_redis.core.first_error import FirstError
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import boottime_ms, sleep
from lash_redis.registry.calls.forgetting import Retained, Retention
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.server import Memory
from lash_redis.worker.identity import Identity
from lash_redis.worker.settings import WorkerSettings

# Between two pages the server has this many times as long for others as it had for the page.
_REST: Final = 3
_LEAST_REST_S: Final = 0.001


class Retaining:
    """Forgets what need not be kept, in one partition after another. Several at a time do no harm."""

    operation = "retain"
    spread = 0.5

    def __init__(self, registry: ProcessRegistry, identity: Identity, settings: WorkerSettings) -> None:
        self.every_s = settings.retain_ms / 1000
        self._registry = registry
        self._identity = identity
        self._retention = Retention(settings.keep_ms, settings.keep_rows, settings.keep_ids_ms)
        self._percent = settings.keep_memory

    async def step(self) -> None:
        """Forget what need not be kept now.

        Raises:
            LashError: no answer from a partition; in the others it was done.
        """
        self._identity.check()
        short = await self._short()
        if short is not None:
            emit(MemoryShort(used_bytes=short.used, limit_bytes=short.limit, percent=self._percent))
        is_spread, is_any_short = self._registry.address.cluster is not None, short is not None
        first_error, rows, results = FirstError(), 0, 0
        for partition in range(self._registry.partitions):
            with first_error.kept():
                if is_spread and is_any_short:
                    short = await self._short(partition)
                while forgotten := await self._page(partition, is_short=short is not None):
                    rows, results = rows + forgotten.rows, results + forgotten.results
                    short = short and await self._short(partition)
        if rows or results:
            emit(RowsForgotten(rows=rows, results=results))
        first_error.raise_it()

    async def _page(self, partition: int, *, is_short: bool) -> Retained:
        began_ms = boottime_ms()
        forgotten = await self._registry.retain(partition, self._retention, memory_is_short=is_short)
        if forgotten:
            await sleep(max(_REST * (boottime_ms() - began_ms) / 1000, _LEAST_REST_S))
        return forgotten

    async def _short(self, partition: int | None = None) -> Memory | None:
        """Return the server's memory if more of it is used than is allowed before the oldest rows go.

        Of a cluster it is that of the fullest node, or of the one that has a partition.
        """
        memory = await self._registry.memory(partition)
        return memory if memory is not None and memory.is_over(self._percent) else None

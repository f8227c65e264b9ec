"""Renew one owner's leases from a thread: for a ``Worker`` embedded in somebody's program, and for an orphaned one.

A thread survives a blocked event loop, not a C call that holds the GIL: for that the pool's supervisor renews from
another OS process (design, section 4).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Protocol

from lash_redis.core.errors import LashError
from lash_redis.core.events import WorkerUnavailable
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import boottime_ms
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.keeper import Renewal


class RenewalSource(Protocol):
    """Who renews this worker's leases, and tells it what was renewed."""

    def start(self, apply: Callable[[Renewal], None]) -> None:
        """Begin; ``apply`` is to be called on the running event loop."""

    def stop(self) -> None:
        """Renew no more."""


class RenewalThread:
    """Renews every third of the TTL, one call a partition, on a plain connection of its own."""

    def __init__(self, registry: ProcessRegistry, owner: str, ttl_ms: int) -> None:
        self._registry = registry
        self._owner = owner
        self._ttl_ms = ttl_ms
        self._stopped = threading.Event()

    def start(self, apply: Callable[[Renewal], None]) -> None:
        """Begin renewing; answers reach ``apply`` on the running event loop."""
        loop = asyncio.get_running_loop()
        self._stopped = threading.Event()
        arguments = (self._stopped, loop, apply)
        threading.Thread(target=self._run, args=arguments, name="lash-renewal", daemon=True).start()

    def stop(self) -> None:
        """Renew no more; the thread closes its connection by itself."""
        self._stopped.set()

    def _run(self, stopped: threading.Event, loop: asyncio.AbstractEventLoop, apply: Callable[[Renewal], None]) -> None:
        registry = BlockingRegistry(self._registry)
        wait_s = 0.0  # whoever renewed before, its last renewal may be a third of the TTL ago
        try:
            while not stopped.wait(wait_s):
                wait_s = self._ttl_ms / 3000
                try:
                    for renewal in self._renewed(registry):
                        loop.call_soon_threadsafe(apply, renewal)
                except LashError as error:
                    emit(WorkerUnavailable(operation="renew", reason=str(error)))
                    wait_s = min(wait_s, 0.5)
                except RuntimeError:
                    return  # the event loop is closed: nobody is left to renew for
        finally:
            registry.close()

    def _renewed(self, registry: BlockingRegistry) -> list[Renewal]:
        renewals = []
        for partition in range(self._registry.partitions):
            sent_at = boottime_ms()
            renewals.append(Renewal(partition, sent_at, registry.renew_owned(partition, [self._owner], self._ttl_ms)))
        return renewals

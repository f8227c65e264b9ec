"""Renew one owner's leases from a thread: for a ``Worker`` in a program, and for one whose supervisor has died.

A thread goes on while the event loop is blocked, but not during a C call that holds the GIL. In a pool the supervisor
renews from another OS process (rule 6.3).
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
from lash_redis.worker.lease_keeper import Renewal


class RenewalSource(Protocol):
    """What renews this worker's leases and reports what was renewed."""

    def start(self, apply: Callable[[Renewal], None]) -> None:
        """Begin; call ``apply`` with each renewal, on the running event loop."""

    def stop(self) -> None:
        """Renew no more."""


class RenewalThread:
    """Renews each third of the TTL, with one call for each partition, on a connection of its own."""

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
        """Renew no more; the thread closes its connection."""
        self._stopped.set()

    def _run(self, stopped: threading.Event, loop: asyncio.AbstractEventLoop, apply: Callable[[Renewal], None]) -> None:
        registry = BlockingRegistry(self._registry)
        wait_s = 0.0  # at once: the last renewal by somebody else may be a third of the TTL ago
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
                    return  # the event loop is closed, so nothing runs any more
        finally:
            registry.close()

    def _renewed(self, registry: BlockingRegistry) -> list[Renewal]:
        renewals = []
        for partition in range(self._registry.partitions):
            sent_at = boottime_ms()
            renewals.append(Renewal(partition, sent_at, registry.renew_owned(partition, [self._owner], self._ttl_ms)))
        return renewals

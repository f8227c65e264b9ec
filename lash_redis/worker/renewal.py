"""Renew one owner's leases from a thread: for a ``Worker`` in a program, and for one whose supervisor has died.

A thread goes on while the event loop is blocked, but not during a C call that holds the GIL. In a pool the supervisor
renews from another OS process (rule 6.3).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Protocol

from lash_redis.core.timing import boottime_ms
from lash_redis.core.trouble import SURVIVED, Trouble
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
        trouble = Trouble("renew", 0.1, 0.5)
        wait_s = 0.0  # at once: the last renewal by somebody else may be a third of the TTL ago
        try:
            while not stopped.wait(wait_s) and not loop.is_closed():  # of a closed one nothing runs any more
                wait_s = self._ttl_ms / 3000
                is_well = True
                for partition in range(self._registry.partitions):  # one that cannot be renewed holds up no other
                    try:
                        sent_at = boottime_ms()
                        rows = registry.renew_owned(partition, [self._owner], self._ttl_ms)
                        loop.call_soon_threadsafe(apply, Renewal(partition, sent_at, rows))
                    except SURVIVED as error:  # no error ends what keeps the leases
                        if stopped.is_set() or loop.is_closed():
                            return
                        is_well = False
                        wait_s = min(wait_s, trouble.met(error))
                if is_well:
                    trouble.over()
        finally:
            registry.close()

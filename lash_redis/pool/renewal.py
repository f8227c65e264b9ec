"""Renewal outside the GIL of user code: the supervisor renews for its living worker processes (rule 6.3).

One call for each partition and tick renews for all of them. Each gets over its pipe what was renewed for it, and when
the call was sent: its trust counts from then (rule 6.1). A worker process whose supervisor died renews by itself
(rule 6.6).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NoReturn, Protocol

from lash_redis.core.first_error import FirstError
from lash_redis.core.timing import boottime_ms, jittered, sleep
from lash_redis.core.trouble import Trouble, pool_fault
from lash_redis.registry.answers import RenewedRow
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.lease_keeper import Renewal
from lash_redis.worker.renewal import RenewalSource


class LivingWorker(Protocol):
    """A worker process whose leases are renewed."""

    @property
    def digest(self) -> str:
        """The digest of its owner."""

    def take_renewal(self, renewal: Renewal) -> None:
        """Take what was renewed for it in one partition."""


class Renewer:
    """The supervisor's side. A worker process that has ended is not among the living, and is not renewed for.

    Args:
        registry: of the pool.
        living: returns the living worker processes; called before each renewal.
        ttl_ms: of their leases.
        on_outage: called after each renewal that failed.
    """

    def __init__(
        self,
        registry: ProcessRegistry,
        living: Callable[[], Iterable[LivingWorker]],
        ttl_ms: int,
        on_outage: Callable[[], object],
    ) -> None:
        self._registry = registry
        self._living = living
        self._ttl_ms = ttl_ms
        self._on_outage = on_outage

    async def run(self) -> NoReturn:
        """Renew now, then every third of the TTL, ± 10 %, and sooner while the server does not answer."""
        trouble = Trouble("renew", most_s=0.5, fault=pool_fault)
        while True:
            wait_s = jittered(self._ttl_ms / 3000, 0.1)
            try:
                await self.step()
                trouble.over()
            except Exception as error:  # noqa: BLE001 - nobody else renews for these worker processes
                wait_s = min(wait_s, trouble.met(error))
                self._on_outage()
            await sleep(wait_s)

    async def step(self) -> None:
        """Renew once in each partition; one that cannot be renewed holds up no other.

        Raises:
            Exception: of the first partition that was not renewed.
        """
        first_error = FirstError()
        for partition in range(self._registry.partitions):
            with first_error.kept():
                await self._renew(partition)
        first_error.raise_it()

    async def _renew(self, partition: int) -> None:
        living = {each.digest: each for each in self._living()}
        if not living:
            return
        sent_at = boottime_ms()
        rows: dict[str, list[RenewedRow]] = defaultdict(list)
        for row in await self._registry.renew_owned(partition, list(living), self._ttl_ms):
            rows[row.owner].append(row)
        for digest, each in living.items():
            each.take_renewal(Renewal(partition, sent_at, rows[digest]))


class PipeRenewal:
    """The worker process's side: passes on what its supervisor renewed, and renews by itself after the supervisor died.

    Args:
        thread: renews for this worker once its supervisor is dead.
    """

    def __init__(self, thread: RenewalSource) -> None:
        self._thread = thread
        self._apply: Callable[[Renewal], None] | None = None
        self._is_orphaned = False

    def start(self, apply: Callable[[Renewal], None]) -> None:
        """Pass renewals to ``apply`` from now on."""
        self._apply = apply
        if self._is_orphaned:
            self._thread.start(apply)

    def stop(self) -> None:
        """Pass on no more renewals."""
        self._apply = None
        self._thread.stop()

    def take_renewal(self, renewal: Renewal) -> None:
        """Pass on a renewal that came over the pipe."""
        if self._apply is not None:
            self._apply(renewal)

    def renew_alone(self) -> None:
        """Renew by a thread of this OS process from now on: the supervisor is gone.

        Raises:
            RuntimeError: the system gives no thread; to be called again.
        """
        if not self._is_orphaned:
            if self._apply is not None:
                self._thread.start(self._apply)
            self._is_orphaned = True


_: type[RenewalSource] = PipeRenewal

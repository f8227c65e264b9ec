"""Renewal from outside the GIL of user code: the supervisor renews for its living children, and tells them.

One call a partition and tick renews for all of them; each hears over its pipe what was renewed for it, and when the
call was sent, from where its trust counts (design, section 4). A child whose supervisor died renews by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import NoReturn, Protocol

from lash_redis.core.errors import LashError
from lash_redis.core.events import WorkerUnavailable
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import backoff, boottime_ms, jittered, sleep
from lash_redis.registry.answers import RenewedRow
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.keeper import Renewal
from lash_redis.worker.renewal import RenewalSource, RenewalThread


class Living(Protocol):
    """Somebody whose leases are to be renewed."""

    @property
    def digest(self) -> str:
        """Its owner's digest."""

    def hear(self, renewal: Renewal) -> None:
        """Take what was renewed for it."""


class Renewer:
    """The supervisor's half. Who has died is not among the living, and is renewed for no more.

    Args:
        registry: where the leases are.
        living: who is alive now; asked before each call.
        ttl_ms: of their leases.
        revive: does what can be done about a server that does not answer.
    """

    def __init__(
        self,
        registry: ProcessRegistry,
        living: Callable[[], Iterable[Living]],
        ttl_ms: int,
        revive: Callable[[], Awaitable[None]],
    ) -> None:
        self._registry = registry
        self._living = living
        self._ttl_ms = ttl_ms
        self._revive = revive

    async def run(self) -> NoReturn:
        """Renew each third of the TTL, ± 10 %, and sooner again where the server did not answer."""
        failures = 0
        while True:
            tick_s = jittered(self._ttl_ms / 3000, 0.1)
            await sleep(min(tick_s, backoff(failures, 0.05, 0.5)) if failures else tick_s)
            try:
                await self.run_once()
                failures = 0
            except LashError as error:
                failures += 1
                emit(WorkerUnavailable(operation="renew", reason=str(error)))
                await self._revive()

    async def run_once(self) -> None:
        """Renew once in each partition.

        Raises:
            RegistryUnavailable: no answer; what was renewed before is told.
        """
        for partition in range(self._registry.partitions):
            living = {each.digest: each for each in self._living()}
            if not living:
                return
            sent_at = boottime_ms()
            rows: dict[str, list[RenewedRow]] = defaultdict(list)
            for row in await self._registry.renew_owned(partition, list(living), self._ttl_ms):
                rows[row.owner].append(row)
            for digest, each in living.items():
                each.hear(Renewal(partition, sent_at, rows[digest]))


class PipeRenewal:
    """The child's half: hands on what its supervisor renewed for it, until that one is gone.

    Args:
        registry: where the leases are.
        digest: of this worker's owner.
        ttl_ms: of its leases.
    """

    def __init__(self, registry: ProcessRegistry, digest: str, ttl_ms: int) -> None:
        self._own = RenewalThread(registry, digest, ttl_ms)
        self._apply: Callable[[Renewal], None] | None = None
        self._is_orphaned = False

    def start(self, apply: Callable[[Renewal], None]) -> None:
        """Hand renewals to ``apply`` from now on."""
        self._apply = apply
        if self._is_orphaned:
            self._own.start(apply)

    def stop(self) -> None:
        """Hand on no more."""
        self._apply = None
        self._own.stop()

    def hear(self, renewal: Renewal) -> None:
        """Take what came over the pipe."""
        if self._apply is not None:
            self._apply(renewal)

    def orphan(self) -> None:
        """Renew by a thread of this OS process: the supervisor is gone."""
        if not self._is_orphaned:
            self._is_orphaned = True
            if self._apply is not None:
                self._own.start(self._apply)


_: type[RenewalSource] = PipeRenewal

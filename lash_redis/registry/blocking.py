"""The registry for plain code: the same calls over blocking connections, usable from any thread.

Only what plain code needs (submit, read, requests, external completion, renewal by a thread): everything else is the
async registry's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.model import (
    AbandonRequest,
    CancelRequest,
    ExternalOwner,
    Outcome,
    ProcessRecord,
    ProcessRegistration,
)
from lash_redis.core.timing import backoff, jittered, pause
from lash_redis.registry.answers import RenewedRow
from lash_redis.registry.call import Call
from lash_redis.registry.connection import BlockingTransport
from lash_redis.registry.opening import opening
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row
from lash_redis.registry.scripts import load_all
from lash_redis.registry.sending import ATTEMPTS
from lash_redis.registry.server import ServerInfo

T = TypeVar("T")


class BlockingRegistry:
    """A blocking view of a ``ProcessRegistry``: same namespace, same settings, connections of its own."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self._registry = registry
        self.calls = registry.calls
        self.transport = BlockingTransport(registry.address)
        self._server: ServerInfo | None = None
        self._opening = threading.Lock()

    def open(self) -> None:
        """Check the server and open the namespace, once."""
        if self._server is not None:
            return
        with self._opening:
            if self._server is not None:
                return
            server = self._patiently(
                lambda: self.transport.facts(allow_unsafe=self._registry.allow_unsafe_server), ATTEMPTS
            )
            steps = opening(self.calls, adopt=self._registry.adopts)
            call = next(steps)
            try:
                while True:
                    call = steps.send(self._sent(call, "calls", ATTEMPTS))
            except StopIteration:
                pass
            self._server = server

    def send(self, call: Call[T], *, via: str = "calls", attempts: int = ATTEMPTS) -> T:
        """Send one call, again if no answer came, and return what it answered."""
        self.open()
        return self._sent(call, via, attempts)

    def _sent(self, call: Call[T], via: str, attempts: int) -> T:
        script, prefix = load_all()[call.script], self.calls.prefix(call.partition)
        shebang = self._server is not None and self._server.takes_shebang
        reply = self._patiently(lambda: self.transport.run(via, script, prefix, call.args, shebang=shebang), attempts)
        return call.decode(reply)

    def _patiently(self, once: Callable[[], T], attempts: int) -> T:
        maybe_applied = False
        for failures in range(1, attempts + 1):
            try:
                return once()
            except RegistryUnavailable as error:
                maybe_applied = error.maybe_applied = maybe_applied or error.maybe_applied
                if failures == attempts:
                    raise
            pause(jittered(backoff(failures, 0.05, 1.0), 0.2))
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close our own connections."""
        self.transport.close()

    def register_many(self, registrations: Iterable[ProcessRegistration]) -> list[bool]:
        """Register many; return which were new, in their order. A batch of 500 is written whole or not at all."""
        self.open()
        batch = list(registrations)
        return self._many(batch, lambda each: each.id, self.calls.register)

    def rows(self, process_ids: Sequence[str]) -> list[Row | None]:
        """Return whole rows, in the order of the ids."""
        self.open()
        return self._many(process_ids, str, self.calls.get)

    def watch(self, process_ids: Sequence[str], name: str) -> list[Row | None]:
        """Return whole rows, and ask to be told on channel ``name`` when an unfinished one ends."""
        self.open()
        return self._many(process_ids, str, lambda partition, ids: self.calls.watch(partition, name, ids))

    def get(self, process_id: str) -> ProcessRecord | None:
        """Return the record, or None if there is none."""
        row = self.rows([process_id])[0]
        return row.record() if row is not None else None

    def complete_unleased(self, process_id: str, outcome: Outcome, authority: ExternalOwner) -> ProcessRecord:
        """Write the terminal fact of externally owned work under its explicit authority."""
        self.open()
        return self.send(self.calls.complete_unleased(process_id, outcome, authority))

    def request_abandon(self, process_id: str, request: AbandonRequest) -> ProcessRecord:
        """Record an operator's permission to accept uncertainty."""
        self.open()
        return self.send(self.calls.request_abandon(process_id, request))

    def request_cancel(self, process_id: str, request: CancelRequest) -> ProcessRecord:
        """Record a wish that the work stop."""
        self.open()
        return self.send(self.calls.request_cancel(process_id, request))

    def renew_owned(self, partition: int, owners: Sequence[str], ttl_ms: int) -> list[RenewedRow]:
        """Renew every live lease that these owners (digests) hold in a partition; what is not listed was not."""
        self.open()
        renewed: list[RenewedRow] = []
        place: tuple[str, str, str] | None = ("1", "-inf", "0")
        while place is not None:
            call = self.calls.renew_owned(partition, owners, ttl_ms, place)
            rows, place = self.send(call, via="control", attempts=1)
            renewed += rows
        return renewed

    def _many(
        self,
        items: Sequence[Any],
        id_of: Callable[[Any], str],
        builder: Callable[[int, Sequence[Any]], Call[list[T]]],
    ) -> list[T]:
        answers: list[Any] = [None] * len(items)
        for batch in self.calls.batches(items, id_of, MAX_BATCH):
            answered = self.send(builder(batch.partition, batch.items))
            for place, answer in zip(batch.places, answered, strict=True):
                answers[place] = answer
        return answers

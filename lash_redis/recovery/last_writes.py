"""What a worker could not send before the time of its drain was over, sent in its name by whoever saw it end.

A result that is known is written, and work that never began is given back whole: neither is abandoned because the
server answered too late.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from lash_redis.core.errors import (
    AlreadyStarted,
    AlreadyTerminal,
    AuthorityRejected,
    NamespaceMismatch,
    UnknownProcess,
)
from lash_redis.core.model import Acquired, ProcessLease
from lash_redis.registry.answers import TerminalFact
from lash_redis.registry.registry import ProcessRegistry

T = TypeVar("T")

_CLAIM_AGAIN_MS = 10_000  # for the one call that follows


class LastWrites(msgspec.Struct, frozen=True):
    """Results, and leases under which work was started that never began."""

    results: list[TerminalFact] = []
    unstarts: list[ProcessLease] = []

    def __bool__(self) -> bool:
        return bool(self.results or self.unstarts)


class LastWriter:
    """Sends the last writes of one owner, as often as it is asked to.

    Attributes:
        finished: ids of the results that are written.
        released: ids of what was given back.
    """

    def __init__(self, registry: ProcessRegistry, writes: LastWrites) -> None:
        self._registry = registry
        self._results = {fact.lease.process_id: fact for fact in writes.results}
        self._unstarts = {lease.process_id: lease for lease in writes.unstarts}
        self.finished: set[str] = set()
        self.released: set[str] = set()

    async def send(self) -> None:
        """Send what was not answered yet; what has lost its lease is claimed again first (rule 3.5).

        Raises:
            NamespaceMismatch: a partition has changed; what is in the others was sent.
            LashError: no answer; what was sent stands, and may be sent again.
        """
        mismatch: NamespaceMismatch | None = None
        for partition in sorted({self._registry.partition_of(each) for each in (*self._results, *self._unstarts)}):
            try:
                await self._send_in(partition)
            except NamespaceMismatch as error:
                mismatch = error
        if mismatch is not None:
            raise mismatch

    async def _send_in(self, partition: int) -> None:
        await self._write(partition)
        for process_id, fact in self._in(partition, self._results):
            if (lease := await self._claimed_again(fact.lease)) is not None:
                self._results[process_id] = msgspec.structs.replace(fact, lease=lease)
        await self._write(partition)
        await self._unstart(partition)
        for process_id, lost in self._in(partition, self._unstarts):
            if (lease := await self._claimed_again(lost)) is not None:
                self._unstarts[process_id] = lease
        await self._unstart(partition)

    def _in(self, partition: int, unsent: dict[str, T]) -> list[tuple[str, T]]:
        return [(id_, each) for id_, each in unsent.items() if self._registry.partition_of(id_) == partition]

    async def _write(self, partition: int) -> None:
        """Write the results, and keep those whose lease is lost."""
        found = self._in(partition, self._results)
        statuses = await self._registry.terminalize_many([fact for _, fact in found])
        for (process_id, _), status in zip(found, statuses, strict=True):
            if status != "LOST":
                del self._results[process_id]
            if status == "DONE":
                self.finished.add(process_id)

    async def _unstart(self, partition: int) -> None:
        """Give back what never began, and keep what has lost its lease."""
        found = self._in(partition, self._unstarts)
        statuses = await self._registry.unstart_many([lease for _, lease in found])
        for (process_id, _), status in zip(found, statuses, strict=True):
            if status != "LOST":
                del self._unstarts[process_id]
            if status == "DONE":
                self.released.add(process_id)

    async def _claimed_again(self, lease: ProcessLease) -> ProcessLease | None:
        try:
            answer = await self._registry.claim(lease.process_id, lease.owner, _CLAIM_AGAIN_MS)
        except (AlreadyTerminal, AlreadyStarted, AuthorityRejected, UnknownProcess):
            return None
        return answer.lease if isinstance(answer, Acquired) else None

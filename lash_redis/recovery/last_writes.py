"""What a worker could not send before the time of its drain was over, sent in its name by whoever saw it end.

A result that is known is written, and work that never began is given back whole: neither is abandoned because the
server answered too late.
"""

from __future__ import annotations

import msgspec

from lash_redis.core.errors import AlreadyStarted, AlreadyTerminal, AuthorityRejected, UnknownProcess
from lash_redis.core.model import Acquired, ProcessLease
from lash_redis.registry.answers import TerminalFact
from lash_redis.registry.registry import ProcessRegistry

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
            LashError: no answer; what was sent stands, and may be sent again.
        """
        await self._write()
        for process_id, fact in list(self._results.items()):
            if (lease := await self._claimed_again(fact.lease)) is not None:
                self._results[process_id] = msgspec.structs.replace(fact, lease=lease)
        await self._write()
        await self._unstart()
        for process_id, lost in list(self._unstarts.items()):
            if (lease := await self._claimed_again(lost)) is not None:
                self._unstarts[process_id] = lease
        await self._unstart()

    async def _write(self) -> None:
        """Write the results, and keep those whose lease is lost."""
        facts = list(self._results.values())
        for fact, status in zip(facts, await self._registry.terminalize_many(facts), strict=True):
            if status != "LOST":
                del self._results[fact.lease.process_id]
            if status == "DONE":
                self.finished.add(fact.lease.process_id)

    async def _unstart(self) -> None:
        """Give back what never began, and keep what has lost its lease."""
        leases = list(self._unstarts.values())
        for lease, status in zip(leases, await self._registry.unstart_many(leases), strict=True):
            if status != "LOST":
                del self._unstarts[lease.process_id]
            if status == "DONE":
                self.released.add(lease.process_id)

    async def _claimed_again(self, lease: ProcessLease) -> ProcessLease | None:
        try:
            answer = await self._registry.claim(lease.process_id, lease.owner, _CLAIM_AGAIN_MS)
        except (AlreadyTerminal, AlreadyStarted, AuthorityRejected, UnknownProcess):
            return None
        return answer.lease if isinstance(answer, Acquired) else None

"""Leases that a renewal names and that no attempt here has: explained by a claim, or given back (rule 6.4)."""

from __future__ import annotations

from collections.abc import Callable, Collection

from lash_redis.core.model import ProcessLease
from lash_redis.core.timing import boottime_ms
from lash_redis.core.trouble import SURVIVED, Trouble
from lash_redis.registry.answers import RenewedRow
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.attempt import Attempt
from lash_redis.worker.claimer import Claimer
from lash_redis.worker.identity import Identity
from lash_redis.worker.outbox import Outbox
from lash_redis.worker.services import Service


class UnknownLeases:
    """Gives back what nothing explains: it would be renewed for ever.

    Args:
        registry: where the processes are.
        identity: whose leases they are.
        claimer: says which claims have no answer.
        outbox: releases them, and says what is being claimed again.
        waiting: attempts that begin once the earlier run of the same process has ended here, by process id.
        kept: ids of what the drain settles.
        start: runs a coroutine beside the work.
    """

    def __init__(
        self,
        registry: ProcessRegistry,
        identity: Identity,
        claimer: Claimer,
        outbox: Outbox,
        *,
        waiting: dict[str, Attempt],
        kept: Collection[str],
        start: Callable[[Service], None],
    ) -> None:
        self._registry = registry
        self._identity = identity
        self._claimer = claimer
        self._outbox = outbox
        self._waiting = waiting
        self._kept = kept
        self._start = start
        self._trouble = Trouble("give back")
        self._giving_back: set[str] = set()

    def may_have(self, process_id: str) -> bool:
        """Say whether a claim whose answer is missing may have leased a process to this worker."""
        is_awaited = self._registry.partition_of(process_id) in self._claimer.unanswered
        return is_awaited or bool(self._outbox.claiming)

    def found(self, row: RenewedRow) -> None:
        """Give back one that a renewal names, unless something explains it."""
        process_id = row.process_id
        if self.may_have(process_id) or self._claimer.has_given_up or process_id in self._kept:
            return
        waiting = self._waiting.get(process_id)
        if waiting is not None and boottime_ms() < waiting.trusted_until_ms:
            return
        self._waiting.pop(process_id, None)  # the earlier run does not end: let another worker have it
        lease = ProcessLease(process_id, self._identity.owner, row.token, row.fence, 0, 0)
        if not self._claimer.has_let_go(row.token):
            self._outbox.release(lease)
        elif not self._claimer.is_leaving and process_id not in self._giving_back:  # a drain does it by itself
            self._giving_back.add(process_id)
            self._start(self._give_back_whole(lease))

    async def _give_back_whole(self, lease: ProcessLease) -> None:
        """Give back what a claim started that was let go: nothing of it has begun (rule 4.5)."""
        try:
            words = await self._registry.unstart_many([lease])
            self._outbox.note_released(lease.process_id, is_ours=words == ["DONE"])
        except SURVIVED as error:  # the next renewal names it again
            self._trouble.met(error)
        finally:
            self._giving_back.discard(lease.process_id)

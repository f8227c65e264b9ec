"""Write outcomes and release leases, in batches.

What ends while one write is under way is written together by the next. A write is sent until it is answered. A write
that finds its lease lapsed claims the process again first (rule 3.5).
"""

from __future__ import annotations

import asyncio
import enum
import itertools
from collections.abc import Callable

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.errors import (
    AlreadyTerminal,
    LashError,
    PayloadError,
    RegistryUnavailable,
    UnknownProcess,
)
from lash_redis.core.events import ProcessResultRefused, WorkerUnavailable
from lash_redis.core.model import Acquired, Outcome, ProcessLease
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import backoff, boottime_ms, jittered, sleep
from lash_redis.registry.answers import TerminalFact
from lash_redis.registry.calls.leases import attempt_of
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.attempt import Attempt
from lash_redis.worker.failures import unfit_result
from lash_redis.worker.roster import Roster

_Name = tuple[str, str, int]


class ClaimedAgain(enum.Enum):
    """What claiming a process again found."""

    OURS = "ours"
    TAKEN = "taken"  # another owner has it, or this owner may not run it
    OVER = "over"  # it has its terminal fact, or was pruned


class Outbox:
    """Writes for one worker.

    Attributes:
        claiming: how many processes are being claimed again now: their leases may be renewed before they are known.
        written: how many outcomes were written.
        released: how many leases were released.
    """

    def __init__(
        self, registry: ProcessRegistry, roster: Roster, lease_ttl_ms: int, on_change: Callable[[], None]
    ) -> None:
        self._registry = registry
        self._on_change = on_change
        self._roster = roster
        self._ttl_ms = lease_ttl_ms
        self._outcomes: dict[Attempt, tuple[str, bytes]] = {}
        self._releases: dict[_Name, tuple[ProcessLease, Attempt | None]] = {}
        self._to_do = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.claiming = 0
        self.written = 0
        self.released = 0

    def write(self, attempt: Attempt, outcome: Outcome) -> None:
        """Write this outcome under the attempt's lease with the next batch."""
        try:
            encoded = self._registry.encoded(outcome)
        except PayloadError as error:
            encoded = self._registry.encoded(unfit_result(error))
        self._outcomes[attempt] = encoded
        self._wake()

    def release(self, lease: ProcessLease, attempt: Attempt | None = None) -> None:
        """Release a lease under which nothing runs with the next batch."""
        name = attempt_of(lease)
        if attempt is not None or name not in self._releases:  # several renewals may list one unknown lease
            self._releases[name] = (lease, attempt)
        self._wake()

    def _wake(self) -> None:
        self._idle.clear()
        self._to_do.set()

    @property
    def is_empty(self) -> bool:
        """Nothing is left to write."""
        return self._idle.is_set()

    async def run(self) -> None:
        """Write whatever there is to write, for ever. Ends by cancellation."""
        failures = 0
        while True:
            await self._to_do.wait()
            self._to_do.clear()
            try:
                await self.step()
            except RegistryUnavailable as error:
                failures += 1
                emit(WorkerUnavailable(operation=error.operation, reason=str(error)))
                await sleep(jittered(backoff(failures, 0.05, 2.0), 0.2))
                self._to_do.set()
                continue
            failures = 0
            if not self._outcomes and not self._releases:
                self._idle.set()
            else:
                self._to_do.set()
            self._on_change()

    async def step(self) -> None:
        """Write all outcomes that wait, and release up to 500 leases.

        Raises:
            RegistryUnavailable: no answer; what was not answered is sent again by the next step.
        """
        facts = list(self._outcomes.items())
        if facts:
            batch = [TerminalFact(attempt.lease, *encoded) for attempt, encoded in facts]
            statuses = await self._registry.terminalize_many(batch, attempts=1)
            for (attempt, _), status in zip(facts, statuses, strict=True):
                if status == "DONE":
                    self.written += 1
                    self._done_with(attempt)
                elif status != "LOST" or await self.claim_again(attempt) is not ClaimedAgain.OURS:
                    emit(ProcessResultRefused(process_id=attempt.process_id, status=status))
                    self._done_with(attempt)
                    self.release(attempt.lease)
        if self._releases:
            releases = dict(itertools.islice(self._releases.items(), MAX_BATCH))
            leases = [lease for lease, _ in releases.values()]
            self.released += sum(await self._registry.release_many(leases, attempts=1))
            for name in releases:
                _, returned = self._releases.pop(name)
                if returned is not None:
                    self._done_with(returned)

    def _done_with(self, attempt: Attempt) -> None:
        self._outcomes.pop(attempt, None)
        self._roster.forget(attempt)

    async def claim_again(self, attempt: Attempt) -> ClaimedAgain:
        """Claim a process again whose lease lapsed under this attempt, if it can still be this owner's.

        Raises:
            RegistryUnavailable: no answer.
        """
        self.claiming += 1
        sent_at = boottime_ms()
        try:
            answer = await self._registry.claim(attempt.process_id, attempt.lease.owner, self._ttl_ms)
        except RegistryUnavailable:
            raise
        except (AlreadyTerminal, UnknownProcess):
            return ClaimedAgain.OVER
        except LashError:
            return ClaimedAgain.TAKEN
        finally:
            self.claiming -= 1
        if not isinstance(answer, Acquired):
            return ClaimedAgain.TAKEN
        attempt.claimed_again(answer.lease, sent_at, self._ttl_ms)
        return ClaimedAgain.OURS

"""The async registry: every transition and every bounded read, on connections of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from lash_redis.core.checks import MAX_BATCH, MAX_SETTLE_BATCH
from lash_redis.core.errors import LashError, LeaseLost
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import (
    AbandonRequest,
    Acquired,
    Busy,
    CancelRequest,
    ExternalOwner,
    Outcome,
    Phase,
    ProcessLease,
    ProcessRecord,
    ProcessRegistration,
    ProcessStarted,
)
from lash_redis.registry.answers import (
    ClaimedBatch,
    Counts,
    Death,
    Fact,
    Holder,
    PageStart,
    PruneReport,
    RenewedRow,
    RowPage,
    Settlement,
)
from lash_redis.registry.call import Call
from lash_redis.registry.listing import ListedRows, RecordPage, list_by_phase, list_non_terminal
from lash_redis.registry.rows import Row
from lash_redis.registry.sending import ATTEMPTS, Sender


class ProcessRegistry(Sender):
    """The Redis-backed store of processes and leases (design, sections 4, 6 and 10).

    Constructing it does no I/O and needs no event loop. The first call reads and judges the server and opens the
    namespace. A call whose answer did not come is sent again, ``attempts`` times in all: every transition may be
    sent twice. Times and TTLs are integer milliseconds.

    Args:
        client: a ``redis.asyncio.Redis`` (or a fakeredis one), whose connection parameters are used, or a URL.
        namespace: 1 to 64 characters of ``[a-z0-9-]``.
        partitions: how many; for ever the same for one namespace. None: as the namespace, which must exist, says.
        max_payload_bytes: the longest input or outcome, bytes.
        allow_unsafe_server: let a server pass that evicts keys.

    Raises:
        SettingsError: an argument is outside what is allowed; from the first call also ``UnsafeServerError``,
            ``NamespaceMismatch`` and ``RegistryUnavailable``.
    """

    # ── registration and reads ─────────────────────────────────────────────────────────────────────────────────────

    async def register(self, registration: ProcessRegistration) -> ProcessRecord:
        """Register one process; the same content again answers the record as it stands.

        Raises:
            RegistrationConflict: the id is registered with other content.
            PayloadError: the input cannot be encoded, or is too long.
        """
        await self.register_many([registration])
        record = await self.get(registration.id)
        if record is None:
            raise LashError(f"process {registration.id!r} was pruned while it was being registered")
        return record

    async def register_many(self, registrations: Iterable[ProcessRegistration]) -> list[bool]:
        """Register many; return which were new, in their order. A batch of 500 is written whole or not at all."""
        await self.open()
        return await self.send_many(
            list(registrations), lambda each: each.id, self.calls.register, MAX_BATCH, "calls", ATTEMPTS
        )

    async def get(self, process_id: str) -> ProcessRecord | None:
        """Return the record, or None if there is none."""
        row = await self.row(process_id)
        return row.record() if row is not None else None

    async def row(self, process_id: str) -> Row | None:
        """Return the whole row, with the facts that a verdict needs."""
        return (await self.rows([process_id]))[0]

    async def rows(self, process_ids: Sequence[str]) -> list[Row | None]:
        """Return whole rows, in the order of the ids."""
        await self.open()
        return await self.send_many(process_ids, str, self.calls.get, MAX_BATCH, "calls", ATTEMPTS)

    async def watch(self, process_ids: Sequence[str], name: str) -> list[Row | None]:
        """Return whole rows, and ask to be told on channel ``name`` when an unfinished one ends."""
        await self.open()
        return await self.send_many(
            process_ids,
            str,
            lambda partition, ids: self.calls.watch(partition, name, ids),
            MAX_BATCH,
            "calls",
            ATTEMPTS,
        )

    async def lease(self, process_id: str) -> ProcessLease | None:
        """Return the live lease; None once lapsed, given back or terminal."""
        row = await self.row(process_id)
        return row.lease() if row is not None and row.is_live else None

    async def list_non_terminal(self, limit: int, cursor: str | None = None) -> RecordPage:
        """List what is not terminal, by place; a row that moves meanwhile may be seen twice or missed.

        Args:
            limit: records a page, 1 to 500.
            cursor: the last page's ``cursor``; None begins.

        Raises:
            SettingsError: a bad limit or cursor.
        """
        return await self.answer_of(list_non_terminal(self.calls, limit, cursor))

    async def list_by_phase(
        self, phases: Sequence[Phase], limit: int, cursor: str | None = None, *, only: Phase | None = None
    ) -> ListedRows:
        """List rows phase by phase (see ``listing.list_by_phase``).

        Raises:
            SettingsError: a bad limit or cursor.
        """
        return await self.answer_of(list_by_phase(self.calls, phases, limit, cursor, only=only))

    async def page(
        self, partition: int, index: str, place: PageStart | None = None, *, upto: str = "+inf", limit: int = MAX_BATCH
    ) -> RowPage:
        """Return one page of rows by an index."""
        await self.open()
        return await self.send(
            self.calls.page(partition, index, place or PageStart(), upto=upto, limit=limit), via="control"
        )

    async def holders(self, partition: int, after: str = "") -> list[Holder]:
        """Return one page of the owners that have unsettled rows in a partition."""
        await self.open()
        return await self.send(self.calls.holders(partition, after), via="control")

    async def counts(self, partition: int) -> Counts:
        """Count the places and terminal facts of one partition."""
        await self.open()
        counts = await self.send(self.calls.counts(partition))
        lanes, page = dict(counts.lanes), counts.lanes
        while len(page) == MAX_BATCH:
            page = (await self.send(self.calls.counts(partition, max(page)))).lanes
            lanes |= page
        return msgspec.structs.replace(counts, lanes=lanes)

    # ── leases ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def claim(self, process_id: str, owner: LeaseOwner, ttl_ms: int) -> Acquired | Busy:
        """Claim a free or lapsed process, or extend the owner's own live lease.

        Raises:
            UnknownProcess, AlreadyTerminal: there is nothing to hold.
            AuthorityRejected: it is externally owned.
            AlreadyStarted: owner-bound work that another owner started.
        """
        await self.open()
        return await self.send(self.calls.claim(process_id, owner, ttl_ms), via="claim")

    async def reclaim(
        self, process_id: str, owner: LeaseOwner, observed_lease: ProcessLease, ttl_ms: int
    ) -> Acquired | Busy:
        """Take a live lease from the observed holder, if that one is provably dead for ``owner``.

        On a free or lapsed process it is a claim. A stale observation, or no proof, answers ``Busy``.
        """
        await self.open()
        return await self.send(self.calls.reclaim(process_id, owner, observed_lease, ttl_ms), via="claim")

    async def claim_next(self, call: Call[ClaimedBatch], *, attempts: int = 1) -> ClaimedBatch:
        """Send one numbered batch claim (see ``Calls.claim_next``)."""
        return await self.send(call, via="claim", attempts=attempts)

    async def start(self, lease: ProcessLease) -> ProcessRecord:
        """Record that user code begins under this lease; only then may it run (design, section 4).

        Raises:
            LeaseLost: it lapsed, or was replaced.
            AlreadyStarted: owner-bound work that another token started.
        """
        await self.open()
        return await self.send(self.calls.start(lease), via="control")

    async def renew(self, lease: ProcessLease, ttl_ms: int) -> ProcessLease:
        """Move a live lease's expiry; never nearer.

        Raises:
            LeaseLost: it lapsed, or was replaced.
        """
        expires = (await self.renew_many([lease], ttl_ms))[0]
        if expires is None:
            raise LeaseLost(lease.process_id, lease)
        return msgspec.structs.replace(lease, expires_at_ms=expires)

    async def renew_many(self, leases: Sequence[ProcessLease], ttl_ms: int) -> list[int | None]:
        """Renew leases of one owner; return each one's new expiry, or None for a lost one."""
        await self.open()
        return await self.send_many(
            leases,
            lambda lease: lease.process_id,
            lambda partition, batch: self.calls.renew(partition, batch, ttl_ms),
            MAX_BATCH,
            "control",
            ATTEMPTS,
        )

    async def renew_owned(self, partition: int, owners: Sequence[str], ttl_ms: int) -> list[RenewedRow]:
        """Renew every live lease that these owners (digests) hold in a partition; what is not listed was not."""
        await self.open()
        renewed: list[RenewedRow] = []
        place: tuple[str, str, str] | None = ("1", "-inf", "0")
        while place is not None:
            call = self.calls.renew_owned(partition, owners, ttl_ms, place)
            rows, place = await self.send(call, via="control", attempts=1)
            renewed += rows
        return renewed

    async def release(self, lease: ProcessLease) -> None:
        """Give a lease back; a stale one changes nothing."""
        await self.release_many([lease])

    async def release_many(self, leases: Sequence[ProcessLease], *, attempts: int = ATTEMPTS) -> list[bool]:
        """Give leases of one owner back; return which were still that owner's."""
        await self.open()
        return await self.send_many(
            leases, lambda lease: lease.process_id, self.calls.release, MAX_BATCH, "control", attempts
        )

    # ── terminal facts ─────────────────────────────────────────────────────────────────────────────────────────────

    async def complete(self, lease: ProcessLease, outcome: Outcome) -> ProcessRecord:
        """Write the terminal fact under its lease, in one script; the same fact again answers the record.

        Raises:
            LeaseLost, AlreadyTerminal, AuthorityRejected: see the table in design, section 4.
        """
        await self.open()
        return await self.send(self.calls.complete(lease, outcome), via="control")

    async def terminalize_many(self, facts: Sequence[Fact], *, attempts: int = ATTEMPTS) -> list[str]:
        """Write terminal facts of one owner; return one status word each (DONE, LOST, TERMINAL …)."""
        await self.open()
        return await self.send_many(
            facts, lambda fact: fact.lease.process_id, self.calls.terminalize, MAX_BATCH, "control", attempts
        )

    async def complete_unleased(self, process_id: str, outcome: Outcome, authority: ExternalOwner) -> ProcessRecord:
        """Write the terminal fact of externally owned work under its explicit authority.

        Raises:
            AuthorityRejected: not externally owned, another grantee, or an ``Abandoned`` outcome.
        """
        await self.open()
        return await self.send(self.calls.complete_unleased(process_id, outcome, authority))

    async def settle_many(self, settlements: Sequence[Settlement], *, attempts: int = ATTEMPTS) -> list[bool]:
        """Carry out verdicts; return which stand (False: the facts had changed, look again)."""
        await self.open()
        return await self.send_many(
            settlements,
            lambda settlement: settlement.row.process_id,
            self.calls.settle,
            MAX_SETTLE_BATCH,
            "control",
            attempts,
        )

    # ── requests and evidence ──────────────────────────────────────────────────────────────────────────────────────

    async def record_first_started(self, process_id: str, started: ProcessStarted) -> ProcessRecord:
        """Record, without a lease, that a host elsewhere began the work; a second writer gets the record.

        Raises:
            LeaseHeld: another owner holds a live lease.
            AuthorityRejected: it is externally owned.
        """
        await self.open()
        return await self.send(self.calls.record_first_started(process_id, started))

    async def request_abandon(self, process_id: str, request: AbandonRequest) -> ProcessRecord:
        """Record an operator's permission to accept uncertainty; a sweep acts on it.

        Raises:
            NothingToAbandon: rerunnable or never started: cancel it instead.
        """
        await self.open()
        return await self.send(self.calls.request_abandon(process_id, request))

    async def request_cancel(self, process_id: str, request: CancelRequest) -> ProcessRecord:
        """Record a wish that the work stop; what nobody holds and nobody started is cancelled at once."""
        await self.open()
        return await self.send(self.calls.request_cancel(process_id, request))

    async def record_death(self, owner: LeaseOwner, death: Death) -> None:
        """Record, in every partition, that this incarnation was seen to end (design, section 3)."""
        await self.open()
        for partition in range(self.partitions):
            await self.send(self.calls.record_death(partition, owner, death), via="control")

    # ── upkeep ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def wake(self, partition: int, lane: str) -> None:
        """Pass a wake-up for a lane on to the next idle worker."""
        await self.send(self.calls.wake(partition, lane))

    async def prune(self, before_ms: int) -> PruneReport:
        """Forget terminal processes that ended before ``before_ms`` (server's clock)."""
        await self.open()
        return PruneReport(await self._all_pages(lambda partition: self.calls.prune(partition, before_ms)))

    async def forget_owners(self, age_ms: int) -> int:
        """Forget owners without unsettled rows that have not called for ``age_ms``; return how many."""
        await self.open()
        forgotten = 0
        for partition in range(self.partitions):
            forgotten += await self.send(self.calls.forget_owners(partition, age_ms))
        return forgotten

    async def _all_pages(self, call: Callable[[int], Call[int]]) -> int:
        total = 0
        for partition in range(self.partitions):
            while True:
                page = await self.send(call(partition))
                total += page
                if page < MAX_BATCH:
                    break
        return total

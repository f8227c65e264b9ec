"""Calls that write facts: terminal ones, requests, first starts, deaths (design, sections 3 and 4). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lash_redis.core.checks import MAX_SETTLE_BATCH, checked_int
from lash_redis.core.errors import AlreadyTerminal, SettingsError
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import (
    Abandoned,
    AbandonRequest,
    CancelRequest,
    ExternalOwner,
    Outcome,
    ProcessLease,
    ProcessRecord,
    ProcessStarted,
)
from lash_redis.registry.answers import Death, Fact, Settlement
from lash_redis.registry.call import Argument, Call, Routing, attempt_of, checked_batch, one_owner, owner_args
from lash_redis.registry.codec import decode_facts, encode_facts, encode_outcome
from lash_redis.registry.refusals import refusal
from lash_redis.registry.rows import Row


class FactCalls(Routing):
    """Who may write which fact is checked inside the scripts."""

    def complete(self, lease: ProcessLease, outcome: Outcome) -> Call[ProcessRecord]:
        """Write one terminal fact under its lease."""
        args = self._terminal_args([Fact(lease, *self.encoded(outcome))], answer_row=True)

        def decode(reply: list[Any]) -> ProcessRecord:
            if reply[1] == b"DONE":
                return Row(reply[2]).record()
            row = Row(reply[2]) if reply[2] and reply[2][1] else None
            if reply[1] == b"TERMINAL" and row is not None:
                raise AlreadyTerminal(lease.process_id, row.status.value, row.record())
            raise refusal(lease.process_id, reply[1:], lease)

        return Call("terminalize", self.partition_of(lease.process_id), args, decode)

    def terminalize(self, partition: int, facts: Sequence[Fact]) -> Call[list[str]]:
        """Write terminal facts of one owner; the answer is one status word each (DONE, UNKNOWN, TERMINAL …)."""
        checked_batch("facts", [attempt_of(fact.lease) for fact in facts])
        args = self._terminal_args(facts, answer_row=False)
        return Call("terminalize", partition, args, lambda reply: [status.decode() for status in reply[1:]])

    def _terminal_args(self, facts: Sequence[Fact], *, answer_row: bool) -> list[Argument]:
        args: list[Argument] = [one_owner([fact.lease for fact in facts]), "1" if answer_row else "0"]
        for fact in facts:
            lease = fact.lease
            args += (lease.process_id, lease.token, lease.fencing_token, fact.state, fact.data)
        return args

    def encoded(self, outcome: Outcome) -> tuple[str, bytes]:
        """Return an outcome's state and bytes.

        Raises:
            PayloadError: it cannot be encoded, or is too long.
        """
        return encode_outcome(outcome, self.max_payload_bytes)

    def complete_unleased(self, process_id: str, outcome: Outcome, authority: ExternalOwner) -> Call[ProcessRecord]:
        """Write the terminal fact of externally owned work under its authority."""
        if not isinstance(authority, ExternalOwner):
            raise SettingsError(f"expected authority to be an ExternalOwner, got {authority!r}")
        state, data = encode_outcome(outcome, self.max_payload_bytes)
        return self.about(process_id, "complete_unleased", [process_id, state, data, authority.granted_to])

    def settle(self, partition: int, settlements: Sequence[Settlement]) -> Call[list[bool]]:
        """Carry out verdicts of one partition; the answer says which stand (False: the facts had changed)."""
        checked_batch("settlements", [each.row.process_id for each in settlements], MAX_SETTLE_BATCH)
        args: list[Argument] = []
        for settlement in settlements:
            # A cancel carries no words of its own: the request on the row says why.
            state, data = "k", b""
            if isinstance(settlement.outcome, Abandoned):
                state, data = encode_outcome(settlement.outcome, self.max_payload_bytes)
            row = settlement.row
            args += (row.process_id, settlement.action, state, data, "1" if settlement.trusted else "0")
            args += row.observed()
        return Call("settle", partition, args, lambda reply: [status == b"DONE" for status in reply[1:]])

    def request_abandon(self, process_id: str, request: AbandonRequest) -> Call[ProcessRecord]:
        """Record an abandon request."""
        data = encode_facts(request.requested_by, request.requested_at_ms, request.reason)
        return self.about(process_id, "request_abandon", [process_id, data])

    def request_cancel(self, process_id: str, request: CancelRequest) -> Call[ProcessRecord]:
        """Record a cancel request."""
        data = encode_facts(request.requested_by, request.requested_at_ms, request.reason)
        return self.about(process_id, "request_cancel", [process_id, data])

    def record_first_started(self, process_id: str, started: ProcessStarted) -> Call[ProcessRecord]:
        """Record an unleased first start."""
        checked_int("started_at_ms", started.started_at_ms, at_least=0, at_most=2**53)
        args: list[Argument] = [process_id, *owner_args(started.owner), started.started_at_ms]
        return self.about(process_id, "record_first_started", args)

    def record_death(self, partition: int, owner: LeaseOwner, death: Death) -> Call[Death]:
        """Record in one partition that this incarnation was seen to end."""
        args: list[Argument] = [*owner_args(owner), encode_facts(death.status, death.by)]
        return Call("record_death", partition, args, lambda reply: Death(*decode_facts(reply[1])))

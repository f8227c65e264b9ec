"""Writing terminal facts, under a lease or under the authority over externally owned work. Pure.

The scripts check who may write which fact (rule 5.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lash_redis.core.errors import AlreadyTerminal, AuthorityRejected
from lash_redis.core.model import ExternalOwner, ProcessLease, ProcessRecord, RecoveryDisposition
from lash_redis.core.outcomes import Abandoned, Cancelled, Outcome
from lash_redis.core.struct_checks import checked_kind
from lash_redis.registry.answers import TerminalFact
from lash_redis.registry.calls.batches import batched, checked_batch
from lash_redis.registry.calls.call import ATTEMPTS, Argument, Call, Namespace, Steps, about
from lash_redis.registry.calls.leases import attempt_of, one_owner
from lash_redis.registry.calls.reads import get
from lash_redis.registry.calls.refusals import refusal
from lash_redis.registry.codec import encode_outcome
from lash_redis.registry.rows import Row


def complete(namespace: Namespace, lease: ProcessLease, outcome: Outcome) -> Call[ProcessRecord]:
    """Write the terminal fact under its lease, in one script; the same fact again answers the record.

    Raises:
        LeaseLost: it lapsed, or was replaced.
        AlreadyTerminal: it has another terminal fact.
        AuthorityRejected: the holder may not write this fact (rule 5.3).
        PayloadError: the outcome cannot be encoded, or is too long.
    """
    fact = TerminalFact(lease, *encode_outcome(outcome, namespace.max_payload_bytes))
    args = _terminal_args([fact], answer_row=True)

    def decode(reply: list[Any]) -> ProcessRecord:
        if reply[1] == b"DONE":
            return Row(reply[2]).record()
        row = Row(reply[2]) if reply[2] and reply[2][1] else None
        if reply[1] == b"TERMINAL" and row is not None:
            raise AlreadyTerminal(lease.process_id, row.status.value, row.record())
        raise refusal(lease.process_id, reply[1:], lease, authority=_why_not_by_its_holder(outcome))

    return Call("terminalize", namespace.partition_of(lease.process_id), args, decode)


def terminalize_many(
    namespace: Namespace, facts: Sequence[TerminalFact], *, attempts: int = ATTEMPTS
) -> Steps[list[str]]:
    """Write terminal facts of one owner; return one status word each (DONE, LOST, TERMINAL …)."""

    def call(partition: int, batch: Sequence[TerminalFact]) -> Call[list[str]]:
        args = _terminal_args(batch, answer_row=False)
        return Call("terminalize", partition, args, _statuses, attempts=attempts)

    return batched(namespace, facts, lambda fact: fact.lease.process_id, call, bytes_of=lambda fact: len(fact.data))


def _statuses(reply: list[Any]) -> list[str]:
    if reply.count(b"DONE") == len(reply) - 1:  # as nearly always
        return ["DONE"] * (len(reply) - 1)
    return [status.decode() for status in reply[1:]]


def _terminal_args(facts: Sequence[TerminalFact], *, answer_row: bool) -> list[Argument]:
    args = fact_args(facts)  # which finds what is no lease
    return [one_owner([fact.lease for fact in facts]), "1" if answer_row else "0", *args]


def fact_args(facts: Sequence[TerminalFact]) -> list[Argument]:
    """Return what is sent of each fact of a batch.

    Raises:
        SettingsError: there is none, or too many, or two under one lease.
    """
    attempts = [attempt_of(fact.lease) for fact in facts]
    checked_batch("facts", attempts)
    args: list[Argument] = []
    for attempt, fact in zip(attempts, facts, strict=True):
        args += (*attempt, fact.state, fact.data)
    return args


def complete_unleased(
    namespace: Namespace, process_id: str, outcome: Outcome, authority: ExternalOwner
) -> Steps[ProcessRecord]:
    """Write the terminal fact of externally owned work under its explicit authority.

    Raises:
        AuthorityRejected: not externally owned, another grantee, or an ``Abandoned`` outcome.
    """
    checked_kind("authority", authority, ExternalOwner)
    state, data = encode_outcome(outcome, namespace.max_payload_bytes)
    try:
        record = yield from about(namespace, "complete_unleased", process_id, state, data, authority.granted_to)
    except AuthorityRejected:
        stands = yield from get(namespace, process_id)
        if stands is None:
            raise
        raise AuthorityRejected(process_id, _why_not_from_outside(stands, outcome, authority)) from None
    return record


def _why_not_from_outside(stands: ProcessRecord, outcome: Outcome, authority: ExternalOwner) -> str:
    if stands.disposition is not RecoveryDisposition.EXTERNALLY_OWNED:
        return f"it is {stands.disposition.value}, so that the pool runs it, and nobody completes it from outside"
    if isinstance(outcome, Abandoned):
        return "only recovery writes that it was abandoned: `request_abandon` asks for it"
    return f"it is granted to {stands.granted_to!r}, not to {authority.granted_to!r}"


def _why_not_by_its_holder(outcome: Outcome) -> str:
    if isinstance(outcome, Abandoned):
        return "only recovery writes that it was abandoned: `request_abandon` asks for it"
    if isinstance(outcome, Cancelled):
        return "it ends as cancelled only if it was started and a cancel or abandon request stands; else release it"
    return "it is owner-bound, and only the owner that started it writes its result: call `start` first"

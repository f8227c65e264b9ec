"""Acting on many processes: cancel them, and submit them again. Pure: it yields calls."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from typing import Any, Final

import msgspec

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.errors import SettingsError
from lash_redis.core.lanes import lane_parts, scopes_of
from lash_redis.core.model import (
    CancelRequest,
    ProcessRegistration,
    ProcessStatus,
    RecoveryDisposition,
)
from lash_redis.core.outcomes import ResolutionKind
from lash_redis.core.struct_checks import checked_kind
from lash_redis.registry.answers import BulkReport
from lash_redis.registry.calls.batches import batched, checked_batch
from lash_redis.registry.calls.call import Call, Namespace, Steps
from lash_redis.registry.calls.forgetting import tombstones
from lash_redis.registry.calls.reads import rows
from lash_redis.registry.calls.registration import register_many
from lash_redis.registry.calls.requests import encoded_request
from lash_redis.registry.calls.selecting import MOST, Which, needs_a_filter, select
from lash_redis.registry.rows import Row

SUBMITTED: Final = ("submitted", "submitted before")
_SHOWN: Final = 10
_MOST_CHARACTERS: Final = 256  # of a process id
_ASKED_BEFORE: Final = "has a cancel request already"
_ENDED_MEANWHILE: Final = "ended meanwhile, or got another cancel request"
_NOT_THERE: Final = "is not registered (or was pruned)"
_RESOLVED: Final = (ResolutionKind.DID_NOT_HAPPEN, ResolutionKind.ACCEPTED)

WhyNot = Callable[[Row], str]  # why a row is left out; empty if it is not


def cancel_many(
    namespace: Namespace, request: CancelRequest, which: Which, *, most: int = MOST, only_count: bool = False
) -> Steps[BulkReport]:
    """Record one cancel request on all that is meant and has not ended; what nobody holds and started ends at once.

    What has a cancel request already is left out. ``only_count``: nothing is changed.

    Raises:
        SettingsError: nothing is given that would leave out a process, or a value is outside what is allowed.
    """
    checked_kind("request", request, CancelRequest)
    needs_a_filter(which)
    if which.status is not None:
        raise SettingsError("expected no state: what has ended cannot be cancelled")
    found = yield from select(namespace, which, most, _why_not_cancelled)
    done: Counter[str] = Counter()
    if not only_count:
        answers = yield from batched(
            namespace, found.ids, str, partial(cancel_call, encoded_request(request, CancelRequest))
        )
        done = Counter(answers)
    if gone := done.pop("gone", 0):
        found.left_out[_ENDED_MEANWHILE] = gone
    return BulkReport(found.ids[:_SHOWN], len(found.ids), dict(done), found.left_out, found.read, found.has_more)


def _why_not_cancelled(found: Sequence[Row]) -> Steps[list[str]]:
    yield from ()
    return ["has ended" if row.is_terminal else _ASKED_BEFORE if row.cancel_request else "" for row in found]


def cancel_call(request: bytes, partition: int, process_ids: Sequence[str]) -> Call[list[str]]:
    """Return the call that asks it of processes of one partition; for each it answers asked, cancelled or gone."""
    checked_batch("process ids", process_ids)

    def decode(reply: list[Any]) -> list[str]:
        return [word.decode() for word in reply[1:]]

    return Call("cancel_many", partition, [request, *process_ids], decode, word=b"ASKED")


def replay_many(
    namespace: Namespace,
    which: Which,
    *,
    most: int = MOST,
    only_count: bool = False,
    why_not: WhyNot | None = None,
) -> Steps[BulkReport]:
    """Submit again all that is meant and has ended in ``which.status``, each as a new process that names the old one.

    The new id follows from the old one, so that a replay that is sent again, or by two operators, makes one process:
    what was submitted before is left out. To run something a third time, replay the replay. ``only_count``: nothing is
    submitted. ``why_not`` says why an abandoned one is left out all the same.

    Raises:
        SettingsError: no state is given, or a value is outside what is allowed.
    """
    if which.status is None:
        raise SettingsError("expected state to be that of what is submitted again, got none")
    found = yield from select(namespace, which, most, partial(_why_none_is_replayed, namespace, why_not))
    done: Counter[str] = Counter()
    for at in range(0, 0 if only_count else len(found.ids), MAX_BATCH):
        done.update((yield from replay(namespace, found.ids[at : at + MAX_BATCH])))
    return BulkReport(found.ids[:_SHOWN], len(found.ids), dict(done), found.left_out, found.read, found.has_more)


def replay(namespace: Namespace, process_ids: Sequence[str], why_not: WhyNot | None = None) -> Steps[list[str]]:
    """Submit these processes again; return for each ``submitted``, ``submitted before``, or why it is not.

    ``why_not`` says why one is not, all the same.
    """
    found = yield from rows(namespace, process_ids)
    answers = [
        _NOT_THERE if row is None else _why_not_replayed(row) or (why_not(row) if why_not else "") for row in found
    ]
    positions = [at for at, reason in enumerate(answers) if not reason]
    registrations = [_replay_of(row) for row, reason in zip(found, answers, strict=True) if row and not reason]
    new = yield from register_many(namespace, registrations)
    for at, is_new in zip(positions, new, strict=True):
        answers[at] = SUBMITTED[not is_new]
    return answers


def replay_id(process_id: str) -> str:
    """Return the id of the process that replays another one: of its route, if it fits."""
    digest = urlsafe_b64encode(sha256(process_id.encode()).digest()[:12]).decode()
    route, _, _ = process_id.partition("::")
    routed = f"{route or process_id}::replay.{digest}"
    return routed if len(routed) <= _MOST_CHARACTERS else f"replay.{digest}"


def _why_none_is_replayed(namespace: Namespace, why_not: WhyNot | None, found: Sequence[Row]) -> Steps[list[str]]:
    reasons = {row.process_id: _why_not_replayed(row) for row in found}
    if why_not is not None:  # a page of an index has no long outcome, and so no evidence
        abandoned = [row.process_id for row in found if row.status is ProcessStatus.ABANDONED]
        for row in (yield from rows(namespace, [each for each in abandoned if not reasons[each]])):
            if row is not None:
                reasons[row.process_id] = why_not(row)
    new = {replay_id(process_id): process_id for process_id, reason in reasons.items() if not reason}
    replays = yield from rows(namespace, list(new))
    forgotten = yield from tombstones(namespace, list(new))
    for old, replay, tombstone in zip(new.values(), replays, forgotten, strict=True):
        reasons[old] = SUBMITTED[1] if replay is not None or tombstone is not None else ""
    return [reasons[row.process_id] for row in found]


def _why_not_replayed(row: Row) -> str:
    record = row.record()
    if not row.is_terminal:
        return "has not ended"
    if record.disposition is RecoveryDisposition.EXTERNALLY_OWNED:
        return "is externally owned: the pool does not run it"
    is_resolved = record.resolution is not None and record.resolution.kind in _RESOLVED
    if record.status is ProcessStatus.ABANDONED and not is_resolved:
        return "was abandoned, and is not resolved as did_not_happen or accepted"
    return ""


def _replay_of(row: Row) -> ProcessRegistration:
    record, (_, _, signature) = row.record(), lane_parts(row.lane)
    assert record.input is not None  # noqa: S101 - the row was read whole
    return ProcessRegistration(
        replay_id(record.id),
        record.input,
        record.disposition,
        signature=signature,
        labels=record.labels,
        replay_of=record.id,
        scopes=scopes_of(row.lane),
        key=row.key,
        **msgspec.structs.asdict(row.options),
    )

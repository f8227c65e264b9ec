"""Submitting again what has ended. Pure: it yields calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.errors import QueueFull, SettingsError
from lash_redis.core.lanes import lane_parts, scopes_of
from lash_redis.core.model import ProcessRegistration, ProcessStatus, RecoveryDisposition
from lash_redis.core.outcomes import ResolutionKind
from lash_redis.core.tick_ids import name_of_replay
from lash_redis.registry.answers import BulkReport
from lash_redis.registry.calls.batches import batched
from lash_redis.registry.calls.call import Namespace, Steps
from lash_redis.registry.calls.encoded_rows import Encoded, encode_registration
from lash_redis.registry.calls.forgetting import tombstones
from lash_redis.registry.calls.reads import rows
from lash_redis.registry.calls.registration import register_call
from lash_redis.registry.calls.selecting import FIRST_SHOWN, MOST, Which, select
from lash_redis.registry.calls.sequences import check_routes
from lash_redis.registry.calls.uniqueness import unique_key_of, was_replaced
from lash_redis.registry.rows import Row

SUBMITTED: Final = ("submitted", "submitted before")
_MOST_CHARACTERS: Final = 256  # of a process id
_NOT_THERE: Final = "is not registered (or was pruned)"
_RESOLVED: Final = (ResolutionKind.DID_NOT_HAPPEN, ResolutionKind.ACCEPTED)

WhyNot = Callable[[Row], str]  # why a row is left out; empty if it is not

_Full = set[tuple[int, str]]  # the partitions and queues in which one did not fit


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
    submitted. ``why_not`` says why an abandoned one is left out all the same. The oldest is submitted first. What does
    not fit into a bounded queue is left out, and so is what comes after it there.

    Raises:
        SettingsError: no state is given, or a value is outside what is allowed.
    """
    if which.status is None:
        raise SettingsError("expected state to be that of what is submitted again, got none")
    found = yield from select(namespace, which, most, partial(_why_none_is_replayed, namespace, why_not))
    done, left_out, full = Counter[str](), Counter(found.left_out), _Full()
    ids = found.oldest_first
    for at in range(0, 0 if only_count else len(ids), MAX_BATCH):
        answers = Counter((yield from _submitted(namespace, ids[at : at + MAX_BATCH], None, full)))
        for answer, number in answers.items():
            (done if answer in SUBMITTED else left_out)[answer] += number
    return BulkReport(ids[:FIRST_SHOWN], len(ids), dict(done), dict(left_out), found.read, found.has_more)


def replay(namespace: Namespace, process_ids: Sequence[str], why_not: WhyNot | None = None) -> Steps[list[str]]:
    """Submit these processes again; return for each ``submitted``, ``submitted before``, or why it is not.

    ``why_not`` says why one is not, all the same.
    """
    return (yield from _submitted(namespace, process_ids, why_not, _Full()))


def _submitted(
    namespace: Namespace, process_ids: Sequence[str], why_not: WhyNot | None, full: _Full
) -> Steps[list[str]]:
    found = yield from rows(namespace, process_ids)
    answers = [
        _NOT_THERE if row is None else _why_not_replayed(row) or (why_not(row) if why_not else "") for row in found
    ]
    replayed = {at: row for at, row in enumerate(found) if row is not None and not answers[at]}
    registrations = [_replay_of(row) for row in replayed.values()]
    if namespace.partitions > 1:
        check_routes(registrations)
    became = yield from batched(
        namespace,
        [
            encode_registration(each, namespace.max_payload_bytes, once_more=unique_key_of(row))
            for each, row in zip(registrations, replayed.values(), strict=True)
        ],
        lambda each: each.process_id,
        partial(_as_many_as_fit, namespace.partitions, full),
        bytes_of=lambda each: each.size,
        apart_by=lambda each: each.unique,
    )
    for at, answer in zip(replayed, became, strict=True):
        answers[at] = answer
    return answers


def _as_many_as_fit(partitions: int, full: _Full, partition: int, registrations: Sequence[Encoded]) -> Steps[list[str]]:
    """Register them, without those for which a bounded queue has no room: the first ones get in.

    Behind one that did not fit none of its queue gets in, so that what runs in order stays in order.
    """
    answers = {each.process_id: f"queue {each.queue!r} is full" for each in registrations}
    sent = [each for each in registrations if (partition, each.queue) not in full]
    became: list[bool | str] = []
    while sent and not became:
        try:
            became = yield from register_call(partitions, partition, sent)
        except QueueFull as error:
            full.add((partition, error.queue))
            of_queue = [each for each in sent if each.queue == error.queue]
            room = min(max(error.most_waiting - error.waiting, 0), len(of_queue) - 1)
            refused = {each.process_id for each in of_queue[room:]}
            sent = [each for each in sent if each.process_id not in refused]
    for each, is_new in zip(sent, became, strict=True):
        answers[each.process_id] = (
            "another process of its unique key has not ended" if isinstance(is_new, str) else SUBMITTED[not is_new]
        )
    return [answers[each.process_id] for each in registrations]


def replay_id(process_id: str) -> str:
    """Return the id of the process that replays another one: of its route, if it fits."""
    name = name_of_replay(process_id)
    route, _, _ = process_id.partition("::")
    routed = f"{route or process_id}::{name}"
    return routed if len(routed) <= _MOST_CHARACTERS else name


def _why_none_is_replayed(namespace: Namespace, why_not: WhyNot | None, found: Sequence[Row]) -> Steps[list[str]]:
    reasons = {row.process_id: _why_not_replayed(row) or _why_only_by_name(row) for row in found}
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


def _why_only_by_name(row: Row) -> str:
    """Return why a row is not submitted again with others: whoever cancelled it had a reason that others had not."""
    was_blocked = b"aw" in row.fields and b"sq" not in row.fields  # it never entered its lane
    if row.status is ProcessStatus.CANCELLED and was_blocked:
        return "waited for other processes when it was cancelled"
    return "was replaced by a later one of its unique key" if was_replaced(row) else ""


def _replay_of(row: Row) -> ProcessRegistration:
    """Return the same work under another id. What it waited for at first it does not wait for again."""
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
